// Memory: one record of the legacy, single-type store, and its lossless conversion to an Episode.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mneme/base/bytes.h"
#include "mneme/base/ids.h"
#include "mneme/base/node.h"
#include "mneme/base/time.h"
#include "mneme/base/value.h"

namespace mneme::migration {

/// The members that Memory has a field for; the value is a bit of Memory::null_members and is on disk.
enum class MemoryMember : std::uint32_t {
  Embedding = 1 << 0,
  Content = 1 << 1,
  Activation = 1 << 2,
  Confidence = 1 << 3,
  DecayRate = 1 << 4,
  AccessCount = 1 << 5,
  CreatedAt = 1 << 6,
  LastAccess = 1 << 7,
};

struct Memory {
  std::string id;  ///< any UTF-8, not empty; unique in its store
  std::optional<std::vector<float>> embedding;
  std::optional<std::string> content;
  std::optional<double> activation, confidence;  ///< [0, 1]
  std::optional<double> decay_rate;              ///< >= 0
  std::optional<std::uint64_t> access_count;
  std::optional<Timestamp> created_at, last_access;
  std::optional<Value> embedding_provenance;  ///< any JSON value, null included
  std::optional<Value> metadata;              ///< any JSON value, null included
  std::optional<Value> unknown_members;       ///< object: members of the imported line without a field here, in order
  std::uint32_t null_members = 0;             ///< MemoryMember bits: the source had the member, as null
  /// Set when `embedding` was made by a built-in embedder because the source had none; an export leaves it out.
  std::optional<std::string> embedder;
  Bytes unknown;  ///< encoded fields of a newer release, kept as they are

  friend bool operator==(const Memory&, const Memory&);  // floats and doubles by bits
};

/// Canonical encoding, with the field rules of node_codec.h: version byte 1, then fields
///   1 id  2 content  3 activation  4 confidence  5 decay_rate  6 access_count  7 created_at  8 last_access
///   9 embedding_provenance  10 metadata  11 unknown_members  12 null_members  13 embedder
///   128..511 unknown  512 embedding (float32 values)
/// An embedding of length zero is present; an absent one is not written.
void encode_memory(const Memory& memory, Bytes& out);
/// @error Corruption  not a canonical encoding
Result<Memory> decode_memory(ByteView encoded);

/// limits.h, UTF-8, ranges, years 0000 to 9999, a finite embedding of at least one value, an embedder only beside an
/// embedding, no field set that null_members calls null (but an embedding that an embedder made), no unknown member
/// that has a field. What is valid here, validate_node accepts after from_memory.
/// @error InvalidArgument  names the member and what was found
Status validate_memory(const Memory& memory);

/// An Episode that holds everything of `memory`, and back: to_memory(from_memory(m)) == m for every m, valid or not,
/// NaN bits and unknown fields included. The embedding becomes the vector of generation 0.
/// The Node's id is node_id_for_external(space_name, "", memory.id).
Node from_memory(const Memory& memory, std::string_view space_name);
/// @error InvalidArgument  the node has no external id, or holds what a Memory cannot (says what): a Concept, a second
///                         vector, tags, …
Result<Memory> to_memory(const Node& node);
/// Names and order of the rules above; a resumed migration refuses another.
Sha256Digest transform_hash();

}  // namespace mneme::migration
