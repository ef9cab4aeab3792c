// What must be in the database after a kill: per unit of work the last acknowledged state and, where a call was under
// way, the state it was to lead to.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>

namespace mneme::crash {

/// Three states and a word that says which one is acknowledged and which one is pending. One writer; a kill between any
/// two instructions leaves it readable: a state is filled before the word speaks of it.
template <class State>
class Journaled {
 public:
  State acknowledged() const { return states_[acknowledged_slot()]; }
  std::optional<State> pending() const {
    if (pending_slot() == kNone) return std::nullopt;
    return states_[pending_slot()];
  }
  void begin(const State& next) {
    const std::uint32_t slot = free_slot();
    states_[slot] = next;
    word_.store(slot << kPendingShift | acknowledged_slot());
  }
  void acknowledge() { word_.store(kNone << kPendingShift | pending_slot()); }
  void refuse() { word_.store(kNone << kPendingShift | acknowledged_slot()); }
  /// Sets what was found after a reopen.
  void settle(const State& found) {
    const std::uint32_t slot = free_slot();
    states_[slot] = found;
    word_.store(kNone << kPendingShift | slot);
  }

 private:
  static constexpr std::uint32_t kNone = 3, kPendingShift = 2;
  std::uint32_t acknowledged_slot() const { return word_.load() & 3; }
  std::uint32_t pending_slot() const { return word_.load() >> kPendingShift; }
  std::uint32_t free_slot() const {
    std::uint32_t slot = 0;
    while (slot == acknowledged_slot() || slot == pending_slot()) ++slot;
    return slot;
  }
  static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
  State states_[3]{};
  std::atomic<std::uint32_t> word_{kNone << kPendingShift};
};

/// Where the home of a node must be, as far as acknowledged moves say.
enum class Home : std::uint8_t { Any = 0, Warm = 1, Cold = 2 };

/// Two nodes and a link from the first to the second, changed by one thread in single and in atomic steps.
/// A number is the version that is there; 0 = absent. The link's weight is its version.
struct PairState {
  std::array<std::uint32_t, 2> node{};
  std::uint32_t link = 0;
  std::array<Home, 2> home{};
  bool same_content(const PairState& other) const { return node == other.node && link == other.link; }
};

/// A space that comes and goes, with nodes 0 … nodes-1. Epoch 0 = absent.
struct GuestState {
  std::uint32_t epoch = 0, nodes = 0;
  friend bool operator==(const GuestState&, const GuestState&) = default;
};

struct Pair {
  Journaled<PairState> state;
  std::atomic<std::uint32_t> last_version{0};  // taken; a version is used once, also by a call that failed
};

struct Guest {
  Journaled<GuestState> state;
  std::atomic<std::uint32_t> last_epoch{0};
};

inline constexpr std::size_t kWriters = 4;
inline constexpr std::size_t kPairsPerWriter = 48;
inline constexpr std::size_t kPairs = kWriters * kPairsPerWriter;
inline constexpr std::size_t kGuests = 4;
inline constexpr std::uint32_t kDimension = 16;

/// Everything that survives a child.
struct Model {
  std::array<Pair, kPairs> pairs;
  std::array<Guest, kGuests> guests;

  std::atomic<std::uint64_t> acknowledged{0}, refused{0}, indeterminate{0};
  std::atomic<std::uint64_t> lost{0}, torn{0}, duplicates{0};
  std::atomic<std::uint64_t> checks{0};    // completed checks after a reopen
  std::atomic<std::uint64_t> replayed{0};  // log records replayed by reopens

  bool sound() const { return lost == 0 && torn == 0 && duplicates == 0; }
  /// Forgets the contents, not the counts: the directory was emptied.
  void forget() {
    for (Pair& pair : pairs) pair.state.settle({});
    for (Guest& guest : guests) guest.state.settle({});
  }
};

/// Counts a broken promise and says it on standard error, one line.
inline void report(std::atomic<std::uint64_t>& counter, const std::string& what) {
  counter.fetch_add(1);
  std::fprintf(stderr, "BROKEN: %s\n", what.c_str());
}

}  // namespace mneme::crash
