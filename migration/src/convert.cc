#include "convert.h"

#include <array>

#include "memory_fields.h"

namespace mneme::migration {
namespace {

constexpr std::size_t kFixedFieldBytesMax = 192;  // a body's every field but the sized payloads, with tags and lengths
constexpr std::size_t kKeptBodyBytes = 1 * kMiB;  // of a thread's buffer between calls

/// Appends fields of a node's body; the caller keeps them ascending.
class BodyWriter {
 public:
  explicit BodyWriter(Bytes& out) : writer_(out) { writer_.fixed(kNodeEncodingVersion); }

  void sized(NodeField field, const std::optional<ByteView>& value) {
    if (!value) return;
    tag(field, Wire::Sized);
    writer_.sized(*value);
  }
  void sized_unless_empty(NodeField field, ByteView value) {
    if (!value.empty()) sized(field, value);
  }
  void fixed(NodeField field, const std::optional<std::uint64_t>& value) {
    if (!value) return;
    tag(field, Wire::Fixed64);
    writer_.fixed(*value);
  }
  void varint(NodeField field, const std::optional<std::uint64_t>& value) {
    if (!value) return;
    tag(field, Wire::Varint);
    writer_.varint(*value);
  }

 private:
  void tag(NodeField field, Wire wire) {
    writer_.varint((static_cast<std::uint64_t>(field) << 2) | static_cast<std::uint64_t>(wire));
  }
  ByteWriter writer_;
};

/// Payload of Generations for one vector of generation 0.
class OneShape {
 public:
  explicit OneShape(std::uint64_t dimension) {
    bytes_[size_++] = std::byte{1};  // one vector
    bytes_[size_++] = std::byte{0};  // of generation 0
    for (; dimension >= 0x80; dimension >>= 7) bytes_[size_++] = static_cast<std::byte>(dimension | 0x80);
    bytes_[size_++] = static_cast<std::byte>(dimension);
  }
  ByteView payload() const { return ByteView(bytes_).first(size_); }

 private:
  std::array<std::byte, 12> bytes_{};
  std::size_t size_ = 0;
};

void write_body(const MemoryFields& memory, const NodeId& id, Bytes& body) {
  BodyWriter writer(body);
  writer.sized(NodeField::Id, id.view());
  writer.varint(NodeField::Kind, static_cast<std::uint64_t>(NodeKind::Episode));
  writer.sized(NodeField::ExternalId, memory.id);
  writer.sized(NodeField::SourceFields, memory.unknown_members);
  if (memory.null_members != 0) writer.varint(NodeField::SourceNulls, memory.null_members);
  writer.sized_unless_empty(NodeField::SourceUnknown, memory.unknown);
  writer.sized(NodeField::Content, memory.content);
  writer.sized(NodeField::Metadata, memory.metadata);
  writer.fixed(NodeField::CreatedAt, memory.created_at);
  writer.fixed(NodeField::Activation, memory.activation);
  writer.fixed(NodeField::Confidence, memory.confidence);
  writer.varint(NodeField::AccessCount, memory.access_count);
  writer.fixed(NodeField::LastAccess, memory.last_access);
  writer.fixed(NodeField::DecayRate, memory.decay_rate);
  writer.sized(NodeField::EmbeddingProvenance, memory.embedding_provenance);
  writer.sized(NodeField::Embedder, memory.embedder);
  if (memory.embedding)
    writer.sized(NodeField::Generations, OneShape(memory.embedding->size() / sizeof(float)).payload());
}

/// Puts one field of a body where it belongs in a Memory. False: a Memory has no place for it.
bool place(const FieldCursor& field, MemoryFields& memory) {
  switch (static_cast<NodeField>(field.number())) {
    case NodeField::Id:
      return true;
    case NodeField::Kind:
      return field.integer() == static_cast<std::uint64_t>(NodeKind::Episode);
    case NodeField::ExternalId:
      memory.id = field.bytes();
      return true;
    case NodeField::SourceFields:
      memory.unknown_members = field.bytes();
      return true;
    case NodeField::SourceNulls:
      memory.null_members = static_cast<std::uint32_t>(field.integer());
      return true;
    case NodeField::SourceUnknown:
      memory.unknown = field.bytes();
      return true;
    case NodeField::Content:
      memory.content = field.bytes();
      return true;
    case NodeField::Metadata:
      memory.metadata = field.bytes();
      return true;
    case NodeField::CreatedAt:
      memory.created_at = field.integer();
      return true;
    case NodeField::Activation:
      memory.activation = field.integer();
      return true;
    case NodeField::Confidence:
      memory.confidence = field.integer();
      return true;
    case NodeField::AccessCount:
      memory.access_count = field.integer();
      return true;
    case NodeField::LastAccess:
      memory.last_access = field.integer();
      return true;
    case NodeField::DecayRate:
      memory.decay_rate = field.integer();
      return true;
    case NodeField::EmbeddingProvenance:
      memory.embedding_provenance = field.bytes();
      return true;
    case NodeField::Embedder:
      memory.embedder = field.bytes();
      return true;
    case NodeField::Generations:
      return true;  // looked at through the record
    default:
      return false;
  }
}

/// Says why the record is no Memory: to_memory knows the words.
Status refusal(const NodeRecord& record) {
  MNEME_ASSIGN(const Node node, record.decode());
  const auto memory = to_memory(node);
  if (!memory) return memory.status();
  return Status(Code::Internal, "node " + record.id().to_string() + " is a Memory as a struct but not as an encoding");
}

}  // namespace

Result<NodeRecordPtr> record_from_memory_encoding(ByteView encoded_memory, std::string_view space_name) {
  MNEME_ASSIGN(const MemoryFields memory, read_memory_fields(encoded_memory));
  const ByteView embedding = memory.embedding.value_or(ByteView());
  const NodeId id = node_id_for_external(space_name, "", as_text(memory.id));
  thread_local Bytes body;
  if (body.capacity() > kKeptBodyBytes) body = Bytes();
  body.clear();
  body.reserve(encoded_memory.size() - embedding.size() + kFixedFieldBytesMax);
  write_body(memory, id, body);
  return NodeRecord::from_parts(body, {&embedding, memory.embedding ? std::size_t{1} : 0});
}

Status append_memory_encoding(const NodeRecord& record, Bytes& out) {
  MemoryFields memory;
  bool has_external_id = false;
  FieldCursor field(record.body());
  while (field.next()) {
    if (!place(field, memory)) return refusal(record);
    has_external_id |= field.number() == static_cast<std::uint16_t>(NodeField::ExternalId);
  }
  if (!field.ok() || !has_external_id || record.vector_count() > 1) return refusal(record);
  if (record.vector_count() == 1) {
    if (record.shape(0).generation != GenerationId{0}) return refusal(record);
    memory.embedding = std::as_bytes(record.vector_at(0));
  }
  append_memory_fields(memory, out);
  return {};
}

}  // namespace mneme::migration
