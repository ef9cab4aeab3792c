// What a migration writes beside the nodes, in the same atomic step: a cursor per chunk, and the records set aside.
//
// Keys (integers big-endian, so that byte order is number order):
//
//   offset  size  field      meaning
//        0    10  owner      "migration/"
//       10     4  space      SpaceId of the target
//       14    16  migration  MigrationPlan::migration_id
//       30     1  kind       'c' a cursor, 'q' a record set aside
//       31     4  partition  index in the plan
//       35     4  chunk      0, 1, 2, … within the partition, in the order they were written
//       39     4  index      'q' only: 0, 1, 2, … within the chunk
//
// Value of a cursor (little-endian). Counts and the digest are of the partition so far, this chunk included; the cursor
// of the highest chunk is the one that holds.
//
//   offset  size  field        meaning
//        0     4  crc          CRC-32C of the key, then of bytes [4, end)
//        4     1  version      1
//        5     1  flags        bit 0: the partition is done
//        6     2  reserved     zero
//        8     8  seen         source records read
//       16     8  migrated     … that became nodes
//       24     8  skipped      … that were valid in the target before
//       32     8  quarantined  … that were set aside
//       40     8  bytes        encoded bytes of the records seen
//       48    32  lanes        SetDigest of the records seen
//       80     4  key_length
//       84     -  last_key     id of the last record seen; empty before the first
//
// Value of a record set aside:
//
//   offset  size  field          meaning
//        0     4  crc            CRC-32C of the key, then of bytes [4, end)
//        4     1  version        1
//        5     3  reserved       zero
//        8     4  id_length
//       12     4  reason_length
//       16     -  id, reason, encoded   the record's bytes as the source held them
//
// seen = migrated + skipped + quarantined in every cursor. The crc covers the key, so that an entry in another's place is
// found.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "mneme/bulk.h"
#include "mneme/database.h"
#include "mneme/migration/digest.h"

namespace mneme::migration {

enum class SideKind : char { Cursor = 'c', Quarantine = 'q' };  // values are on disk

/// Whose entries: one migration into one space.
struct SideOwner {
  SpaceId space;
  Uuid migration;
};

struct SideKey {
  SideOwner owner;
  SideKind kind = SideKind::Cursor;
  std::uint32_t partition = 0, chunk = 0, index = 0;
};

/// How far one partition has come.
struct PartitionCursor {
  std::uint64_t seen = 0, migrated = 0, skipped = 0, quarantined = 0, bytes = 0;
  SetDigest digest;  ///< of the records seen; digest.count == seen
  std::string last_key;
  bool done = false;
  std::uint32_t next_chunk = 0;  ///< from the key, not the value
  friend bool operator==(const PartitionCursor&, const PartitionCursor&) = default;
};

/// A source record that the target cannot hold.
struct QuarantineEntry {
  std::uint32_t partition = 0;  ///< from the key
  std::string id, reason;
  Bytes encoded;  ///< as the source held it
};

std::string side_space_prefix(SpaceId space);
std::string side_prefix(const SideOwner& owner, SideKind kind);
std::string encode_side_key(const SideKey& key);
/// @error Corruption  not a key of this form
Result<SideKey> decode_side_key(std::string_view key);

/// The cursor as it is after the chunk `key.chunk`.
SideEntry encode_cursor(const SideKey& key, const PartitionCursor& cursor);
/// @error Corruption, VersionMismatch  names partition and chunk
Result<PartitionCursor> decode_cursor(std::string_view key, ByteView value);

SideEntry encode_quarantine(const SideKey& key, const QuarantineEntry& entry);
Result<QuarantineEntry> decode_quarantine(std::string_view key, ByteView value);

/// The cursor of every partition, in the plan's order; a fresh one where nothing was written.
/// Checks that chunks follow one another without a gap, that counts add up and never fall.
/// @error Corruption  names partition and chunk
/// Cost: one step per chunk written.
Result<std::vector<PartitionCursor>> load_cursors(const Database& target, const SideOwner& owner,
                                                  std::size_t partitions);

/// Calls `visit` with every record set aside, by partition and chunk, until it fails.
Status scan_quarantine(const Database& target, const SideOwner& owner,
                       const std::function<Status(const QuarantineEntry&)>& visit);

/// Whether any migration has written into the space.
Result<bool> has_side_entries(const Database& target, SpaceId space);

}  // namespace mneme::migration
