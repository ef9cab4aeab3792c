// Damage in the files of a saved index, seen through a whole database.
//
// A *look* damages a file, opens the database to read only, asks, and puts the file back. A *life* damages a file of a
// copy and opens that for writing: the damaged index has to be made again, saved again and found sound by the next open.
// The answers of the undamaged database are the truth; scores are computed here once more, from the vectors.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cycles.h"
#include "mneme/database.h"
#include "model.h"
#include "process.h"

namespace mneme::crash {

namespace {

constexpr std::uint32_t kWidth = 128;  // 8,060 rows fill a block of the file
constexpr std::size_t kVectors = 8'700, kQueries = 4, kNearest = 10;
constexpr float kTarget = 0.9F;
constexpr std::uint64_t kPerChild = 250;  // a process has done so many and another goes on
constexpr std::uint64_t kLooksPerLife = 50;
constexpr std::size_t kJobsMax = 8;
constexpr std::string_view kIndexed = "indexed";

struct FlipCounts {
  std::atomic<std::uint64_t> flips{0}, at_open{0}, at_use{0}, by_verify{0}, without_meaning{0};
  std::atomic<std::uint64_t> made_again{0};          // and saved again, and sound
  std::atomic<std::uint64_t> found{0}, expected{0};  // of the true neighbours, by answers that were not the undamaged's
  std::atomic<std::uint64_t> wrong{0}, failed{0};
  char last[200] = "";  // what was done to a file: known when the process that did it dies
  bool sound() const { return wrong == 0 && failed == 0; }
};

std::vector<float> draw_vector(Random& random) {
  std::vector<float> values(kWidth);
  const std::uint64_t centre = random.below(24);
  for (std::size_t d = 0; d < kWidth; ++d) {
    const float noise = static_cast<float>(random.below(2'000'001)) / 1e6F - 1.0F;
    values[d] = noise + ((centre * 2654435761U >> d % 29 & 1) != 0 ? 0.8F : -0.8F);
  }
  return values;
}

/// What is in the database, again from the seed, and what it answers when nothing is damaged.
class Truth {
 public:
  explicit Truth(std::uint64_t seed) {
    const std::unique_ptr<Random> random = seeded_random(seed);
    for (std::size_t i = 0; i < kVectors; ++i) vectors.push_back(draw_vector(*random));
    for (std::size_t i = 0; i < kQueries; ++i) queries.push_back(draw_vector(*random));
  }
  float score(std::size_t query, std::size_t node) const {
    double product = 0, a = 0, b = 0;
    for (std::size_t d = 0; d < kWidth; ++d) {
      const double x = queries[query][d], y = vectors[node][d];
      product += x * y;
      a += x * x;
      b += y * y;
    }
    return static_cast<float>(product / std::sqrt(a * b));
  }
  std::vector<std::vector<float>> vectors, queries;
  std::vector<std::vector<Neighbour>> exact, quick;  // by query
};

class IndexFlips {
 public:
  IndexFlips(const std::filesystem::path& directory, std::uint64_t seed_of_truth, FlipCounts& counts,
             std::uint64_t seed)
      : whole_(directory),
        copy_(directory.native() + "-copy"),
        counts_(counts),
        truth_(seed_of_truth),
        random_(seeded_random(seed)) {}

  /// A database whose index is saved.
  bool make() {
    const auto database = open(whole_, false);
    if (!database) return false;
    const Result<Space> space = (*database)->create_space(kIndexed, {.dimension = kWidth});
    if (!space) return broke(counts_.failed, "make: " + space.status().to_string());
    std::vector<NodeRecordPtr> nodes;
    for (std::size_t i = 0; i < kVectors; ++i) {
      Node node;
      node.external_id = std::to_string(i);
      node.id = space->id_for_external(*node.external_id);
      node.vectors.push_back({GenerationId{0}, truth_.vectors[i]});
      nodes.push_back(NodeRecord::from_node(node));
    }
    const Status put = (*database)->bulk_insert(*space, nodes, {}, {.ids_are_new = true}).status();
    if (!put) return broke(counts_.failed, "make: " + put.to_string());
    return wait_until_saved(**database, *space) && close(**database);
  }

  void run(std::uint64_t flips) {
    {
      const Opened database = open(whole_, true);
      if (!database || !learn(**database) || !close(**database)) return;
    }
    for (std::uint64_t i = 0; i < flips && counts_.sound(); ++i) {
      random_->below(kLooksPerLife) == 0 ? live() : look();
      damage_.clear();
      counts_.flips.fetch_add(1);
    }
  }

