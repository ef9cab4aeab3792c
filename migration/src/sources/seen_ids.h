// Which ids an import has seen, and on which line: 24 bytes an id, whatever its length.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "mneme/base/checksum.h"
#include "mneme/base/clock.h"

namespace mneme::migration {

/// 128 bits of an id, salted once per import, so that no file can be made whose ids collide.
struct IdHash {
  std::uint64_t high = 0, low = 0;
  friend bool operator==(const IdHash&, const IdHash&) = default;
};

class IdHasher {
 public:
  IdHasher() : high_seed_(system_random().next()), low_seed_(system_random().next()) {}
  /// Threads: any.
  IdHash operator()(std::string_view id) const {
    return {xxh3_64(as_bytes(id), high_seed_), xxh3_64(as_bytes(id), low_seed_)};
  }

 private:
  std::uint64_t high_seed_, low_seed_;
};

/// An open-addressed table from hash to line. Threads: one.
class SeenIds {
 public:
  SeenIds() : slots_(1024) {}

  /// Notes an id; the line where it was before, when it was.
  std::optional<std::uint64_t> insert(const IdHash& hash, std::uint64_t line) {
    if ((count_ + 1) * 4 > slots_.size() * 3) grow();
    Slot& slot = find(hash);
    if (slot.line != 0) return slot.line;
    slot = {hash, line};
    ++count_;
    return std::nullopt;
  }

 private:
  struct Slot {
    IdHash hash;
    std::uint64_t line = 0;  // lines count from 1; 0 = free
  };

  Slot& find(const IdHash& hash) {
    std::size_t at = hash.low & (slots_.size() - 1);
    while (slots_[at].line != 0 && slots_[at].hash != hash) at = (at + 1) & (slots_.size() - 1);
    return slots_[at];
  }

  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old)
      if (slot.line != 0) find(slot.hash) = slot;
  }

  std::vector<Slot> slots_;  // a power of two
  std::size_t count_ = 0;
};

}  // namespace mneme::migration
