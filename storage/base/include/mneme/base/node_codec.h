// The canonical encoding of a Node, drawn here and in storage/FORMAT.md.
//
//   node   := version:u8 (= 1)  field*
//   field  := tag:varint  payload        tag = number << 2 | wire, ascending by number, each at most once
//   wire 0 := varint
//   wire 1 := 8 bytes, little-endian (doubles by bits; times as signed microseconds since 1970)
//   wire 2 := length:varint, then that many bytes
//
// An absent or empty field is not written. One node has exactly one encoding, and decoding accepts
// nothing else: encode(decode(b)) == b for every accepted b. Numbers 128..511 belong to later
// releases; a reader keeps them in Node::unknown and writes them back.
//
// The *body* is the encoding without its last field, kVectors. Stores keep body and vectors apart.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "mneme/base/bytes.h"
#include "mneme/base/node.h"

namespace mneme {

inline constexpr std::uint8_t kNodeEncodingVersion = 1;

enum class Wire : std::uint8_t { Varint = 0, Fixed64 = 1, Sized = 2 };

enum class NodeField : std::uint16_t {  // values are on disk
  Id = 1,
  Kind = 2,
  NamespacePath = 3,
  Key = 4,
  Version = 5,
  ExternalSystem = 6,
  ExternalId = 7,
  SourceFields = 8,
  SourceNulls = 9,
  SourceUnknown = 10,
  ScopeUser = 16,
  ScopeAgent = 17,
  ScopeRun = 18,
  ScopeApp = 19,
  ScopeProject = 20,
  ScopeActor = 21,
  Content = 24,
  Value = 25,
  ContentHash = 26,
  Tags = 27,
  Categories = 28,
  MemoryType = 29,
  Metadata = 30,
  CreatedAt = 32,
  UpdatedAt = 33,
  LastVerified = 34,
  DeprecatedSince = 35,
  DeprecatedReason = 36,
  ExpiresAt = 37,
  ValidFrom = 38,
  ValidUntil = 39,
  OccurredAt = 40,
  DeletedAt = 41,
  Activation = 44,
  Confidence = 45,
  AccessCount = 46,
  LastAccess = 47,
  DecayRate = 48,
  Strength = 49,
  ConsolidationScore = 50,
  Importance = 51,
  Coherence = 53,
  InstanceCount = 54,
  FormationTime = 55,
  SourceModel = 60,
  SourceTool = 61,
  SourceMigration = 62,
  Evidence = 63,
  MigrationVersion = 64,
  EmbeddingProvenance = 65,
  Embedder = 66,
  FirstUnknown = 128,
  LastUnknown = 511,
  Generations = 512,  // wire 2: count:varint, then per vector generation:varint dimension:varint
  Vectors = 513,      // wire 2: the float32 values of all vectors, in the order of Generations
};

/// Which generation a stored vector belongs to, and its length.
struct VectorShape {
  GenerationId generation;
  std::uint32_t dimension = 0;
  friend bool operator==(const VectorShape&, const VectorShape&) = default;
};

/// Appends the canonical encoding. The node need not be valid, so that old data can be carried.
void encode_node(const Node& node, Bytes& out);
/// Appends the body alone.
void encode_node_body(const Node& node, Bytes& out);

/// @error Corruption  not a canonical encoding; says where. Allocates in proportion to the input at most.
Result<Node> decode_node(ByteView encoded);
/// Decodes a body; `vectors` holds the values of every vector that the body names, in order.
Result<Node> decode_node_body(ByteView body, std::span<const std::span<const float>> vectors);

/// Length of the body at the front of a canonical encoding. @error Corruption
Result<std::size_t> body_length(ByteView encoded);

/// The fields of an encoded node or body, in place and in order. Never reads out of bounds; stops at the
/// first byte that is not a well-formed field.
class FieldCursor {
 public:
  explicit FieldCursor(ByteView encoded);
  /// Moves to the next field. False at the end or at a malformed field; ok() tells which.
  bool next();
  bool ok() const { return ok_; }
  std::uint16_t number() const { return number_; }
  Wire wire() const { return wire_; }
  std::uint64_t integer() const { return integer_; }  ///< Varint and Fixed64
  ByteView bytes() const { return payload_; }         ///< Sized
  std::size_t begin() const { return begin_; }        ///< offset of the field's tag
  std::size_t end() const { return position_; }

 private:
  ByteView encoded_;
  std::size_t position_ = 0, begin_ = 0;
  std::uint16_t number_ = 0;
  Wire wire_ = Wire::Varint;
  std::uint64_t integer_ = 0;
  ByteView payload_;
  bool ok_ = true;
};

/// Shapes from a body's Generations field; empty when there is none. @error Corruption
Result<std::vector<VectorShape>> vector_shapes(ByteView body);
/// A well-formed `body` as it is when the node's vectors are of `shapes` alone, some of those that it names.
Bytes body_with_shapes(ByteView body, std::span<const VectorShape> shapes);

/// The labels of a NamespacePath, Tags or Categories payload: calls `visit(std::string_view)` until false.
template <class Visit>
void for_each_label(ByteView payload, Visit&& visit) {
  ByteReader reader(payload);
  while (!reader.at_end()) {
    auto label = reader.sized();
    if (!label || !visit(as_text(*label))) return;
  }
}

}  // namespace mneme
