// What the ordered store knows of saved indexes: which save is the last, and which rows have changed since.
//
//   meta  "i" space:u32 generation:u16        IndexRecord
//   meta  "x" space:u32 lsn:u64 row:u64       rows:u32, rows from `row` on that the commit changed
//
// Both are written in the atomic steps that the data moves in: what a record speaks of is in the store whenever the
// record is, and a change is noted whenever it is.
#pragma once

#include <string>

#include "mneme/base/bytes.h"
#include "mneme/base/ids.h"
#include "mneme/index/saved_index.h"

namespace mneme {

/// A saved index that may be restored.
struct IndexRecord {
  Uuid id;  ///< of the index, in all its files
  index::SavedIndex saved;
  Lsn reflected;  ///< commits up to here are in it whole; rows changed later are noted
};

std::string index_record_key(SpaceId space, GenerationId generation);
/// version:u8 id:16 number:u64 bytes:u64 xxh3:u64 slots:u64 reflected:u64 crc:u32
void encode_index_record(const IndexRecord& record, Bytes& out);
/// @error Corruption, VersionMismatch
Result<IndexRecord> decode_index_record(ByteView bytes);

std::string change_key(SpaceId space, Lsn lsn, RowId row);
/// The first key of a change behind `lsn`; with kMaxLsn the end of the space's changes.
std::string changes_after(SpaceId space, Lsn lsn);

/// The files of one index, and of all of a generation or space, begin with these.
std::string index_stem(SpaceId space, GenerationId generation, const Uuid& id);
std::string index_prefix(SpaceId space, GenerationId generation);
std::string index_prefix(SpaceId space);

}  // namespace mneme
