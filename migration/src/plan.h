// The plan of a migration: what goes where, cut into partitions, fixed before the first record is copied.
//
//   DIR/migration/<space id>/LOCK     held by the one migrator at work
//   DIR/migration/<space id>/PLAN     control record (MigrationPlan)
//   DIR/migration/<space id>/REPORT   control record (MigrationReport): finished and verified
//
// Space ids are numbers and never used again, so that no name becomes a part of a path and no file speaks of another
// space. PLAN is there before the first chunk, REPORT after a clean comparison; both appear whole or not at all.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mneme/database.h"
#include "mneme/migration/legacy_store.h"
#include "mneme/storage/control_record.h"

namespace mneme::migration {

using storage::MigrationPlan;
using storage::MigrationReport;

/// The files of the migration into one space.
class MigrationFiles {
 public:
  /// @error InvalidArgument  `target_directory` is not where `target` lies
  static Result<MigrationFiles> locate(const Database& target, const Space& space,
                                       const std::filesystem::path& target_directory);

  /// Makes the directories and takes the lock. @error Busy  another migrator is at work on this space
  Result<std::unique_ptr<storage::FileLock>> lock() const;

  /// nullopt when there is none. @error Corruption, VersionMismatch
  Result<std::optional<MigrationPlan>> read_plan() const;
  Result<std::optional<MigrationReport>> read_report() const;
  Status publish(const MigrationPlan& plan) const;
  Status publish(const MigrationReport& report) const;

  std::filesystem::path plan_path() const { return directory_ / "PLAN"; }
  std::filesystem::path report_path() const { return directory_ / "REPORT"; }

 private:
  MigrationFiles(DatabaseId database, std::filesystem::path root, std::filesystem::path directory)
      : database_(database), root_(std::move(root)), directory_(std::move(directory)) {}
  template <class T>
  Result<std::optional<T>> read(const std::filesystem::path& path) const;

  DatabaseId database_;
  std::filesystem::path root_, directory_;
};

/// Hash of what decides how a record becomes a node, besides the transform itself: space, its name, the external
/// system, the generation and its dimension. Worker counts and chunk sizes are no part of it.
Sha256Digest options_hash(const SpaceInfo& space);

/// Source keys cut into ranges of about equal bytes that cover everything: `wanted`, or 16 to 256 by size when it is 0;
/// fewer for a small source. Begins and ends touch; the first begin and the last end are empty.
Result<std::vector<storage::PartitionBounds>> cut_partitions(const LegacyStore& source, std::size_t wanted);

/// A new plan for `source` as `view` shows it.
Result<MigrationPlan> make_plan(const LegacyStore& source, Lsn source_lsn, const Database& target,
                                const SpaceInfo& space, std::size_t partitions);

/// Whether `plan` is of this source, target, space and transform, and its partitions cover every key.
/// @error FailedPrecondition  names the first thing that differs, with both values
/// @error Corruption          the partitions leave a gap or overlap
Status check_plan(const MigrationPlan& plan, const LegacyStore& source, const Database& target, const SpaceInfo& space);
/// @error FailedPrecondition  the source changed since the plan was made
Status check_source_unchanged(const MigrationPlan& plan, Lsn source_lsn);

/// The source's embeddings fit the space's generation 0. @error InvalidArgument  names both dimensions
Status check_dimension(const LegacyStats& source, const SpaceInfo& space);

/// Index of the partition that holds `id`. Cost: log2(partitions) comparisons.
std::size_t partition_of(const std::vector<storage::PartitionBounds>& partitions, std::string_view id);

/// A source key as a message shows it: quoted, escaped, at most 60 bytes of it.
std::string printable(std::string_view id);
/// "[begin, end)" of a partition, printable.
std::string printable_range(std::string_view begin, std::string_view end);

}  // namespace mneme::migration