 private:
  using Opened = std::optional<std::unique_ptr<Database>>;

  bool broke(std::atomic<std::uint64_t>& counter, const std::string& what) {
    report(counter, damage_ + (damage_.empty() ? "" : ": ") + what);
    return false;
  }

  Opened open(const std::filesystem::path& directory, bool read_only) {
    said_.clear();
    DatabaseOptions options;
    options.create_if_missing = !read_only;
    options.read_only = read_only;
    options.block_cache_bytes = 8 * kMiB;
    options.cold_indexes = random_->below(2) == 0;
    options.log = [this](std::string_view line) {
      const std::lock_guard lock(said_mutex_);
      said_.append(line).append("\n");
    };
    Result<std::unique_ptr<Database>> opened = Database::open(directory, options);
    if (opened) return std::move(*opened);
    broke(counts_.failed, "open: " + opened.status().to_string());
    return std::nullopt;
  }
  bool close(Database& database) {
    const Status closed = database.close();
    return closed.ok() || broke(counts_.failed, "close: " + closed.to_string());
  }

  static Result<std::vector<Neighbour>> ask(const Space& space, const std::vector<float>& vector, float recall) {
    Query query;
    query.vector = vector;
    query.k = kNearest;
    query.recall_target = recall;
    return space.nearest(query);
  }

  bool wait_until_saved(Database& database, const Space& space) {
    for (int i = 0; i < 12'000 && database.stats().indexes_saved == 0; ++i) {
      static_cast<void>(ask(space, truth_.queries[0], kTarget));
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return database.stats().indexes_saved > 0 || broke(counts_.failed, "the index was not saved within a minute");
  }

  bool learn(Database& database) {
    const Result<Space> space = database.space(kIndexed);
    if (!space) return broke(counts_.failed, space.status().to_string());
    for (std::size_t i = 0; i < kVectors; ++i) number_of_[space->id_for_external(std::to_string(i))] = i;
    for (const auto& query : truth_.queries) {
      auto quick = ask(*space, query, kTarget), exact = ask(*space, query, 1);
      if (!quick || !exact) return broke(counts_.failed, "the undamaged database gives no answer");
      truth_.quick.push_back(std::move(*quick));
      truth_.exact.push_back(std::move(*exact));
    }
    for (std::size_t q = 0; q < kQueries; ++q)
      for (const auto* answers : {&truth_.quick, &truth_.exact}) scores_are_right(q, (*answers)[q]);
    const bool restored = database.stats().indexes_restored == 1 && database.stats().indexes_damaged == 0;
    return restored || broke(counts_.failed, "the undamaged index was not restored");
  }

  // ---- damage ----

  void say(const std::string& damage) {
    damage_ = damage;
    std::snprintf(counts_.last, sizeof counts_.last, "%s", damage.c_str());
  }

  std::vector<std::filesystem::path> files(const std::filesystem::path& database) const {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(database / "index")) found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    return found;
  }
  static std::string read(const std::filesystem::path& path) {
    std::string bytes(std::filesystem::file_size(path), '\0');
    std::ifstream(path, std::ios::binary).read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return bytes;
  }
  static void write(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }

  /// @return what puts it back
  std::function<void()> harm(const std::filesystem::path& database) {
    const auto all = files(database);
    const std::filesystem::path file = all[random_->below(all.size())];
    const std::string name = file.filename().string();
    harmed_ = {name};
    const std::uint64_t size = std::filesystem::file_size(file), drawn = random_->below(100);
    if (drawn < 85) {
      const std::uint64_t at = random_->below(size), bit = random_->below(8);
      say("bit " + std::to_string(bit) + " of byte " + std::to_string(at) + " of " + name);
      flip(file, at, bit);
      return [file, at, bit] { flip(file, at, bit); };
    }
    std::string bytes = read(file);
    const auto put_back = [file, bytes] { write(file, bytes); };
    if (drawn < 89) {
      const std::uint64_t left = random_->below(size);
      say(name + " cut to " + std::to_string(left) + " bytes");
      std::filesystem::resize_file(file, left);
    } else if (drawn < 93) {
      const std::uint64_t page = random_->below(size / 4096) * 4096;
      say("zeros in the page at byte " + std::to_string(page) + " of " + name);
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(page), 4096, '\0');
      write(file, bytes);
    } else if (drawn < 96) {
      say(name + " removed");
      std::filesystem::remove(file);
    } else {
      const std::filesystem::path other = all[random_->below(all.size())];
      harmed_.push_back(other.filename().string());
      say(name + " and " + harmed_.back() + " in each other's place");
      swap(file, other);
      return [file, other] { swap(file, other); };
    }
    return put_back;
  }
  static void flip(const std::filesystem::path& file, std::uint64_t at, std::uint64_t bit) {
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekg(static_cast<std::streamoff>(at));
    const int byte = bytes.get();
    bytes.seekp(static_cast<std::streamoff>(at));
    bytes.put(static_cast<char>(byte ^ (1 << bit)));
  }
  static void swap(const std::filesystem::path& a, const std::filesystem::path& b) {
    if (a == b) return;
    const std::filesystem::path aside = a.parent_path().parent_path() / "aside";
    std::filesystem::rename(a, aside);
    std::filesystem::rename(b, a);
    std::filesystem::rename(aside, b);
  }

