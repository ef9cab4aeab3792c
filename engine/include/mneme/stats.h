// Numbers a database tells about itself.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mneme/base/ids.h"
#include "mneme/base/result.h"
#include "mneme/base/time.h"

namespace mneme {

struct GenerationInfo {
  GenerationId id;
  std::string model;
  std::uint32_t dimension = 0;
  Metric metric = Metric::Cosine;
};

enum class SpaceState : std::uint8_t { Started = 0, Stopped = 1 };  // values are on disk

struct SpaceInfo {
  SpaceId id;
  std::string name;
  SpaceState state = SpaceState::Started;
  Timestamp created_at;
  std::vector<GenerationInfo> generations;  ///< those there are, by id
  GenerationId next_generation{1};          ///< ids below it that are not in `generations` were dropped
};

/// Exact counts of acknowledged changes, as of `lsn`.
struct SpaceStats {
  SpaceInfo info;
  std::uint64_t nodes = 0, episodes = 0, concepts = 0, vectors = 0, links = 0;
  std::uint64_t hot_nodes = 0, hot_bytes = 0;  ///< in memory now (their home is Warm)
  std::uint64_t warm_nodes = 0, cold_nodes = 0;
  std::uint64_t warm_bytes = 0, cold_bytes = 0;  ///< on disk, estimated
  std::uint64_t index_bytes = 0;                 ///< in memory, with codes that are mapped
  std::uint64_t index_file_bytes = 0;            ///< of index files, mapped: pages the system may take back
  Lsn lsn;
};

struct DatabaseStats {
  DatabaseId id;
  Lsn last, synced, applied, flushed;
  std::uint64_t spaces = 0, nodes = 0, links = 0;
  std::uint64_t hot_bytes = 0, unapplied_bytes = 0, index_bytes = 0;
  std::uint64_t index_file_bytes = 0;  ///< as in SpaceStats
  /// Since the open: indexes read whole from the database, restored from files, found damaged there, and saved.
  std::uint64_t indexes_loaded = 0, indexes_restored = 0, indexes_damaged = 0, indexes_saved = 0;
  std::uint64_t log_bytes = 0, store_bytes = 0;  ///< on disk
  std::string health;                            ///< "ok", or why writes are refused
};

/// What Database::open() had to do.
struct RecoveryInfo {
  Lsn replayed_from, last;
  std::uint64_t records = 0, bytes = 0, trimmed_bytes = 0, trimmed_records = 0;
  double seconds = 0;
  Status damage;  ///< not ok when a read-only or an overriding open stopped at damage
};

struct VerifyReport {
  std::uint64_t spaces = 0, nodes = 0, vectors = 0, links = 0, log_records = 0;
  std::vector<std::string> problems;  ///< empty = sound; at most 1,000 are listed
  std::uint64_t problem_count = 0;
  /// Deep: saved indexes, and their files as they lie on disk.
  std::uint64_t indexes = 0, index_files = 0, index_bytes = 0;
  /// Damage there, one line for each file: which, where, what was expected and found. Not among `problems`, for nothing
  /// is lost: a search that meets it has the index made again from the database.
  std::vector<std::string> index_problems;
};

}  // namespace mneme
