// LoadPause: tells when a load of rows has paused, for work that the rest of the load would make useless.
//
// Nothing is noted, and no clock read, but while such work waits.
#pragma once

#include <atomic>
#include <chrono>
#include <utility>

namespace mneme::index {

/// Threads: added() of the writer, is_awaited(), has_come() and come() of any, the others of one at a time in the background.
class LoadPause {
 public:
  void added() {
    if (awaited_.load(std::memory_order_relaxed)) last_add_.store(ticks(), std::memory_order_relaxed);
  }
  /// It is waited for, and nothing was added for so long that no load is under way.
  bool has_come() const {
    return awaited_.load(std::memory_order_acquire) &&
           Clock::duration(ticks() - last_add_.load(std::memory_order_relaxed)) >= kPause;
  }
  bool is_awaited() const { return awaited_.load(std::memory_order_acquire); }
  /// Waits for it while there is work that does. @return whether to do that work now
  bool wait_for(bool work) {
    const bool here = has_come();
    if (work && !awaited_) {
      last_add_ = ticks();
      may_be_near_ = true;
    }
    awaited_.store(work && !here, std::memory_order_release);
    return work && here;
  }
  /// It is waited for, and nobody has asked yet: other work may wait as well, once.
  bool may_be_near() { return awaited_ && std::exchange(may_be_near_, false); }
  /// As if nothing had been added for that long.
  void come() { last_add_.store(ticks() - Clock::duration(kPause).count(), std::memory_order_relaxed); }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kPause{150};
  static Clock::rep ticks() { return Clock::now().time_since_epoch().count(); }

  std::atomic<bool> awaited_{false};
  std::atomic<Clock::rep> last_add_{0};  // while awaited_
  bool may_be_near_ = false;
};

}  // namespace mneme::index
