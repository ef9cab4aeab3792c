#include "workers.h"

#include <algorithm>
#include <exception>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "mneme/base/mutex.h"

namespace mneme::migration {

namespace {

constexpr std::chrono::milliseconds kTick{100};

/// One run_workers() call: the queue of items and how it ends.
class Run {
 public:
  Run(std::size_t items, const std::function<Status(std::size_t, const StopFlag&)>& work)
      : items_(items), work_(work) {}

  void start(unsigned threads) {
    MutexLock lock(mutex_);
    for (unsigned i = 0; i < threads; ++i) {
      try {
        threads_.emplace_back([this] { pull(); });
        ++running_;
      } catch (const std::system_error& error) {
        // Fewer threads do the same work; none at all is an error.
        if (threads_.empty())
          first_error_ = Status(Code::Internal, std::string("start a migration worker: ") + error.what());
        return;
      }
    }
  }

  /// Waits for the end or for one tick. True at the end.
  bool wait_a_tick() {
    MutexLock lock(mutex_);
    if (running_ > 0) ended_.wait_for(mutex_, kTick);
    return running_ == 0;
  }

  void cancel() {
    cancelled_ = true;
    stop_.set();
  }

  Status finish() {
    for (std::thread& thread : threads_) thread.join();
    MutexLock lock(mutex_);
    if (!first_error_) return first_error_;
    if (cancelled_) return Status(Code::Cancelled, "stopped on request");
    return {};
  }

 private:
  void pull() {
    while (!stop_.is_set()) {
      const std::size_t item = next_.fetch_add(1, std::memory_order_relaxed);
      if (item >= items_) break;
      if (Status done = run(item); !done) {
        fail(std::move(done));
        break;
      }
    }
    MutexLock lock(mutex_);
    if (--running_ == 0) ended_.notify_all();
  }

  Status run(std::size_t item) {
    try {
      return work_(item, stop_);
    } catch (const std::exception& error) {
      // Nothing here throws but the allocator; an exception must not leave a thread.
      return Status(Code::Internal, std::string("a migration worker ended with an exception: ") + error.what());
    }
  }

  void fail(Status error) {
    MutexLock lock(mutex_);
    const bool told_to = stop_.is_set() && error.code() == Code::Cancelled;
    if (first_error_.ok() && !told_to) first_error_ = std::move(error);
    stop_.set();
  }

  const std::size_t items_;
  const std::function<Status(std::size_t, const StopFlag&)>& work_;
  std::atomic<std::size_t> next_{0};
  StopFlag stop_;
  bool cancelled_ = false;  // by the watching thread only

  Mutex mutex_;
  CondVar ended_;
  unsigned running_ MNEME_GUARDED_BY(mutex_) = 0;
  Status first_error_ MNEME_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;  // the watching thread's
};

}  // namespace

Status stopped_early() { return Status(Code::Cancelled, "stopped early"); }

Status run_workers(unsigned workers, std::size_t items,
                   const std::function<Status(std::size_t item, const StopFlag& stop)>& work,
                   const std::function<bool()>& tick) {
  Run run(items, work);
  run.start(static_cast<unsigned>(std::min<std::size_t>(workers, items)));
  while (!run.wait_a_tick())
    if (!tick()) run.cancel();
  MNEME_TRY(run.finish());
  return tick() ? Status() : Status(Code::Cancelled, "stopped on request");
}

unsigned worker_count(unsigned asked) { return asked != 0 ? asked : std::max(1U, std::thread::hardware_concurrency()); }

void ProgressMeter::begin(std::string phase, WorkAmount total, WorkAmount done) {
  phase_ = std::move(phase);
  total_ = total;
  records_ = done.records;
  bytes_ = done.bytes;
  started_ = clock_.monotonic();
  window_.assign(1, Sample{started_, done.records});
}

double ProgressMeter::phase_seconds() const {
  return std::chrono::duration<double>(clock_.monotonic() - started_).count();
}

bool ProgressMeter::report() {
  if (!progress_) return true;
  const Sample now{clock_.monotonic(), records_.load(std::memory_order_relaxed)};
  while (window_.size() > 1 && now.at - window_.front().at > kWindow) window_.pop_front();
  const Sample& then = window_.front();
  const double seconds = std::chrono::duration<double>(now.at - then.at).count();

  Progress progress;
  progress.phase = phase_;
  progress.done = now.records;
  progress.total = total_.records;
  progress.bytes_done = bytes_.load(std::memory_order_relaxed);
  progress.bytes_total = total_.bytes;
  progress.seconds = phase_seconds();
  if (seconds > 0) progress.records_per_second = static_cast<double>(now.records - then.records) / seconds;
  if (progress.records_per_second > 0 && total_.records >= now.records)
    progress.eta_seconds = static_cast<double>(total_.records - now.records) / progress.records_per_second;
  window_.push_back(now);
  return progress_(progress);
}

}  // namespace mneme::migration
