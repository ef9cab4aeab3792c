// Control records: small structs (manifest, migration plan, checkpoint) in one checksummed file each.
//
//   offset  size  field      meaning
//        0     8  magic      "MNEMECTL"
//        8     2  kind       RecordFileKind
//       10     2  version    of the payload's format
//       12     4  features   incompatible-feature bits; an unknown bit is VersionMismatch
//       16    16  database   id of the database (or legacy store) it belongs to
//       32     8  length     payload bytes
//       40     4  crc        CRC-32C of the payload
//       44     4  head_crc   CRC-32C of bytes [0, 44)
//       48     -  payload    cereal portable binary
//
// Magic, head_crc, features, version, length (against the real file) and crc are checked in this order
// before cereal sees a byte. Written by publish_file.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "mneme/base/ids.h"
#include "mneme/storage/file_system.h"

namespace mneme::storage {

enum class ControlKind : std::uint16_t {  // values are on disk
  DatabaseManifest = 1,
  LegacyManifest = 2,
  MigrationPlan = 3,
  MigrationReport = 4,
};

inline constexpr std::uint64_t kControlBytesMax = 64 * kMiB;

/// What a database directory is. File MANIFEST in its root.
struct DatabaseManifest {
  static constexpr ControlKind kKind = ControlKind::DatabaseManifest;
  static constexpr std::uint16_t kVersion = 1;
  std::uint32_t default_dimension = 0;
  std::uint8_t default_metric = 0;  // Metric
  std::int64_t created_at_us = 0;
  std::string created_by;  // release
  friend bool operator==(const DatabaseManifest&, const DatabaseManifest&) = default;
};

/// What a legacy store directory is. File MANIFEST in its root.
struct LegacyManifest {
  static constexpr ControlKind kKind = ControlKind::LegacyManifest;
  static constexpr std::uint16_t kVersion = 1;
  std::int64_t created_at_us = 0;
  std::string created_by;
  friend bool operator==(const LegacyManifest&, const LegacyManifest&) = default;
};

/// One partition of a migration: source keys in [begin, end); an empty end means no end.
struct PartitionBounds {
  std::string begin, end;
  friend bool operator==(const PartitionBounds&, const PartitionBounds&) = default;
};

/// Fixed once, before the first record is copied; a resume refuses any other source, target, space or transform.
struct MigrationPlan {
  static constexpr ControlKind kKind = ControlKind::MigrationPlan;
  static constexpr std::uint16_t kVersion = 1;
  Uuid migration_id, source_id, target_id;
  std::uint32_t space = 0;
  std::string space_name;
  std::uint64_t source_lsn = 0;                 // the source's last change when the plan was made
  std::uint64_t source_records = 0;             // counted at plan time; 0 when not counted
  std::array<std::uint8_t, 32> options_hash{};  // of what changes the result: space, external system, generation
  std::array<std::uint8_t, 32> transform_hash{};
  std::int64_t created_at_us = 0;
  std::vector<PartitionBounds> partitions;
  friend bool operator==(const MigrationPlan&, const MigrationPlan&) = default;
};

/// How a finished migration ended; its presence makes a second run write nothing.
struct MigrationReport {
  static constexpr ControlKind kKind = ControlKind::MigrationReport;
  static constexpr std::uint16_t kVersion = 1;
  Uuid migration_id;
  std::uint64_t source_records = 0, migrated = 0, skipped = 0, quarantined = 0, bytes = 0;
  std::array<std::uint8_t, 32> source_digest{}, target_digest{};
  std::uint64_t target_lsn = 0;  // the target's last change when it was verified
  std::int64_t finished_at_us = 0;
  double copy_seconds = 0, verify_seconds = 0;
  bool verified = false;
  friend bool operator==(const MigrationReport&, const MigrationReport&) = default;
};

/// A record as read, with the id of the database it names.
template <class T>
struct ControlFile {
  DatabaseId database;
  T record;
};

/// Writes and reads the four kinds above (instantiated in control_record.cc; cereal stays there).
/// @error NotFound         no such file
/// @error Corruption       magic, checksum or length is wrong, or the payload does not decode
/// @error VersionMismatch  newer version or unknown feature bits
template <class T>
Status write_control(FileSystem& fs, const Path& path, const DatabaseId& database, const T& record);
template <class T>
Result<ControlFile<T>> read_control(FileSystem& fs, const Path& path);

}  // namespace mneme::storage
