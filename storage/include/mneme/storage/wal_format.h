// The bytes of the write-ahead log. The same tables with a worked example: storage/FORMAT.md, "Log segment".
//
// A log is a directory of segments named by 16 hexadecimal digits of their number and ".wal". A segment is one
// header block and then records, each beginning where the one before it ended, moved to the next 512-byte sector
// where fewer than 32 bytes are left in this one. What is not written is zeros, or behind the end of the file.
//
// Segment header, the first 64 bytes of a block of 4096; the rest of the block is zeros and not read.
//
//   offset  size  field          meaning
//        0     8  magic          "MNEMEWAL"
//        8     2  kind           1
//       10     2  version        1
//       12     4  features       incompatible-feature bits; an unknown bit is VersionMismatch
//       16    16  database       id of the database it belongs to
//       32     8  number         of the segment, +1 per segment
//       40     8  first_lsn      of its first record; every lower LSN was synced before this header was written
//       48     8  segment_bytes  records never reach beyond; the file may be shorter
//       56     4  reserved       zero
//       60     4  crc            CRC-32C of bytes [0, 60), in this and every later version
//
// Record: header, payload, zeros to a multiple of 8, trailer. Offsets in the file are multiples of 8.
//
//   offset  size  field           meaning
//        0     4  header_crc      CRC-32C of bytes [4, 32)
//        4     4  length          payload bytes
//        8     8  lsn             Lsn, +1 per record
//       16     8  synced_lsn      the last LSN known to be synced when this was written
//       24     4  segment         low 32 bits of the segment's number
//       28     1  kind            RecordKind
//       29     3  zero_fragments  see below
//       32     -  payload         and zeros to a multiple of 8
//        -     4  payload_crc     CRC-32C of payload and padding, continued from header_crc
//        -     4  end             0x0057A1E5, never zero
//
// A header lies in one sector, so it is there whole or not at all. What follows it is cut by sector boundaries into
// fragments; zero_fragments counts those in later sectors that are zeros as written. A write that was torn leaves
// at least one more: that is how it is told from damage.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mneme/base/bytes.h"
#include "mneme/base/ids.h"
#include "mneme/storage/wal.h"

namespace mneme::storage::wal {

inline constexpr std::uint64_t kSectorBytes = 512;          // written whole or not at all
inline constexpr std::uint64_t kSegmentHeaderBytes = 4096;  // one page, so that records never share it
inline constexpr std::uint64_t kSegmentHeaderUsedBytes = 64;
inline constexpr std::string_view kSegmentMagic = "MNEMEWAL";
inline constexpr std::uint16_t kSegmentKind = 1;
inline constexpr std::uint16_t kSegmentVersion = 1;
inline constexpr std::uint32_t kKnownFeatures = 0;

namespace segment_field {
inline constexpr Field kMagic{0, 8};
inline constexpr Field kKind = after(kMagic, 2);
inline constexpr Field kVersion = after(kKind, 2);
inline constexpr Field kFeatures = after(kVersion, 4);
inline constexpr Field kDatabase = after(kFeatures, 16);
inline constexpr Field kNumber = after(kDatabase, 8);
inline constexpr Field kFirstLsn = after(kNumber, 8);
inline constexpr Field kSegmentBytes = after(kFirstLsn, 8);
inline constexpr Field kReserved = after(kSegmentBytes, 4);
inline constexpr Field kCrc = after(kReserved, 4);
static_assert(kCrc.end() == kSegmentHeaderUsedBytes);
}  // namespace segment_field

inline constexpr std::uint64_t kRecordHeaderBytes = 32;
inline constexpr std::uint64_t kRecordTrailerBytes = 8;
inline constexpr std::uint32_t kRecordEnd = 0x0057A1E5;

namespace record_field {
inline constexpr Field kHeaderCrc{0, 4};
inline constexpr Field kLength = after(kHeaderCrc, 4);
inline constexpr Field kLsn = after(kLength, 8);
inline constexpr Field kSyncedLsn = after(kLsn, 8);
inline constexpr Field kSegment = after(kSyncedLsn, 4);
inline constexpr Field kKindAndZeros = after(kSegment, 4);  // kind in the low byte
static_assert(kKindAndZeros.end() == kRecordHeaderBytes);
}  // namespace record_field

struct SegmentHeader {
  DatabaseId database;
  std::uint64_t number = 0;
  Lsn first_lsn;
  std::uint64_t segment_bytes = 0;
  std::uint16_t version = kSegmentVersion;
  std::uint32_t features = 0;
  friend bool operator==(const SegmentHeader&, const SegmentHeader&) = default;
};

struct RecordHeader {
  std::uint32_t length = 0;
  Lsn lsn;
  Lsn synced;
  std::uint32_t segment = 0;
  RecordKind kind = 0;
  std::uint32_t zero_fragments = 0;  // below 2^24: the largest record has 2^19 sectors
  friend bool operator==(const RecordHeader&, const RecordHeader&) = default;
};

/// "000000000000002a.wal", and back; nullopt for any other name.
std::string segment_name(std::uint64_t number);
std::optional<std::uint64_t> segment_number(std::string_view name);

/// The whole block of kSegmentHeaderBytes.
Bytes encode_segment_header(const SegmentHeader& header);
/// @error Corruption       too short, wrong magic, kind or crc, or sizes that cannot be
/// @error VersionMismatch  a whole header of a newer version or with unknown features
Result<SegmentHeader> decode_segment_header(ByteView bytes);

/// Writes kRecordHeaderBytes at `at`; returns the header's crc, which the payload's continues.
std::uint32_t encode_record_header(const RecordHeader& header, std::byte* at);
/// nullopt when fewer than kRecordHeaderBytes are there or the crc is wrong.
std::optional<RecordHeader> decode_record_header(ByteView bytes);

/// Where a record begins that follows `offset`.
constexpr std::uint64_t record_start(std::uint64_t offset) {
  const std::uint64_t left = kSectorBytes - offset % kSectorBytes;
  return left < kRecordHeaderBytes ? offset + left : offset;
}
constexpr std::uint64_t padded(std::uint64_t payload_bytes) { return (payload_bytes + 7) & ~std::uint64_t{7}; }
/// Header to trailer.
constexpr std::uint64_t record_bytes(std::uint64_t payload_bytes) {
  return kRecordHeaderBytes + padded(payload_bytes) + kRecordTrailerBytes;
}

/// The fragments of `body` (payload to trailer, at `body_offset` of the file) that are zeros, without the one that
/// shares the header's sector. Cost: one pass over zeros, a glance at anything else.
std::uint32_t count_zero_fragments(ByteView body, std::uint64_t body_offset);

bool all_zeros(ByteView bytes);

/// Fills a whole record at `at`, which lies at `file_offset` of the file and already holds the payload behind the
/// room for the header. `header.zero_fragments` is computed here.
void seal_record(RecordHeader header, std::uint64_t file_offset, std::byte* at);

}  // namespace mneme::storage::wal
