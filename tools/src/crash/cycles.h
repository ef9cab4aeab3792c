// The kinds of cycles, and what they count together.
#pragma once

#include <cstdint>
#include <filesystem>

#include "mneme/base/clock.h"

namespace mneme::crash {

struct Settings {
  std::filesystem::path directory;
  std::uint64_t cycles = 500, migration_cycles = 100, seed = 0;
  std::uint64_t memories = 20'000;  ///< in the legacy store of the migration cycles
  std::uint64_t index_cycles = 100, index_flips = 200;
  /// Puts the directory back as it was before the last write cycle: its writes are lost, and that must be found.
  bool lose_last_cycle = false;
};

struct Outcome {
  std::uint64_t cycles = 0;  ///< kills
  std::uint64_t acknowledged = 0, indeterminate = 0;
  std::uint64_t lost = 0, torn = 0, duplicates = 0;
  bool died_by_itself = false;  ///< a child ended in a way that no kill explains
  bool sound() const { return lost == 0 && torn == 0 && duplicates == 0 && !died_by_itself; }
  void add(const Outcome& other) {
    cycles += other.cycles;
    acknowledged += other.acknowledged;
    indeterminate += other.indeterminate;
    lost += other.lost;
    torn += other.torn;
    duplicates += other.duplicates;
    died_by_itself = died_by_itself || other.died_by_itself;
  }
};

/// Kills a database under mixed writes, reopens it, checks it, writes on. Stops at the first broken promise.
Outcome run_write_cycles(const Settings& settings, Random& random);

/// Kills migrations of one legacy store until they are done, with another number of workers each time, and compares the
/// result with the source memory by memory. Stops at the first broken promise.
Outcome run_migration_cycles(const Settings& settings, Random& random);

/// Kills a database whose index is saved, restored and dropped beside writes and searches. Prints its own summary.
/// Stops at the first broken promise. @return whether there was none
bool run_index_cycles(const Settings& settings, Random& random);

/// Damages files of a saved index, one at a time, under a database that is then opened and asked. Prints its own summary.
/// Stops at the first wrong answer. @return whether there was none
bool run_index_flips(const Settings& settings, Random& random);

/// One line on standard error, now and then.
void say_progress(const char* what, std::uint64_t done, std::uint64_t total, const Outcome& so_far);

}  // namespace mneme::crash
