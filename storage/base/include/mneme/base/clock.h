// Injected clock and randomness: nothing in Mneme asks the operating system directly.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include "mneme/base/ids.h"
#include "mneme/base/time.h"

namespace mneme {

/// Threads: any number of callers.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Wall time; may jump. Never used to order changes.
  virtual Timestamp now() const = 0;
  /// Time since an arbitrary start; never goes back.
  virtual std::chrono::nanoseconds monotonic() const = 0;
};

/// The machine's clock.
const Clock& system_clock();

/// A clock that stands still until it is told to move, for tests.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Timestamp start = Timestamp(std::chrono::seconds(1'700'000'000)));
  Timestamp now() const override;
  std::chrono::nanoseconds monotonic() const override;
  void set(Timestamp time);                     ///< jumps wall time, also backwards
  void advance(std::chrono::nanoseconds step);  ///< moves both

 private:
  std::atomic<std::int64_t> wall_us_;
  std::atomic<std::int64_t> monotonic_ns_{0};
};

/// Threads: any number of callers.
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::uint8_t> into) = 0;
  std::uint64_t next();                      ///< 64 uniform bits
  std::uint64_t below(std::uint64_t bound);  ///< uniform in [0, bound); bound > 0
};

/// getrandom(2).
Random& system_random();

/// The same seed gives the same bytes (xoshiro256**), for tests and generators.
std::unique_ptr<Random> seeded_random(std::uint64_t seed);

/// RFC 9562 version 7: 48 bits of milliseconds, 74 random bits.
Uuid uuid_v7(const Clock& clock, Random& random);

}  // namespace mneme
