// The offline migration: a legacy store of Memory records becomes a space of Episodes.
//
//   PREFLIGHT → BACKFILL → VERIFY → FINALIZED
//
// The source is cut into partitions by key range once; the cut is stored and does not depend on the number of workers.
// Workers take partitions, read records in key order, convert them, and hand chunks to Database::bulk_insert together
// with the partition's new cursor: data and cursor become visible in one atomic step, so that a kill at any moment
// loses nothing and repeats nothing. At the end both sides are scanned and compared by count and digest, per partition.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "mneme/database.h"
#include "mneme/migration/digest.h"
#include "mneme/migration/import_export.h"
#include "mneme/migration/legacy_store.h"

namespace mneme::migration {

struct MigrationOptions {
  /// Workers that copy. 0 = one per core. A resume may use another number.
  unsigned parallel_workers = 0;
  /// Records in one chunk, at most 65,536; a chunk is also cut at chunk_bytes_max.
  std::size_t batch_size = 16'384;
  std::uint64_t chunk_bytes_max = 48 * kMiB;
  /// Partitions of a new migration. 0 = by size, 16 to 256.
  std::size_t partitions = 0;
  /// Go on with an unfinished migration of the same source, target, space and transform. Without it an unfinished one
  /// is FailedPrecondition that says how far it came.
  bool resume = false;
  ProgressFn progress;
};

/// A range of source keys whose records the target does not give back.
struct PartitionDifference {
  std::string begin, end;                            ///< source keys [begin, end); empty = no bound
  std::uint64_t source_count = 0, target_count = 0;  ///< the source's without those set aside
  std::vector<std::string> examples;                 ///< up to 8 ids and what is wrong with each, as text to print
};

struct Quarantined {
  std::string id;
  std::string reason;
};

struct MigrationResult {
  std::uint64_t source_records = 0;
  std::uint64_t migrated = 0;      ///< by this run and those before it
  std::uint64_t migrated_now = 0;  ///< by this run; 0 for a repeat of a finished migration
  std::uint64_t skipped = 0;       ///< already valid in the target
  std::uint64_t quarantined = 0;   ///< cannot be represented; see quarantined_records()
  std::uint64_t bytes = 0;         ///< of source records
  SetDigest source;                ///< of what the source holds, without what was set aside
  SetDigest target;                ///< of what the target would give back; equal to `source` when verified
  double copy_seconds = 0, verify_seconds = 0;
  bool verified = false;
  bool was_finished = false;  ///< nothing was to do
  std::vector<PartitionDifference> differences;
};

/// Copies, then verifies. migrated + skipped + quarantined == source_records, or it is an error.
///
/// A repeat of a finished migration reads its report, returns with was_finished and writes nothing.
///
/// @param target_directory  where `target` lies; the plan and the report are kept in its folder "migration"
/// @error FailedPrecondition  the space holds nodes that this migration did not write; an unfinished migration without
///                            resume; the plan is of another source, target, space or transform (says which); the
///                            source changed since the plan was made
/// @error InvalidArgument     the source's dimension is not the space's; an option out of range; another directory
/// @error Busy                another migrator is at work on this space
/// @error NoSpace             less room than the rest of the source takes
/// @error Corruption          the plan or a cursor is damaged; nothing is planned anew over what was written
/// @error Mismatch            the comparison at the end found a difference
/// @error Cancelled           progress returned false; resume goes on from there
///
/// Threads: the caller's, which alone calls options.progress, and parallel_workers more.
/// Memory: about parallel_workers × 3 × chunk_bytes_max, and the partitions' bounds.
Result<MigrationResult> migrate_offline(LegacyStore& source, Database& target, const Space& space,
                                        const std::filesystem::path& target_directory, const MigrationOptions& options);

/// Scans both sides as they are now and compares them: counts and digests per partition of the migration's plan (or of a
/// fresh cut when there is none). Shares no enumeration with the copy: the target is read by row from the store, not by
/// source key. Writes nothing. `migrated` and `target` are what the scan of the target found.
/// @return with `verified` false and `differences` filled when they differ
/// @error FailedPrecondition  the space was migrated from another source
/// @error Corruption          the plan or a record set aside is damaged
/// @error Cancelled
Result<MigrationResult> verify_migration(LegacyStore& source, Database& target, const Space& space,
                                         const std::filesystem::path& target_directory,
                                         const MigrationOptions& options);

/// What the migration into `space` has set aside, by id. Empty when there was none.
/// Cost: reads the records set aside, content included.
Result<std::vector<Quarantined>> quarantined_records(Database& target, const Space& space,
                                                     const std::filesystem::path& target_directory);

}  // namespace mneme::migration
