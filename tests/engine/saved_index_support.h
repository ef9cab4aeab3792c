// A database whose space has an index in files, changed and killed at will, and compared with one that has no such files.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <random>

#include "engine_test.h"
#include "mneme/storage/failpoint.h"

namespace mneme::test {

inline constexpr std::uint32_t kWide = 256;  // 4,080 rows fill a block
inline constexpr std::size_t kNodes = 9000;  // above what an index compresses from

using Answer = std::vector<std::pair<std::string, float>>;

class SavedIndexTest : public EngineTest {
 protected:
  void SetUp() override {
    seed_ = std::random_device{}();
    if (const char* given = std::getenv("MNEME_TEST_SEED")) seed_ = static_cast<unsigned>(std::atoi(given));
    random_.seed(seed_);
    options_.create_if_missing = true;
    options_.default_dimension = kWide;
    options_.default_metric = Metric::Cosine;
    options_.log = [this](std::string_view line) {
      std::lock_guard lock(said_mutex_);
      said_.emplace_back(line);
    };
    for (auto& centre : centres_) centre = noise(1);
    open();
    must(db_->create_space("agent"));
  }
  void TearDown() override {
    failpoint::disarm_all();
    db_.reset();
    if (HasFailure()) std::printf("MNEME_TEST_SEED=%u\n", seed_);
  }

  std::vector<float> noise(float scale) {
    std::vector<float> values(kWide);
    for (float& value : values) value = std::normal_distribution<float>(0, scale)(random_);
    return values;
  }
  std::vector<float> point() {
    std::vector<float> values = noise(0.5F);
    const auto& centre = centres_[random_() % centres_.size()];
    for (std::size_t d = 0; d < kWide; ++d) values[d] += centre[d];
    return values;
  }
  void load(std::size_t count) {
    std::vector<NodeRecordPtr> nodes;
    for (std::size_t i = 0; i < count; ++i) {
      Node node = named(std::to_string(next_name_++), point());
      for (auto& byte : node.id.bytes) byte = static_cast<std::uint8_t>(random_());
      node.tags = {next_name_ % 2 == 0 ? "even" : "odd"};
      ids_.push_back(node.id);
      nodes.push_back(NodeRecord::from_node(node));
    }
    must(db_->bulk_insert(space(), nodes, {}, {.ids_are_new = true}));
  }
  Result<std::vector<Neighbour>> nearest(const std::vector<float>& vector, float recall, Filter filter = {}) const {
    Query query;
    query.vector = vector;
    query.k = 10;
    query.recall_target = recall;
    query.filter = std::move(filter);
    return space().nearest(query);
  }
  Answer answer(const std::vector<float>& vector, float recall = 1, Filter filter = {}) const {
    Answer found;
    for (const Neighbour& one : must(nearest(vector, recall, std::move(filter))))
      found.emplace_back(one.id.to_string(), one.score);
    return found;
  }
  /// What a database without index files answers.
  std::vector<Answer> answers(const std::vector<std::vector<float>>& queries) const {
    std::vector<Answer> all;
    for (const auto& query : queries) {
      all.push_back(answer(query));
      all.push_back(answer(query, 1, Filter::compare("tags", FilterOp::Contains, Value("even"))));
    }
    return all;
  }
  std::vector<std::vector<float>> queries(std::size_t count) {
    std::vector<std::vector<float>> made;
    for (std::size_t i = 0; i < count; ++i) made.push_back(point());
    return made;
  }

