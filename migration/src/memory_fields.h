// The canonical encoding of a Memory, field by field and in place: what the codec, the conversion and the log share.
//
//   number  field                 wire     payload
//        1  id                    sized    UTF-8; not written when empty
//        2  content               sized    UTF-8
//        3  activation            fixed64  bits of the double
//        4  confidence            fixed64  bits of the double
//        5  decay_rate            fixed64  bits of the double
//        6  access_count          varint
//        7  created_at            fixed64  microseconds since 1970, signed
//        8  last_access           fixed64  microseconds since 1970, signed
//        9  embedding_provenance  sized    encoded Value
//       10  metadata              sized    encoded Value
//       11  unknown_members       sized    encoded Value
//       12  null_members          varint   MemoryMember bits; not written when zero
//       13  embedder              sized    UTF-8
//  128-511  of a later release    any      kept as they are
//      512  embedding             sized    float32 values
#pragma once

#include <cstdint>
#include <optional>

#include "mneme/base/bytes.h"
#include "mneme/base/result.h"

namespace mneme::migration {

inline constexpr std::uint8_t kMemoryEncodingVersion = 1;  // FieldCursor reads this version's frame, as a node's

/// Views into whatever the memory was read from.
struct MemoryFields {
  ByteView id;
  std::optional<ByteView> content;
  std::optional<std::uint64_t> activation, confidence, decay_rate;
  std::optional<std::uint64_t> access_count;
  std::optional<std::uint64_t> created_at, last_access;
  std::optional<ByteView> embedding_provenance, metadata, unknown_members;
  std::uint32_t null_members = 0;
  std::optional<ByteView> embedder;
  ByteView unknown;  ///< whole fields, tags included
  std::optional<ByteView> embedding;
};

/// Cost: no allocation. Encoded values inside are not looked at.
/// @error Corruption  not a canonical encoding; says at which byte
Result<MemoryFields> read_memory_fields(ByteView encoded);
/// Appends the canonical encoding.
void append_memory_fields(const MemoryFields& fields, Bytes& out);

}  // namespace mneme::migration
