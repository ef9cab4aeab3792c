#include "mneme/base/clock.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "mneme/base/mutex.h"

namespace mneme {

namespace {

using std::chrono::duration_cast;
using std::chrono::floor;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

class SystemClock final : public Clock {
 public:
  Timestamp now() const override { return floor<microseconds>(std::chrono::system_clock::now()); }
  nanoseconds monotonic() const override {
    return duration_cast<nanoseconds>(std::chrono::steady_clock::now().time_since_epoch());
  }
};

class SystemRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> into) override {
    while (!into.empty()) {
      const ssize_t got = ::getrandom(into.data(), into.size(), 0);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        // Ids made from anything else could repeat and overwrite nodes: there is no safe way on.
        std::fprintf(stderr, "mneme: getrandom of %zu bytes: %s\n", into.size(), std::strerror(errno));
        std::abort();
      }
      into = into.subspan(static_cast<std::size_t>(got));
    }
  }
};

// xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021), seeded by
// splitmix64 as its authors advise, so that no seed gives the all-zero state.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) {
    for (std::uint64_t& word : state_) {
      seed += 0x9E3779B97F4A7C15;
      std::uint64_t mixed = seed;
      mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
      mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
      word = mixed ^ (mixed >> 31);
    }
  }

  void fill(std::span<std::uint8_t> into) override {
    const MutexLock lock(mutex_);
    while (!into.empty()) {
      const std::uint64_t word = step();
      const std::size_t size = std::min(into.size(), sizeof word);
      std::memcpy(into.data(), &word, size);
      into = into.subspan(size);
    }
  }

 private:
  std::uint64_t step() MNEME_REQUIRES(mutex_) {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  Mutex mutex_;
  std::array<std::uint64_t, 4> state_ MNEME_GUARDED_BY(mutex_);
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

ManualClock::ManualClock(Timestamp start) : wall_us_(start.time_since_epoch().count()) {}

Timestamp ManualClock::now() const { return Timestamp(microseconds(wall_us_.load())); }

nanoseconds ManualClock::monotonic() const { return nanoseconds(monotonic_ns_.load()); }

void ManualClock::set(Timestamp time) { wall_us_.store(time.time_since_epoch().count()); }

void ManualClock::advance(nanoseconds step) {
  // Wall time moves by the microseconds that the monotonic clock has completed, so that many small steps
  // add up to the same wall time as one large step.
  const std::int64_t before = monotonic_ns_.fetch_add(step.count());
  const auto whole_us = [](std::int64_t ns) { return floor<microseconds>(nanoseconds(ns)).count(); };
  wall_us_.fetch_add(whole_us(before + step.count()) - whole_us(before));
}

std::uint64_t Random::next() {
  std::array<std::uint8_t, 8> bytes;
  fill(bytes);
  std::uint64_t word;
  std::memcpy(&word, bytes.data(), sizeof word);
  return word;
}

std::uint64_t Random::below(std::uint64_t bound) {
  // The first 2^64 mod bound values would make small results likelier; they are drawn again.
  const std::uint64_t surplus = (0 - bound) % bound;
  for (;;) {
    const std::uint64_t word = next();
    if (word >= surplus) return word % bound;
  }
}

Random& system_random() {
  static SystemRandom random;
  return random;
}

std::unique_ptr<Random> seeded_random(std::uint64_t seed) { return std::make_unique<SeededRandom>(seed); }

Uuid uuid_v7(const Clock& clock, Random& random) {
  Uuid id;
  random.fill(id.bytes);
  // A clock before 1970 has no version 7 form; zero keeps the id valid and still unique by its random bits.
  const std::int64_t since_epoch =
      std::max<std::int64_t>(0, floor<milliseconds>(clock.now()).time_since_epoch().count());
  for (std::size_t i = 0; i < 6; ++i) id.bytes[i] = static_cast<std::uint8_t>(since_epoch >> (40 - 8 * i));
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x70);  // version 7
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);  // variant of RFC 9562
  return id;
}

}  // namespace mneme