  /// Asks for approximate answers until the index has been compressed and saved `times` since the open.
  void wait_until_saved(std::uint64_t times) {
    const std::vector<float> query = point();
    ASSERT_TRUE(eventually([&] {
      must(nearest(query, 0.9F));
      return db_->stats().indexes_saved >= times;
    })) << "saved "
        << db_->stats().indexes_saved << " times, expected " << times;
  }
  static bool eventually(const std::function<bool()>& is_so) {
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock lock(mutex);
    for (int i = 0; i < 3000; ++i) {
      if (is_so()) return true;
      never.wait_for(lock, std::chrono::milliseconds(20));
    }
    return false;
  }
  bool said(const std::string& text) {
    std::lock_guard lock(said_mutex_);
    return std::any_of(said_.begin(), said_.end(),
                       [&](const std::string& line) { return line.find(text) != std::string::npos; });
  }
  std::vector<std::filesystem::path> files() const {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(path() / "index")) found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    return found;
  }
  void copy(const std::string& name) const {
    std::filesystem::remove_all(directory_ / name);
    std::filesystem::copy(path(), directory_ / name, std::filesystem::copy_options::recursive);
  }
  /// The copy answers as it does when it has no index files.
  void expect_as_without_files(const std::string& name, bool restored) {
    const auto asked = queries(8);
    std::vector<std::vector<Answer>> all;
    for (const bool with_files : {true, false}) {
      if (!with_files) std::filesystem::remove_all(directory_ / name / "index");
      db_ = must(Database::open(directory_ / name, options_));
      all.push_back(answers(asked));
      std::size_t same = 0;
      for (const auto& query : asked)
        for (const auto& [id, score] : answer(query, 0.9F))
          for (const auto& [other, its_score] : answer(query)) same += id == other ? 1 : 0;
      EXPECT_GE(same, asked.size() * 8);
      const DatabaseStats stats = db_->stats();
      EXPECT_EQ(stats.indexes_restored, with_files && restored ? 1U : 0U);
      if (with_files) expect_sound();
      db_.reset();
    }
    EXPECT_EQ(all[0], all[1]);
  }
  /// Runs WritesUntilASaveIsKilled in a process of its own until a failpoint kills it, or this does.
  void run_child_until_killed(const std::string& failpoints, std::chrono::milliseconds after = {}) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      if (!failpoints.empty()) setenv("MNEME_FAILPOINTS", failpoints.c_str(), 1);
      setenv("MNEME_TEST_CHILD_DATABASE", path().c_str(), 1);
      execl("/proc/self/exe", "test", "--gtest_brief=1", "--gtest_filter=SavedIndexTest.WritesUntilASaveIsKilled",
            nullptr);
      _exit(1);
    }
    if (after.count() > 0) {
      std::mutex mutex;
      std::condition_variable never;
      std::unique_lock lock(mutex);
      never.wait_for(lock, after);
      kill(child, SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  }
  /// The database that a kill left answers as it does without index files. @return indexes restored
  std::uint64_t expect_killed_as_without_files() {
    std::uint64_t restored = 0;
    if (!std::filesystem::exists(path() / "MANIFEST")) return 0;
    copy("killed");
    const auto asked = queries(6);
    std::vector<std::vector<Answer>> all;
    for (const bool with_files : {true, false}) {
      if (!with_files) std::filesystem::remove_all(directory_ / "killed" / "index");
      db_ = must(Database::open(directory_ / "killed", options_));
      if (!db_->space("agent").ok()) break;
      all.push_back(answers(asked));
      if (with_files) {
        EXPECT_EQ(db_->stats().indexes_damaged, 0U);
        restored = db_->stats().indexes_restored;
        expect_sound();
      }
      db_.reset();
    }
    db_.reset();
    if (!all.empty()) {
      EXPECT_EQ(all.front(), all.back());
    }
    return restored;
  }
  /// A random change of one node, or of many.
  void change() {
    switch (random_() % 8) {
      case 0:
      case 1:
        put(named(std::to_string(next_name_++), point()));
        break;
      case 2:
      case 3:
      case 4: {
        Node node = named("changed", point());
        node.id = ids_[random_() % ids_.size()];
        node.tags = {"even"};
        put(std::move(node));  // an update, or put again after an erasure
        break;
      }
      case 5:
      case 6: {
        const Status erased = space().erase(ids_[random_() % ids_.size()]);
        ASSERT_TRUE(erased.ok() || erased.code() == Code::NotFound);
        break;
      }
      default: {
        const Status moved = space().move(ids_[random_() % ids_.size()], TierId::Cold);
        ASSERT_TRUE(moved.ok() || moved.code() == Code::NotFound);
      }
    }
  }

  std::array<std::vector<float>, 16> centres_;
  std::vector<NodeId> ids_;
  std::size_t next_name_ = 0;
  std::mt19937 random_;
  unsigned seed_ = 0;
  std::mutex said_mutex_;
  std::vector<std::string> said_;
};

}  // namespace mneme::test