  // ---- answers ----

  bool scores_are_right(std::size_t query, const std::vector<Neighbour>& answer) {
    for (std::size_t i = 0; i < answer.size(); ++i) {
      const auto node = number_of_.find(answer[i].id);
      if (node == number_of_.end()) return broke(counts_.wrong, "an answer that nobody put");
      if (std::abs(answer[i].score - truth_.score(query, node->second)) > 1e-5F)
        return broke(counts_.wrong, "a wrong score of node " + std::to_string(node->second));
      if (i > 0 && answer[i].score > answer[i - 1].score) return broke(counts_.wrong, "a wrong order");
    }
    return answer.size() == kNearest || broke(counts_.wrong, std::to_string(answer.size()) + " answers");
  }

  // The restored index answers as before the damage; one that was made again owes scores and recall.
  void check(Database& database, const Space& space, std::size_t query, float recall, bool made_again) {
    const Result<std::vector<Neighbour>> answer = ask(space, truth_.queries[query], recall);
    if (!answer) {
      broke(counts_.wrong, "no answer: " + answer.status().to_string());
      return;
    }
    if (*answer == (recall < 1 ? truth_.quick : truth_.exact)[query]) return;
    if (recall == 1 || !(made_again || database.stats().indexes_damaged > 0)) {
      broke(counts_.wrong, "another answer than without the damage");
      return;
    }
    if (!scores_are_right(query, *answer)) return;
    for (const Neighbour& one : truth_.exact[query])
      counts_.found += std::any_of(answer->begin(), answer->end(), [&](const Neighbour& n) { return n.id == one.id; });
    counts_.expected += kNearest;
  }
  void check_all(Database& database, const Space& space, bool made_again = false) {
    for (const float recall : {kTarget, 1.0F})
      for (std::size_t query = 0; query < kQueries; ++query) check(database, space, query, recall, made_again);
  }

  // ---- looks and lives ----

  void look() {
    const std::function<void()> put_back = harm(whole_);
    if (const Opened database = open(whole_, /*read_only=*/true)) {
      if (const Result<Space> space = (*database)->space(kIndexed)) {
        check_all(**database, *space);
        classify(**database);
      } else {
        broke(counts_.failed, space.status().to_string());
      }
      close(**database);
    }
    if (counts_.sound()) put_back();
  }

  void live() {
    std::filesystem::remove_all(copy_);
    std::filesystem::copy(whole_, copy_, std::filesystem::copy_options::recursive);
    harm(copy_);
    bool made_again = false;
    if (const Opened database = open(copy_, /*read_only=*/false)) {
      if (const Result<Space> space = (*database)->space(kIndexed)) {
        check_all(**database, *space);
        made_again = classify(**database);
        if (made_again) wait_until_saved(**database, *space);
      } else {
        broke(counts_.failed, space.status().to_string());
      }
      close(**database);
    }
    if (made_again && counts_.sound()) expect_made_again();
  }

  /// Where the damage was found. @return whether the index has to be made again
  bool classify(Database& database) {
    const DatabaseStats stats = database.stats();
    if (stats.indexes_damaged > 0) {
      ++(stats.indexes_restored == 0 ? counts_.at_open : counts_.at_use);
      const std::lock_guard lock(said_mutex_);
      const bool said = std::any_of(harmed_.begin(), harmed_.end(),
                                    [&](const std::string& name) { return said_.find(name) != std::string::npos; });
      if (!said) broke(counts_.wrong, "no file of these is named: " + said_);
      if (stats.indexes_damaged > 1) broke(counts_.wrong, "damage was counted twice");
      return true;
    }
    // Nothing that was asked for has touched it: the whole is looked at.
    const Result<VerifyReport> verified = database.verify(/*deep=*/true);
    if (!verified || verified->problem_count > 0)
      broke(counts_.wrong, "verify: " + (verified ? verified->problems.front() : verified.status().to_string()));
    else
      ++(verified->index_problems.empty() ? counts_.without_meaning : counts_.by_verify);
    return false;
  }

