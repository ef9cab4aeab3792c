// AskedQueries: a sample of the queries that were asked, on which effort is measured.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "effort.h"
#include "mneme/base/mutex.h"

namespace mneme::index {

/// The first kMax, and from then on fewer and fewer, down to one of kEvery, each once, in the place of the oldest; all of
/// them while what is asked changes. A query that was asked again says nothing new, and one that is unusual no more than
/// another: what is measured on is to be like what will be asked. Threads: any.
class AskedQueries {
 public:
  /// @return whether it is time to measure
  bool remember(std::span<const float> query, bool unusual) {
    const std::uint64_t number = count_.fetch_add(1, std::memory_order_relaxed);
    if (unusual) unusual_.fetch_add(1, std::memory_order_relaxed);
    if (number % kWindow == kWindow - 1) end_window();
    const std::uint64_t every = std::clamp<std::uint64_t>(number / kMax, 1, kEvery);
    if (number % every == 0 || is_changing_.load(std::memory_order_relaxed)) keep(query);
    return is_time_to_measure();
  }
  bool is_time_to_measure() const {
    return are_enough() && (count_.load(std::memory_order_relaxed) >= measure_at_.load(std::memory_order_relaxed) ||
                            has_changed_.load(std::memory_order_relaxed));
  }
  /// Different queries to measure on.
  bool are_enough() const { return are_enough_.load(std::memory_order_relaxed); }
  /// The next time comes when the sample is full, then with four times as many queries (what was asked first, during a
  /// load perhaps, need not be like what follows), or when what is asked has changed.
  void measured() {
    unusual_.store(0, std::memory_order_relaxed);
    is_changing_.store(false, std::memory_order_relaxed);
    has_changed_.store(false, std::memory_order_relaxed);
    const std::uint64_t count = count_.load(std::memory_order_relaxed);
    measure_at_.store(count < kMax ? kMax : count * kGrowth, std::memory_order_relaxed);
  }
  /// What was measured rests on a first sample: after the next time searches may be far quicker.
  bool are_few() const { return count_.load(std::memory_order_relaxed) < kMany; }
  /// By an earlier process: as if a full sample had been asked and measured.
  void measured_before() { measure_at_.store(kMany, std::memory_order_relaxed); }
  /// Row-major.
  std::vector<float> sample() const {
    MutexLock lock(mutex_);
    return sample_;
  }
  std::uint64_t bytes_used() const {
    MutexLock lock(mutex_);
    return sample_.capacity() * sizeof(float) + hashes_.capacity() * sizeof hashes_[0];
  }

 private:
  static constexpr std::size_t kMax = EffortTable::kAskedForOne;
  static constexpr std::uint64_t kEvery = 16, kGrowth = 4, kMany = kMax * kEvery;
  // Of a full sample, one query in 128 is unusual. Where as many of a window are as one in kUnusualShare,
  // what is asked is changing; after another such window the sample has been renewed.
  static constexpr std::uint64_t kWindow = kMax, kUnusualShare = 8;

  void end_window() {
    const bool is_changing = unusual_.exchange(0, std::memory_order_relaxed) > kWindow / kUnusualShare;
    if (is_changing_.exchange(is_changing, std::memory_order_relaxed) && is_changing)
      has_changed_.store(true, std::memory_order_relaxed);
  }
  void keep(std::span<const float> query) {
    const std::size_t hash =
        std::hash<std::string_view>()({reinterpret_cast<const char*>(query.data()), query.size_bytes()});
    MutexLock lock(mutex_);
    if (std::find(hashes_.begin(), hashes_.end(), hash) != hashes_.end()) return;
    const std::size_t place = next_++ % kMax, at = place * query.size();
    if (hashes_.size() <= place) hashes_.resize(place + 1);
    hashes_[place] = hash;
    if (sample_.size() < at + query.size()) sample_.resize(at + query.size());
    std::copy(query.begin(), query.end(), sample_.begin() + static_cast<std::ptrdiff_t>(at));
    if (hashes_.size() >= EffortTable::kAskedMin) are_enough_.store(true, std::memory_order_relaxed);
  }

  std::atomic<std::uint64_t> count_{0}, measure_at_{EffortTable::kAskedMin}, unusual_{0};
  std::atomic<bool> is_changing_{false}, has_changed_{false}, are_enough_{false};
  mutable Mutex mutex_;
  std::vector<float> sample_ MNEME_GUARDED_BY(mutex_);
  std::vector<std::size_t> hashes_ MNEME_GUARDED_BY(mutex_);  // of the queries in sample_
  std::size_t next_ MNEME_GUARDED_BY(mutex_) = 0;
};

}  // namespace mneme::index
