// Indexes in files: a reopened database uses them, a harmed one says so, and every answer is as it was without them.

#include <sys/mount.h>
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
namespace {

constexpr std::uint32_t kWide = 256;  // 4,080 rows fill a block
constexpr std::size_t kNodes = 9000;  // above what an index compresses from

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

TEST_F(SavedIndexTest, IsUsedByTheNextOpenAndAnswersTheSame) {
  load(kNodes);
  wait_until_saved(1);
  const auto asked = queries(10);
  const std::vector<Answer> before = answers(asked);
  reopen();
  EXPECT_EQ(answers(asked), before);
  const DatabaseStats stats = db_->stats();
  EXPECT_EQ(stats.indexes_restored, 1U);
  EXPECT_EQ(stats.indexes_loaded, 0U);
  EXPECT_EQ(stats.indexes_damaged, 0U);
  EXPECT_GE(stats.index_file_bytes, 2 * 4 * kMiB - kMiB);
  expect_sound();
}

TEST_F(SavedIndexTest, IsNotMadeForASpaceThatIsSmall) {
  load(1000);
  must(nearest(point(), 0.9F));
  reopen();
  EXPECT_TRUE(files().empty());
  must(nearest(point(), 0.9F));
  EXPECT_EQ(db_->stats().indexes_loaded, 1U);
}

TEST_F(SavedIndexTest, KnowsEveryChangeThatCameAfterIt) {
  load(kNodes);
  wait_until_saved(1);
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 150; ++i) change();
    if (round == 2) load(700);
    db_.reset();
    copy("copy");
    expect_as_without_files("copy", true);
    open();
    must(nearest(point(), 0.9F));
    EXPECT_EQ(db_->stats().indexes_restored, 1U);
  }
}

// The process of the next test, in which this one runs: it writes until a failpoint of a save kills it.
TEST_F(SavedIndexTest, WritesUntilASaveIsKilled) {
  const char* const directory = std::getenv("MNEME_TEST_CHILD_DATABASE");
  if (directory == nullptr) GTEST_SKIP() << "runs as a process of IsTheOldOneOrTheNewOneWhereverASaveIsKilled";
  db_ = must(Database::open(directory, options_));
  const Result<Space> there = db_->space("agent");
  if (!there.ok()) must(db_->create_space("agent"));
  next_name_ = 100'000 * (random_() % 10'000);
  must(space().scan({}, [&](const NodeView& view) {
    ids_.push_back(view->id());
    return true;
  }));
  load(ids_.empty() ? kNodes : 5000);
  for (int round = 0; round < 20; ++round) {
    for (const auto& query : queries(1000)) {
      must(nearest(query, 0.9F));
      change();
    }
    load(5000);
  }
}

TEST_F(SavedIndexTest, IsTheOldOneOrTheNewOneWhereverASaveIsKilled) {
  if (!failpoint::enabled()) GTEST_SKIP() << "built without failpoints";
  db_.reset();
  std::filesystem::remove_all(path());
  std::uint64_t restored = 0;
  for (const std::string place : {"index.saved", "index.flushed", "index.saved", "index.recorded", "index.flushed"}) {
    SCOPED_TRACE(place);
    run_child_until_killed(place + "=kill");
    restored += expect_killed_as_without_files();
  }
  EXPECT_GE(restored, 3U);  // after the first flush there is always one to restore
}

TEST_F(SavedIndexTest, AnswersTheSameAfterAKillAtAnyMoment) {
  db_.reset();
  std::filesystem::remove_all(path());
  const char* const wanted = std::getenv("MNEME_INDEX_KILLS");
  const int kills = wanted != nullptr ? std::atoi(wanted) : 4;
  if (failpoint::enabled()) run_child_until_killed("index.flushed=kill");  // there is an index to restore from now on
  std::uint64_t restored = 0;
  for (int i = 0; i < kills; ++i) {
    run_child_until_killed("", std::chrono::milliseconds(1000 + random_() % 3000));
    restored += expect_killed_as_without_files();
  }
  std::printf("kills %d: %llu times there was an index to restore\n", kills, static_cast<unsigned long long>(restored));
}