  void expect_made_again() {
    const Opened database = open(copy_, /*read_only=*/true);
    if (!database) return;
    const Result<Space> space = (*database)->space(kIndexed);
    if (space) check_all(**database, *space, /*made_again=*/true);
    const DatabaseStats stats = (*database)->stats();
    const Result<VerifyReport> verified = (*database)->verify(/*deep=*/true);
    if (!space || stats.indexes_restored != 1 || stats.indexes_damaged != 0)
      broke(counts_.wrong, "the index that was made again is not restored");
    else if (!verified || verified->problem_count > 0 || !verified->index_problems.empty())
      broke(counts_.wrong, "the index that was made again is not sound");
    else
      counts_.made_again.fetch_add(1);
    close(**database);
  }

  const std::filesystem::path whole_, copy_;
  FlipCounts& counts_;
  Truth truth_;
  const std::unique_ptr<Random> random_;
  std::unordered_map<NodeId, std::size_t> number_of_;
  std::vector<std::string> harmed_;  // names of files
  std::string damage_;
  std::mutex said_mutex_;
  std::string said_;
};

using Work = std::function<void()>;

/// Each in a process of its own, all at once.
bool run_in_children(const FlipCounts& counts, const std::vector<Work>& all) {
  std::vector<std::unique_ptr<Child>> children;
  for (const Work& work : all)
    children.push_back(std::make_unique<Child>([&](const std::function<void()>&) {
      work();
      return 0;
    }));
  bool alive = true;
  for (const auto& child : children) {
    const Child::End end = child->join();
    if (end.exit_code == 0) continue;
    alive = false;
    std::fprintf(stderr, "BROKEN: near index flip %lu, %s: the process %s\n", counts.flips.load(), counts.last,
                 end.to_string().c_str());
  }
  return alive;
}

void print(const FlipCounts& counts, std::uint64_t seed) {
  std::printf(
      "flips=%lu found_at_open=%lu found_at_use=%lu found_by_verify=%lu without_meaning=%lu made_again=%lu "
      "wrong_answers=%lu seed=%lu\n",
      counts.flips.load(), counts.at_open.load(), counts.at_use.load(), counts.by_verify.load(),
      counts.without_meaning.load(), counts.made_again.load(), counts.wrong.load(), seed);
}

}  // namespace

bool run_index_flips(const Settings& settings, Random& random) {
  const SharedMemory<FlipCounts> counts;
  const std::size_t jobs = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kJobsMax);
  const auto directory = [&](std::size_t job) { return settings.directory / ("indexed-" + std::to_string(job)); };
  bool alive = run_in_children(*counts, {[&] { IndexFlips(directory(0), settings.seed, *counts, 0).make(); }});
  for (std::size_t job = 1; job < jobs && alive && counts->sound(); ++job)
    std::filesystem::copy(directory(0), directory(job), std::filesystem::copy_options::recursive);
  while (alive && counts->sound() && counts->flips < settings.index_flips) {
    std::vector<Work> all;
    std::uint64_t left = settings.index_flips - counts->flips;
    for (std::size_t job = 0; job < jobs && left > 0; ++job) {
      const std::uint64_t seed = random.next(), n = std::min(kPerChild, (left + jobs - job - 1) / (jobs - job));
      left -= n;
      all.emplace_back([&, job, seed, n] { IndexFlips(directory(job), settings.seed, *counts, seed).run(n); });
    }
    alive = run_in_children(*counts, all);
    std::fprintf(stderr, "index flips %lu/%lu  wrong_answers=%lu\n", counts->flips.load(), settings.index_flips,
                 counts->wrong.load());
  }
  if (counts->found < static_cast<std::uint64_t>(kTarget * static_cast<float>(counts->expected)))
    report(counts->wrong, "recall of indexes that were made again: " + std::to_string(counts->found) + " of " +
                              std::to_string(counts->expected));
  print(*counts, settings.seed);
  return alive && counts->sound();
}

}  // namespace mneme::crash
