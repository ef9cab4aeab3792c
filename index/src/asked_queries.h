// AskedQueries: a sample of the queries that were asked, on which effort is measured.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "effort.h"
#include "mneme/base/mutex.h"

namespace mneme::index {

/// The first kMax, and from then on one of kEvery, or one that was unusual, in the place of the oldest. Threads: any.
class AskedQueries {
 public:
  /// @return whether it is time to measure
  bool remember(std::span<const float> query, bool unusual) {
    const std::uint64_t number = count_.fetch_add(1, std::memory_order_relaxed);
    if (unusual) unusual_.fetch_add(1, std::memory_order_relaxed);
    if (number < kMax || number % kEvery == 0 || unusual) {
      MutexLock lock(mutex_);
      const std::size_t at = next_++ % kMax * query.size();
      if (sample_.size() < at + query.size()) sample_.resize(at + query.size());
      std::copy(query.begin(), query.end(), sample_.begin() + static_cast<std::ptrdiff_t>(at));
    }
    return is_time_to_measure();
  }
  bool is_time_to_measure() const {
    return count_.load(std::memory_order_relaxed) >= measure_at_.load(std::memory_order_relaxed) ||
           unusual_.load(std::memory_order_relaxed) >= kMax;
  }
  /// The next time comes when the sample is full, then with sixteen times as many queries, or with a sample of unusual
  /// ones: what is asked has changed.
  void measured() {
    unusual_.store(0, std::memory_order_relaxed);
    const std::uint64_t count = count_.load(std::memory_order_relaxed);
    measure_at_.store(count < kMax ? kMax : count * kGrowth, std::memory_order_relaxed);
  }
  /// What was measured rests on a first sample: after the next time searches may be far quicker.
  bool are_few() const { return count_.load(std::memory_order_relaxed) < kMax * kGrowth; }
  /// By an earlier process: as if a full sample had been asked and measured.
  void measured_before() { measure_at_.store(kMax * kGrowth, std::memory_order_relaxed); }
  /// Row-major.
  std::vector<float> sample() const {
    MutexLock lock(mutex_);
    return sample_;
  }
  std::uint64_t bytes_used() const {
    MutexLock lock(mutex_);
    return sample_.capacity() * sizeof(float);
  }

 private:
  static constexpr std::size_t kMax = 512;
  static constexpr std::uint64_t kEvery = 16, kGrowth = 16;

  std::atomic<std::uint64_t> count_{0}, measure_at_{EffortTable::kAskedMin}, unusual_{0};
  mutable Mutex mutex_;
  std::vector<float> sample_ MNEME_GUARDED_BY(mutex_);
  std::size_t next_ MNEME_GUARDED_BY(mutex_) = 0;
};

}  // namespace mneme::index
