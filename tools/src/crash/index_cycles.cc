// Kills while an index is compressed, saved, restored, compacted and dropped: what was acknowledged is found, what was
// erased is not, and no kill ever looks like damage.
#include <cstdio>
#include <string>

#include "cycles.h"
#include "indexed_space.h"
#include "process.h"
#include "workload.h"

namespace mneme::crash {

namespace {

using std::chrono::microseconds;

constexpr microseconds kReadyMax{120'000'000};
constexpr microseconds kWorkingMax{800'000}, kSaveMax{10'000'000}, kEarlyMax{500'000};
constexpr std::uint64_t kEarlyKillEvery = 5, kSavesEvery = 2, kDropsEvery = 6, kDeepEvery = 5;
constexpr std::uint64_t kCyclesPerDirectory = 60;
constexpr double kMissedMost = 0.02;  // the target permits 0.01

std::unique_ptr<Database> open(const std::filesystem::path& directory, IndexedModel& model, std::uint64_t seed) {
  DatabaseOptions options = small_database();
  options.hot_bytes_max = 8 * kMiB;
  options.cold_indexes = seed % 2 == 0;
  options.log = [&model](std::string_view line) {
    if (line.find("is read from the database again") != std::string_view::npos)
      report(model.damaged, std::string(line));
  };
  Result<std::unique_ptr<Database>> database = Database::open(directory, options);
  if (database) return std::move(*database);
  report(model.lost, "reopen after a kill: " + database.status().to_string());
  return nullptr;
}

struct Life {
  std::uint64_t seed = 0;
  bool deep = false, drops = false, writes = true;
};

int run_child(const std::filesystem::path& directory, IndexedModel& model, const Life& life,
              const std::function<void()>& ready) {
  const std::unique_ptr<Database> database = open(directory, model, life.seed);
  if (!database) return 0;
  check_indexed(*database, model, life.seed, life.deep);
  ready();
  if (life.writes && model.sound()) run_indexed_workload(*database, model, life.seed, life.drops);
  const Status closed = database->close();
  if (!closed) report(model.lost, "close: " + closed.to_string());
  return 0;
}

/// Lets the child work until it has saved an index. False when it ended, or did not within `limit`.
bool wait_for_a_save(Child& child, const IndexedModel& model, std::uint64_t saved_before, microseconds limit) {
  constexpr microseconds kStep{1'000};
  for (auto left = limit; model.saved == saved_before; left -= kStep)
    if (left.count() <= 0 || child.ends_within(kStep)) return false;
  return true;
}

/// Runs one child up to its kill. False when it ended otherwise.
bool run_and_kill(const std::filesystem::path& directory, IndexedModel& model, Random& random, std::uint64_t cycle) {
  const bool first = cycle % kCyclesPerDirectory == 0, early = !first && cycle % kEarlyKillEvery == kEarlyKillEvery - 1;
  const Life life{random.next(), cycle % kDeepEvery == 0, cycle % kDropsEvery == kDropsEvery - 1, true};
  const microseconds delay(random.below(static_cast<std::uint64_t>((early ? kEarlyMax : kWorkingMax).count())));
  const std::uint64_t saved = model.saved;
  Child child([&](const std::function<void()>& ready) { return run_child(directory, model, life, ready); });
  bool stuck = !early && child.wait_ready(kReadyMax) == Child::Event::Timeout;
  // The first leaves an index behind, so that there is something to restore from then on; others are killed soon after
  // a save, or in the next.
  if (first && !stuck)
    stuck = !wait_for_a_save(child, model, saved, kReadyMax);
  else if (!early && cycle % kSavesEvery == 0)
    static_cast<void>(wait_for_a_save(child, model, saved, kSaveMax));
  const bool ended = child.ends_within(stuck ? microseconds(0) : delay);
  const Child::End end = ended ? child.join() : child.kill();
  if (stuck) std::fprintf(stderr, "BROKEN: index cycle %lu: no reopen, or no saved index, within two minutes\n", cycle);
  if (!end.killed_by_us && model.sound())
    std::fprintf(stderr, "BROKEN: index cycle %lu: the process %s\n", cycle, end.to_string().c_str());
  return end.killed_by_us && !stuck;
}

bool check_last(const std::filesystem::path& directory, IndexedModel& model, Random& random) {
  const Life life{random.next(), true, false, false};
  Child child([&](const std::function<void()>& ready) { return run_child(directory, model, life, ready); });
  const Child::End end = child.join();
  if (end.exit_code != 0) std::fprintf(stderr, "BROKEN: the last check %s\n", end.to_string().c_str());
  return end.exit_code == 0;
}

void start_again(const std::filesystem::path& directory, IndexedModel& model) {
  std::filesystem::remove_all(directory);
  for (IndexedModel::Key& key : model.keys) key.state.settle({});
  model.epoch.settle(0);
}

bool misses_are_few(const IndexedModel& model) {
  return static_cast<double>(model.self_missed) <= kMissedMost * static_cast<double>(model.self_queries) + 3;
}

}  // namespace

bool run_index_cycles(const Settings& settings, Random& random) {
  const SharedMemory<IndexedModel> model;
  const std::filesystem::path directory = settings.directory / "indexed-killed";
  bool alive = true;
  std::uint64_t cycle = 0;
  while (cycle < settings.index_cycles && alive && model->sound()) {
    if (cycle % kCyclesPerDirectory == 0 && cycle != 0) {
      alive = check_last(directory, *model, random);
      if (!alive || !model->sound()) break;
      start_again(directory, *model);
    }
    alive = run_and_kill(directory, *model, random, cycle++);
    if (cycle % 10 == 0 || cycle == settings.index_cycles)
      std::fprintf(stderr, "index cycles %lu/%lu  acked=%lu saved=%lu restored=%lu lost=%lu wrong=%lu damaged=%lu\n",
                   cycle, settings.index_cycles, model->acknowledged.load(), model->saved.load(),
                   model->restored.load(), model->lost.load(), model->wrong.load(), model->damaged.load());
  }
  if (alive && model->sound()) alive = check_last(directory, *model, random);
  if (!misses_are_few(*model)) report(model->wrong, "approximate searches miss too many of the vectors they ask for");
  std::printf(
      "index_cycles=%lu index_saved=%lu index_restored=%lu index_loaded=%lu index_damaged=%lu spaces_dropped=%lu "
      "acked_changes=%lu indeterminate_changes=%lu acked_lost=%lu wrong_answers=%lu self_queries=%lu self_missed=%lu "
      "seed=%lu\n",
      cycle, model->saved.load(), model->restored.load(), model->loaded.load(), model->damaged.load(),
      model->drops.load(), model->acknowledged.load(), model->indeterminate.load(), model->lost.load(),
      model->wrong.load(), model->self_queries.load(), model->self_missed.load(), settings.seed);
  return alive && model->sound();
}

}  // namespace mneme::crash
