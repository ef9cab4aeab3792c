// Long work on threads, watched by the thread that asked for it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "mneme/base/clock.h"
#include "mneme/base/result.h"
#include "mneme/migration/import_export.h"

namespace mneme::migration {

/// Turns true when the work is to end early; look at it between records.
class StopFlag {
 public:
  void set() { stopped_.store(true, std::memory_order_relaxed); }
  bool is_set() const { return stopped_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> stopped_{false};
};

/// What a worker returns when it ended early because it was told to.
Status stopped_early();

/// Runs `work(item, stop)` once for each item in [0, items), lower items first, on at most `workers` threads, while the
/// calling thread calls `tick` ten times a second and once at the end. `tick` returns false to cancel.
///
/// @return the first error of any item, which also stops the others; Cancelled when `tick` said so; else ok
///
/// Plain threads, not tasks of a pool: an item waits for the disk most of its time, and `workers` may exceed the cores.
Status run_workers(unsigned workers, std::size_t items,
                   const std::function<Status(std::size_t item, const StopFlag& stop)>& work,
                   const std::function<bool()>& tick);

/// `asked`, or one per core when it is 0.
unsigned worker_count(unsigned asked);

/// How much work.
struct WorkAmount {
  std::uint64_t records = 0, bytes = 0;
};

/// Counts what workers have done and tells it to a ProgressFn with a rate over the last ten seconds.
/// Threads: add() from any; the others from one.
class ProgressMeter {
 public:
  ProgressMeter(ProgressFn progress, const Clock& clock) : progress_(std::move(progress)), clock_(clock) {}

  /// Starts a phase of which `done` is already behind us; that counts as done but not for the rate.
  void begin(std::string phase, WorkAmount total, WorkAmount done = {});
  void add(WorkAmount amount) {
    records_.fetch_add(amount.records, std::memory_order_relaxed);
    bytes_.fetch_add(amount.bytes, std::memory_order_relaxed);
  }
  /// False when the receiver wants to cancel.
  bool report();
  double phase_seconds() const;

 private:
  struct Sample {
    std::chrono::nanoseconds at;
    std::uint64_t records;
  };
  static constexpr std::chrono::seconds kWindow{10};

  ProgressFn progress_;
  const Clock& clock_;
  std::string phase_;
  WorkAmount total_;
  std::atomic<std::uint64_t> records_{0}, bytes_{0};
  std::chrono::nanoseconds started_{};
  std::deque<Sample> window_;
};

}  // namespace mneme::migration
