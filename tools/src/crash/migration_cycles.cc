#include <algorithm>
#include <cstdio>
#include <string>
#include <unordered_set>
#include <vector>

#include "cycles.h"
#include "mneme/migration/legacy_store.h"
#include "mneme/migration/migrator.h"
#include "model.h"
#include "process.h"

namespace mneme::crash {

namespace {

using migration::LegacyStore;
using migration::Memory;
using std::chrono::microseconds;

constexpr std::string_view kSpaceName = "migrated";
constexpr std::uint32_t kMemoryDimension = 24;
constexpr std::size_t kMemoriesPerPut = 1'000;

struct MigrationCounts {
  std::atomic<std::uint64_t> acknowledged{0}, lost{0}, torn{0}, duplicates{0};
  std::atomic<std::uint64_t> migrated_before{0}, migrated_now{0};  // by the run that just ended
  bool sound() const { return lost == 0 && torn == 0 && duplicates == 0; }
};

Memory memory_of(std::uint64_t seed, std::uint64_t number) {
  const std::unique_ptr<Random> random = seeded_random(seed * 1'000'003 + number);
  Memory memory;
  memory.id = "memory/" + std::to_string(random->below(1'000'000'000)) + "/" + std::to_string(number);
  memory.content = std::string(random->below(random->below(50) == 0 ? 20'000 : 200), 'a');
  for (char& c : *memory.content) c = static_cast<char>('a' + random->below(26));
  if (random->below(10) != 0) {
    memory.embedding.emplace(kMemoryDimension);
    for (float& value : *memory.embedding) value = static_cast<float>(random->below(2'000'001)) / 1e6F - 1.0F;
  }
  if (random->below(2) == 0) memory.access_count = random->below(1'000);
  if (random->below(2) == 0) memory.created_at = Timestamp(microseconds(random->below(2'000'000'000'000'000)));
  if (random->below(3) == 0) {
    memory.metadata.emplace();
    memory.metadata->set("number", static_cast<std::int64_t>(number));
  }
  return memory;
}

Status fill_source(const std::filesystem::path& directory, const Settings& settings) {
  migration::LegacyOptions options;
  options.create_if_missing = true;
  MNEME_ASSIGN(const auto store, LegacyStore::open(directory, options));
  std::vector<Memory> batch;
  for (std::uint64_t number = 0; number < settings.memories; ++number) {
    batch.push_back(memory_of(settings.seed, number));
    if (batch.size() < kMemoriesPerPut && number + 1 < settings.memories) continue;
    MNEME_TRY(store->put_unsynced(batch));
    batch.clear();
  }
  MNEME_TRY(store->sync());
  MNEME_TRY(store->flush());
  return store->close();
}

/// Both sides, opened as every run does.
struct Sides {
  std::unique_ptr<LegacyStore> source;
  std::unique_ptr<Database> target;
  std::filesystem::path target_directory;

  static Result<Sides> open(const Settings& settings) {
    Sides sides;
    sides.target_directory = settings.directory / "target";
    MNEME_ASSIGN(sides.source, LegacyStore::open(settings.directory / "source", {}));
    DatabaseOptions options;
    options.create_if_missing = true;
    options.hot_bytes_max = kMiB;
    options.log_bytes_max = 4 * kMiB;
    options.block_cache_bytes = 8 * kMiB;
    MNEME_ASSIGN(sides.target, Database::open(sides.target_directory, options));
    return sides;
  }

  Result<Space> space() const {
    Result<Space> space = target->space(kSpaceName);
    if (!space && space.status().code() == Code::NotFound)
      space = target->create_space(kSpaceName, {.dimension = kMemoryDimension});
    return space;
  }
};

Status migrate(const Settings& settings, MigrationCounts& counts, std::uint64_t seed,
               const std::function<void()>& ready) {
  const std::unique_ptr<Random> random = seeded_random(seed);
  MNEME_ASSIGN(const Sides sides, Sides::open(settings));
  MNEME_ASSIGN(const Space space, sides.space());
  migration::MigrationOptions options;
  options.resume = true;
  options.parallel_workers = static_cast<unsigned>(1 + random->below(4));
  options.batch_size = 50 + random->below(1'500);
  options.partitions = 1 + random->below(32);
  ready();
  MNEME_ASSIGN(const migration::MigrationResult result,
               migration::migrate_offline(*sides.source, *sides.target, space, sides.target_directory, options));
  counts.acknowledged += result.migrated_now;
  if (!result.verified) return Status(Code::Internal, "a migration ended without an error and unverified");
  if (result.migrated + result.quarantined != settings.memories)
    return Status(Code::Internal, "a migration ended with " + std::to_string(result.migrated) + " of " +
                                      std::to_string(settings.memories) + " memories");
  MNEME_TRY(sides.target->close());
  return sides.source->close();
}

/// Every memory of the source is in the target and equal; nothing else is.
Status compare(const Settings& settings, MigrationCounts& counts) {
  MNEME_ASSIGN(const Sides sides, Sides::open(settings));
  MNEME_ASSIGN(const Space space, sides.space());
  MNEME_TRY(sides.source->scan(sides.source->view(), {}, {}, [&](const LegacyStore::RawRecord& record) {
    const std::string id(record.id);
    const Result<Memory> expected = migration::decode_memory(record.encoded);
    const Result<NodeView> view = space.get(space.id_for_external(id));
    const Result<Node> node = view ? view->node() : Result<Node>(view.status());
    const Result<Memory> found = node ? migration::to_memory(*node) : Result<Memory>(node.status());
    if (!expected || !found)
      report(counts.lost, "memory " + id + ": " + (expected ? found.status() : expected.status()).to_string());
    else if (*found != *expected)
      report(counts.torn, "memory " + id + " is not in the target as in the source");
    return true;
  }));
  std::unordered_set<NodeId> seen;
  MNEME_TRY(space.scan({}, [&](const NodeView& view) {
    if (!seen.insert(view.id()).second) report(counts.duplicates, "two rows of " + view.id().to_string());
    return true;
  }));
  if (seen.size() > settings.memories)
    report(counts.duplicates, "the target holds " + std::to_string(seen.size()) + " nodes");
  MNEME_ASSIGN(const SpaceStats stats, space.stats());
  if (stats.nodes != settings.memories)
    report(counts.torn, "the target counts " + std::to_string(stats.nodes) + " nodes");
  MNEME_ASSIGN(const VerifyReport verified, sides.target->verify(/*deep=*/true));
  for (const std::string& problem : verified.problems) report(counts.torn, "verify: " + problem);
  MNEME_TRY(sides.target->close());
  return sides.source->close();
}

class MigrationCycles {
 public:
  MigrationCycles(const Settings& settings, Random& random) : settings_(settings), random_(random) {}

  Outcome run() {
    if (settings_.migration_cycles == 0) return outcome();
    in_child("fill the legacy store", [&] { return fill_source(settings_.directory / "source", settings_); });
    measure();
    while (kills_ < settings_.migration_cycles && sound()) migrate_under_kills();
    return outcome();
  }

 private:
  bool sound() const { return counts_->sound() && !died_; }

  // How long a migration takes here that nobody kills, so that kills fall into all of it.
  void measure() {
    if (!sound()) return;
    start_afresh();
    const auto began = std::chrono::steady_clock::now();
    in_child("migrate", [&] { return migrate(settings_, *counts_, random_.next(), [] {}); });
    whole_run_ = std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now() - began);
    in_child("compare", [&] { return compare(settings_, *counts_); });
  }

  void migrate_under_kills() {
    start_afresh();
    while (sound()) {
      const bool enough = kills_ == settings_.migration_cycles;
      if (enough || !kill_one_run()) break;
      ++kills_;
      say_progress("migration cycles", kills_, settings_.migration_cycles, outcome());
    }
    if (sound()) in_child("migrate to the end", [&] { return migrate(settings_, *counts_, random_.next(), [] {}); });
    if (sound()) in_child("compare", [&] { return compare(settings_, *counts_); });
  }

  /// False when the run was done before its kill came.
  bool kill_one_run() {
    const std::uint64_t seed = random_.next();
    Child child([&](const std::function<void()>& ready) {
      const Status migrated = migrate(settings_, *counts_, seed, ready);
      if (!migrated) report(counts_->lost, "migrate: " + migrated.to_string());
      return migrated ? 0 : 1;
    });
    if (child.ends_within(microseconds(random_.below(static_cast<std::uint64_t>(whole_run_.count()))))) {
      const Child::End end = child.join();
      if (end.exit_code != 0) died("a migration", end);
      return false;
    }
    const Child::End end = child.kill();
    if (!end.killed_by_us && end.exit_code != 0) died("a migration", end);
    return end.killed_by_us;
  }

  void in_child(const char* what, const std::function<Status()>& work) {
    Child child([&](const std::function<void()>&) {
      const Status done = work();
      if (!done) report(counts_->lost, std::string(what) + ": " + done.to_string());
      return done ? 0 : 1;
    });
    const Child::End end = child.join();
    if (end.exit_code != 0) died(what, end);
  }

  void died(const char* what, const Child::End& end) {
    died_ = true;
    std::fprintf(stderr, "BROKEN: %s %s\n", what, end.to_string().c_str());
  }

  void start_afresh() { std::filesystem::remove_all(settings_.directory / "target"); }

  Outcome outcome() const {
    Outcome outcome;
    outcome.cycles = kills_;
    outcome.acknowledged = counts_->acknowledged;
    outcome.lost = counts_->lost;
    outcome.torn = counts_->torn;
    outcome.duplicates = counts_->duplicates;
    outcome.died_by_itself = died_;
    return outcome;
  }

  const Settings& settings_;
  Random& random_;
  const SharedMemory<MigrationCounts> counts_;
  microseconds whole_run_{};
  std::uint64_t kills_ = 0;
  bool died_ = false;
};

}  // namespace

Outcome run_migration_cycles(const Settings& settings, Random& random) {
  return MigrationCycles(settings, random).run();
}

}  // namespace mneme::crash
