// A space with so many vectors that its index is compressed and saved, and what must be in it after a kill.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "mneme/base/clock.h"
#include "mneme/database.h"
#include "model.h"

namespace mneme::crash {

inline constexpr std::size_t kKeys = 24'000, kKeysAtFirst = 9'000;  // an index is saved from 8,192 on
inline constexpr std::uint32_t kIndexedDimension = 24;
inline constexpr std::string_view kIndexedSpace = "indexed";

/// A node: which version of it is there, in which life of the space; version 0 = absent.
struct KeyState {
  std::uint32_t epoch = 0, version = 0;
  friend bool operator==(const KeyState&, const KeyState&) = default;
};

/// Everything that survives a child.
struct IndexedModel {
  struct Key {
    Journaled<KeyState> state;
    std::atomic<std::uint32_t> last_version{0};  // taken
  };
  std::array<Key, kKeys> keys;
  Journaled<std::uint32_t> epoch;  // of the space; 0 = absent
  std::atomic<std::uint32_t> last_epoch{0};

  std::atomic<std::uint64_t> acknowledged{0}, indeterminate{0}, refused{0}, checks{0}, drops{0};
  std::atomic<std::uint64_t> lost{0}, wrong{0}, damaged{0};  // promises that were broken
  std::atomic<std::uint64_t> saved{0}, restored{0}, loaded{0};
  std::atomic<std::uint64_t> self_queries{0}, self_missed{0};  // which the recall target permits a few of
  bool sound() const { return lost == 0 && wrong == 0 && damaged == 0; }
};

std::string key_name(std::size_t key);
std::vector<float> key_vector(std::size_t key, KeyState state);
Node key_node(std::size_t key, KeyState state);

/// What is in the database after a reopen against the model, by a scan and by approximate searches; then settles what
/// was pending. `deep`: also a deep verification. @return whether the space is there
bool check_indexed(Database& database, IndexedModel& model, std::uint64_t seed, bool deep);

/// Fills the space, then writes, erases, loads and searches beside each other for ever; `drops`: and drops the space on
/// the way. Ends with an error that no kill explains (reported).
void run_indexed_workload(Database& database, IndexedModel& model, std::uint64_t seed, bool drops);

}  // namespace mneme::crash
