// What the engine writes into the log: one record per commit, and its bytes.
//
//   record kind 1, Batch        := count:varint op* deltas
//   record kind 2, SpaceChange  := change:u8 space:varint SpaceRecord (sized) part   see space_record.h
//   record kind 3, Move         := space:varint node:16 tier:u8
//   record kind 4, BulkLoad     := id:16 space:varint first_row:varint count:varint files deltas
//
//   part   := nothing where the change is 1 create, 2 update or 3 drop
//           | generation:varint deltas                                        4 add, 5 drop a generation
//   op     := 1 space:varint row:varint flags:u8 encoding:sized               Put; flags bit 0: the node is new
//           | 2 space:varint row:varint node:16                               Erase
//           | 3 space:varint link                                             Link
//           | 4 space:varint from:16 to:16 type:sized                         Unlink
//   link   := from:16 to:16 type:sized value                                  value: see link_keys.h
//   deltas := count:varint (space:varint episodes:zigzag concepts:zigzag vectors:zigzag links:zigzag next_row:varint)*
//   files  := count:varint (family:u8 name:sized bytes:varint xxh3:u64)*
//
// A commit is replayed exactly as it was published: rows, ids and times are in the record, so replay decides nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mneme/base/node_record.h"
#include "mneme/link.h"
#include "mneme/storage/ordered_store.h"
#include "mneme/storage/wal.h"
#include "space_record.h"

namespace mneme {

inline constexpr storage::RecordKind kBatchRecord = 1, kSpaceRecord = 2, kMoveRecord = 3, kBulkRecord = 4;

struct LogOp {
  enum class Kind : std::uint8_t { Put = 1, Erase = 2, Link = 3, Unlink = 4 };
  Kind kind = Kind::Put;
  SpaceId space;
  RowId row;             // Put, Erase
  bool fresh = false;    // Put: the node did not exist before
  NodeId node;           // Put, Erase
  NodeRecordPtr record;  // Put
  Link link;             // Link; Unlink uses from, type, to
};

/// What a commit changes in a space's counters.
struct CounterDelta {
  SpaceId space;
  std::int64_t episodes = 0, concepts = 0, vectors = 0, links = 0;
  std::uint64_t next_row = 0;  // rows below it are taken; 0 = unchanged
};

struct BulkFile {
  storage::Family family = 0;
  std::string name;  // in the database's bulk directory
  std::uint64_t bytes = 0;
  std::uint64_t xxh3 = 0;  // see hash_file()
};

struct BulkLoad {
  Uuid id;
  SpaceId space;
  RowId first_row;
  std::uint64_t count = 0;
  std::vector<BulkFile> files;
  // Not in the log: set by the call that just wrote the files.
  bool files_are_whole = false;
  std::span<const NodeRecordPtr> records;  // valid until publication
};

struct Move {
  SpaceId space;
  NodeId node;
  TierId to = TierId::Warm;
};

/// One log record, decoded. Exactly one of ops (Batch), change, move and bulk is used, by `kind`.
struct Commit {
  storage::RecordKind kind = kBatchRecord;
  Lsn lsn;
  std::vector<LogOp> ops;
  std::vector<CounterDelta> deltas;
  std::optional<SpaceChange> change;
  std::optional<Move> move;
  std::optional<BulkLoad> bulk;
  std::uint64_t bytes = 0;  // of memory that waits to be applied
};

/// The payload of a commit, as parts that point into `head` and into the records of its Puts.
class EncodedCommit {
 public:
  explicit EncodedCommit(const Commit& commit);
  EncodedCommit(const EncodedCommit&) = delete;
  EncodedCommit& operator=(const EncodedCommit&) = delete;
  std::span<const ByteView> parts() const { return parts_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  void cut();  // ends the piece of head_ under way
  void view(ByteView piece);
  void put(const LogOp& op);
  Bytes head_;
  struct Piece {
    std::size_t offset, size;  // in head_, when external is empty
    ByteView external;
  };
  std::vector<Piece> pieces_;
  std::size_t piece_begin_ = 0;
  std::vector<ByteView> parts_;
  std::uint64_t bytes_ = 0;
};

/// @error Corruption  the payload is not one of the above; says what
Result<Commit> decode_commit(const storage::WalRecord& record);

/// XXH3 over pieces of 1 MiB, each seeded with the hash of the piece before it. @error NotFound, IoError
Result<std::uint64_t> hash_file(storage::FileSystem& fs, const std::filesystem::path& path);

std::uint64_t zigzag(std::int64_t value);
std::int64_t unzigzag(std::uint64_t value);

}  // namespace mneme
