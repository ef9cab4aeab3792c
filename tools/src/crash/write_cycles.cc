#include <cstdio>
#include <string>

#include "check.h"
#include "cycles.h"
#include "model.h"
#include "process.h"
#include "workload.h"

namespace mneme::crash {

namespace {

using std::chrono::microseconds;

constexpr microseconds kWritingMax{300'000};
// A child that neither opens nor checks within this is stuck.
constexpr microseconds kReadyMax{120'000'000};
// A fresh directory now and then, so that recoveries of young databases are seen as well.
constexpr std::uint64_t kCyclesPerDirectory = 100;
// Every so many cycles the kill comes at any moment since the start: in the open, the replay, the check.
constexpr std::uint64_t kEarlyKillEvery = 6;
constexpr microseconds kEarlyMax{150'000};

// What every child does: reopen, check what the kill before it left, write on.
int run_child(const std::filesystem::path& directory, Model& model, std::uint64_t seed, bool write,
              const std::function<void()>& ready) {
  const Result<std::unique_ptr<Database>> database = Database::open(directory, small_database());
  if (!database) {
    report(model.lost, "reopen after a kill: " + database.status().to_string());
    return 0;
  }
  model.replayed.fetch_add((*database)->recovery().records);
  Result<Space> space = (*database)->space(kSpaceName);
  if (!space && space.status().code() == Code::NotFound)
    space = (*database)->create_space(kSpaceName, {.dimension = kDimension});
  if (!space) {
    report(model.lost, "the space after a kill: " + space.status().to_string());
    return 0;
  }
  check_database(**database, *space, model, seed);
  ready();
  if (write && model.sound()) run_workload(**database, *space, model, seed);
  const Status closed = (*database)->close();
  if (!closed) report(model.lost, "close: " + closed.to_string());
  return 0;
}

/// Runs one child up to its kill. False when it ended otherwise.
bool run_and_kill(const Settings& settings, Model& model, Random& random, std::uint64_t cycle) {
  const std::uint64_t seed = random.next();
  const bool early = cycle % kEarlyKillEvery == kEarlyKillEvery - 1;
  const microseconds delay(random.below(early ? kEarlyMax.count() : kWritingMax.count()));
  Child child([&](const std::function<void()>& ready) {
    return run_child(settings.directory / "database", model, seed, /*write=*/true, ready);
  });
  bool stuck = false;
  if (!early) stuck = child.wait_ready(kReadyMax) == Child::Event::Timeout;
  const bool ended = child.ends_within(stuck ? microseconds(0) : delay);
  const Child::End end = ended ? child.join() : child.kill();
  if (stuck) std::fprintf(stderr, "BROKEN: cycle %lu: no reopen within two minutes\n", cycle);
  if (!end.killed_by_us && model.sound())
    std::fprintf(stderr, "BROKEN: cycle %lu: the writer %s\n", cycle, end.to_string().c_str());
  return end.killed_by_us && !stuck;
}

/// Kills a child that has written for a while, and makes everything as it was before. False when it ended otherwise.
bool run_and_lose(const Settings& settings, Model& model, Random& random) {
  constexpr std::uint64_t kLostCalls = 50;
  const std::filesystem::path database = settings.directory / "database", older = settings.directory / "older";
  std::filesystem::copy(database, older, std::filesystem::copy_options::recursive);
  const std::uint64_t seed = random.next(), before = model.acknowledged;
  Child child([&](const std::function<void()>& ready) { return run_child(database, model, seed, true, ready); });
  bool ended = false;
  while (!ended && model.acknowledged < before + kLostCalls) ended = child.ends_within(microseconds(1'000));
  const Child::End end = child.kill();
  std::filesystem::remove_all(database);
  std::filesystem::rename(older, database);
  return end.killed_by_us;
}

/// The last reopen, closed in peace, and one more after that.
bool check_last(const Settings& settings, Model& model, Random& random) {
  for (int i = 0; i < 2; ++i) {
    const std::uint64_t seed = random.next();
    Child child([&](const std::function<void()>& ready) {
      return run_child(settings.directory / "database", model, seed, /*write=*/false, ready);
    });
    const Child::End end = child.join();
    if (end.exit_code != 0) {
      std::fprintf(stderr, "BROKEN: the last check %s\n", end.to_string().c_str());
      return false;
    }
  }
  return true;
}

Outcome outcome_of(const Model& model, std::uint64_t cycles, bool died) {
  Outcome outcome;
  outcome.cycles = cycles;
  outcome.acknowledged = model.acknowledged;
  outcome.indeterminate = model.indeterminate;
  outcome.lost = model.lost;
  outcome.torn = model.torn;
  outcome.duplicates = model.duplicates;
  outcome.died_by_itself = died;
  return outcome;
}

}  // namespace

Outcome run_write_cycles(const Settings& settings, Random& random) {
  const SharedMemory<Model> model;
  std::uint64_t cycle = 0;
  bool died = false;
  while (cycle < settings.cycles && !died && model->sound()) {
    if (cycle % kCyclesPerDirectory == 0 && cycle != 0) {
      died = !check_last(settings, *model, random);
      if (died || !model->sound()) break;
      std::filesystem::remove_all(settings.directory / "database");
      model->forget();
    }
    const bool lose = settings.lose_last_cycle && cycle + 1 == settings.cycles && cycle % kCyclesPerDirectory != 0;
    died = lose ? !run_and_lose(settings, *model, random) : !run_and_kill(settings, *model, random, cycle);
    ++cycle;
    say_progress("write cycles", cycle, settings.cycles, outcome_of(*model, cycle, died));
  }
  if (cycle > 0 && !died && model->sound()) died = !check_last(settings, *model, random);
  std::fprintf(stderr, "write cycles: %lu checks after a reopen, %lu log records replayed, %lu calls refused\n",
               model->checks.load(), model->replayed.load(), model->refused.load());
  return outcome_of(*model, cycle, died);
}

}  // namespace mneme::crash