TEST_F(SavedIndexTest, IsReadAgainFromTheDatabaseWhenAFileIsDamaged) {
  load(kNodes);
  wait_until_saved(1);
  const auto asked = queries(3);
  const std::vector<Answer> right = answers(asked);
  db_.reset();
  copy("whole");
  const char* const wanted = std::getenv("MNEME_INDEX_FLIPS");
  const int flips = wanted != nullptr ? std::atoi(wanted) : 25;
  int damaged = 0;
  for (int i = 0; i < flips; ++i) {
    const auto all = files();
    ASSERT_EQ(all.size(), 5U);
    const auto& file = all[static_cast<std::size_t>(i) % all.size()];
    const std::uint64_t at = random_() % std::filesystem::file_size(file);
    {
      std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
      bytes.seekg(static_cast<std::streamoff>(at));
      const int byte = bytes.get();
      bytes.seekp(static_cast<std::streamoff>(at));
      bytes.put(static_cast<char>(byte ^ (1 << random_() % 8)));
    }
    SCOPED_TRACE(file.string() + " byte " + std::to_string(at));
    open();
    for (const auto& query : asked) must(nearest(query, 0.9F));
    ASSERT_EQ(answers(asked), right);
    const DatabaseStats stats = db_->stats();
    ASSERT_LE(stats.indexes_damaged, 1U);
    ASSERT_EQ(stats.indexes_loaded, stats.indexes_damaged);
    if (stats.indexes_damaged > 0) {
      ++damaged;
      EXPECT_TRUE(said(file.filename().string()));
    }
    db_.reset();
    std::filesystem::remove_all(path());
    std::filesystem::copy(directory_ / "whole", path(), std::filesystem::copy_options::recursive);
  }
  std::printf("flips %d: %d found and the index made again, %d in bytes that were not used\n", flips, damaged,
              flips - damaged);
  EXPECT_GT(damaged, flips / 3);
}

TEST_F(SavedIndexTest, IsMadeAgainAndSavedAgainAfterDamage) {
  load(kNodes);
  wait_until_saved(1);
  db_.reset();
  for (const auto& file : files())
    if (file.extension() == ".slots") std::filesystem::resize_file(file, 5000);
  open();
  wait_until_saved(1);
  EXPECT_EQ(db_->stats().indexes_damaged, 1U);
  EXPECT_TRUE(said(".slots"));
  EXPECT_TRUE(said("it is read from the database again"));
  EXPECT_EQ(files().size(), 5U);
  reopen();
  must(nearest(point(), 0.9F));
  EXPECT_EQ(db_->stats().indexes_restored, 1U);
}

TEST_F(SavedIndexTest, ServesAReadOnlyOpenThatWritesNothing) {
  load(kNodes);
  wait_until_saved(1);
  const auto asked = queries(5);
  for (int i = 0; i < 50; ++i) change();
  const std::vector<Answer> right = answers(asked);
  db_.reset();
  const auto before = files();
  options_.read_only = true;
  open();
  EXPECT_EQ(answers(asked), right);
  EXPECT_EQ(db_->stats().indexes_restored, 1U);
  db_.reset();
  EXPECT_EQ(files(), before);
}

TEST_F(SavedIndexTest, GoesWithItsSpace) {
  load(kNodes);
  wait_until_saved(1);
  ASSERT_EQ(files().size(), 5U);
  must(db_->drop_space("agent"));
  EXPECT_TRUE(files().empty());
  reopen();
  EXPECT_TRUE(files().empty());
}

TEST_F(SavedIndexTest, GoesWithItsGenerationAndTheOthersStay) {
  load(kNodes);
  wait_until_saved(1);
  const std::vector<std::filesystem::path> before = files();
  const GenerationId second = must(space().add_generation({.dimension = 4, .metric = Metric::Cosine, .model = "new"}));
  must(space().drop_generation(second));
  EXPECT_EQ(files(), before);
  reopen();
  const auto query = point();
  const Answer right = answer(query);
  EXPECT_EQ(db_->stats().indexes_restored, 1U);

  must(space().add_generation({.dimension = 4, .metric = Metric::Cosine, .model = "newer"}));
  must(space().drop_generation(GenerationId{0}));
  EXPECT_TRUE(files().empty());
  for (int i = 0; i < 10; ++i) must(space().put(named("late", {}), Durability::Sync));
  reopen();
  EXPECT_TRUE(files().empty());
  EXPECT_EQ(db_->stats().indexes_damaged, 0U);
  EXPECT_FALSE(right.empty());
}

TEST_F(SavedIndexTest, AnswersTheSameWhenItStaysInItsFiles) {
  options_.cold_indexes = true;
  reopen();
  load(kNodes);
  wait_until_saved(1);
  for (int i = 0; i < 50; ++i) change();
  const auto asked = queries(6);
  const std::vector<Answer> right = answers(asked);
  reopen();
  EXPECT_EQ(answers(asked), right);
  const SpaceStats stats = must(space().stats());
  EXPECT_EQ(db_->stats().indexes_restored, 1U);
  EXPECT_LE(stats.index_bytes, kNodes * 100 + 8 * kMiB);  // a block that is not full, the codebook
}

// Nobody searches: notes of changed rows do not pile up.
TEST_F(SavedIndexTest, IsGivenUpWhenMoreHasChangedThanItHolds) {
  load(kNodes);
  wait_until_saved(1);
  reopen();
  for (int i = 0; i < 3; ++i) load(kNodes / 2);
  ASSERT_TRUE(eventually([&] { return db_->stats().nodes == kNodes * 5 / 2; }));
  // The saver looks ten times a second.
  std::size_t looks = 0;
  ASSERT_TRUE(eventually([&] { return ++looks > 50; }));
  must(nearest(point(), 0.9F));
  EXPECT_EQ(db_->stats().indexes_restored, 0U);
  EXPECT_EQ(db_->stats().indexes_loaded, 1U);
  EXPECT_EQ(db_->stats().indexes_damaged, 0U);
  wait_until_saved(1);
  reopen();
  must(nearest(point(), 0.9F));
  EXPECT_EQ(db_->stats().indexes_restored, 1U);
}

// On a file system of its own that fills up while the index is saved.
TEST_F(SavedIndexTest, WaitsForSpaceWhileSearchesGoOn) {
  const std::filesystem::path disk = directory_ / "disk";
  std::filesystem::create_directory(disk);
  if (mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=160m") != 0)
    GTEST_SKIP() << "mounting a tmpfs needs root: " << std::strerror(errno);
  db_ = must(Database::open(disk / "db", options_));
  must(db_->create_space("agent"));
  load(kNodes);
  {
    std::ofstream ballast(disk / "ballast", std::ios::binary);
    const std::string piece(64 * kKiB, 'x');
    while (ballast.write(piece.data(), static_cast<std::streamsize>(piece.size())).flush()) {
    }
  }
  const auto asked = queries(3);
  const std::vector<Answer> right = answers(asked);
  ASSERT_TRUE(eventually([&] {
    must(nearest(asked[0], 0.9F));
    return said("save: NoSpace");
  }));
  EXPECT_EQ(answers(asked), right);
  EXPECT_EQ(db_->stats().indexes_saved, 0U);
  std::filesystem::remove(disk / "ballast");
  wait_until_saved(1);
  db_.reset();
  db_ = must(Database::open(disk / "db", options_));
  EXPECT_EQ(answers(asked), right);
  EXPECT_EQ(db_->stats().indexes_restored, 1U);
  db_.reset();
  umount2(disk.c_str(), MNT_DETACH);
}

TEST_F(SavedIndexTest, IsReplacedWhenTheIndexIsCompacted) {
  load(kNodes);
  wait_until_saved(1);
  const auto before = files();
  Batch batch;
  for (std::size_t i = 0; i < 4500; ++i) must(space().erase(ids_[i], Durability::Memory));
  load(4500);
  ASSERT_TRUE(eventually([&] {
    must(nearest(centres_[0], 0.9F));
    const auto now = files();
    return now.size() == 5 && now.front() != before.front();
  }));
  db_.reset();
  copy("copy");
  expect_as_without_files("copy", true);
}

}  // namespace
}  // namespace mneme::test
