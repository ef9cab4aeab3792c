#include <algorithm>
#include <bit>
#include <string>

#include "memory_fields.h"
#include "mneme/base/node_codec.h"
#include "mneme/migration/memory.h"

namespace mneme::migration {
namespace {

enum class MemoryField : std::uint16_t {  // values are on disk
  Id = 1,
  Content = 2,
  Activation = 3,
  Confidence = 4,
  DecayRate = 5,
  AccessCount = 6,
  CreatedAt = 7,
  LastAccess = 8,
  EmbeddingProvenance = 9,
  Metadata = 10,
  UnknownMembers = 11,
  NullMembers = 12,
  Embedder = 13,
  FirstUnknown = 128,
  LastUnknown = 511,
  Embedding = 512,
};

constexpr std::size_t kFixedFieldBytesMax = 160;  // every field but the sized payloads, with all tags and lengths

constexpr std::uint64_t tag(MemoryField field, Wire wire) {
  return (static_cast<std::uint64_t>(field) << 2) | static_cast<std::uint64_t>(wire);
}

Status corrupt(std::size_t offset, const std::string& what) {
  return Status(Code::Corruption, "memory: byte " + std::to_string(offset) + ": " + what);
}

/// Puts one field where it belongs. False: the number is unknown, or has another wire type.
bool place(const FieldCursor& field, MemoryFields& into) {
  const auto sized = [&](auto& member) {
    member = field.bytes();
    return field.wire() == Wire::Sized;
  };
  const auto fixed = [&](auto& member) {
    member = field.integer();
    return field.wire() == Wire::Fixed64;
  };
  switch (static_cast<MemoryField>(field.number())) {
    case MemoryField::Id:
      return sized(into.id) && !into.id.empty();
    case MemoryField::Content:
      return sized(into.content);
    case MemoryField::Activation:
      return fixed(into.activation);
    case MemoryField::Confidence:
      return fixed(into.confidence);
    case MemoryField::DecayRate:
      return fixed(into.decay_rate);
    case MemoryField::AccessCount:
      into.access_count = field.integer();
      return field.wire() == Wire::Varint;
    case MemoryField::CreatedAt:
      return fixed(into.created_at);
    case MemoryField::LastAccess:
      return fixed(into.last_access);
    case MemoryField::EmbeddingProvenance:
      return sized(into.embedding_provenance);
    case MemoryField::Metadata:
      return sized(into.metadata);
    case MemoryField::UnknownMembers:
      return sized(into.unknown_members);
    case MemoryField::NullMembers:
      into.null_members = static_cast<std::uint32_t>(field.integer());
      return field.wire() == Wire::Varint && field.integer() != 0 && field.integer() >> 32 == 0;
    case MemoryField::Embedder:
      return sized(into.embedder);
    case MemoryField::Embedding:
      return sized(into.embedding) && field.bytes().size() % sizeof(float) == 0;
    default:
      return false;
  }
}

}  // namespace

Result<MemoryFields> read_memory_fields(ByteView encoded) {
  if (encoded.empty()) return corrupt(0, "no encoding");
  if (static_cast<std::uint8_t>(encoded[0]) != kMemoryEncodingVersion)
    return corrupt(0, "version " + std::to_string(static_cast<unsigned>(encoded[0])) + ", known is 1");
  MemoryFields fields;
  FieldCursor field(encoded);
  std::uint16_t last = 0;
  std::size_t unknown_begin = 0, unknown_end = 0;
  while (field.next()) {
    if (field.number() <= last)
      return corrupt(field.begin(),
                     "field " + std::to_string(field.number()) + " behind field " + std::to_string(last));
    last = field.number();
    if (last >= static_cast<std::uint16_t>(MemoryField::FirstUnknown) &&
        last <= static_cast<std::uint16_t>(MemoryField::LastUnknown)) {
      if (unknown_end == 0) unknown_begin = field.begin();
      unknown_end = field.end();
    } else if (!place(field, fields)) {
      return corrupt(field.begin(), "field " + std::to_string(last) + " is not one that a Memory has in this form");
    }
  }
  if (!field.ok()) return corrupt(field.end(), "wanted a field, found bytes that are none");
  fields.unknown = encoded.subspan(unknown_begin, unknown_end - unknown_begin);
  return fields;
}

void append_memory_fields(const MemoryFields& fields, Bytes& out) {
  const auto bytes_of = [](const std::optional<ByteView>& view) { return view ? view->size() : 0; };
  const std::size_t bytes = out.size() + kFixedFieldBytesMax + fields.id.size() + bytes_of(fields.content) +
                            bytes_of(fields.embedding_provenance) + bytes_of(fields.metadata) +
                            bytes_of(fields.unknown_members) + bytes_of(fields.embedder) + fields.unknown.size() +
                            bytes_of(fields.embedding);
  if (out.capacity() < bytes) out.reserve(std::max(bytes, out.capacity() * 2));  // many may follow in one buffer
  ByteWriter writer(out);
  const auto sized = [&](MemoryField field, const std::optional<ByteView>& value) {
    if (!value) return;
    writer.varint(tag(field, Wire::Sized));
    writer.sized(*value);
  };
  const auto fixed = [&](MemoryField field, const std::optional<std::uint64_t>& value) {
    if (!value) return;
    writer.varint(tag(field, Wire::Fixed64));
    writer.fixed(*value);
  };
  const auto varint = [&](MemoryField field, const std::optional<std::uint64_t>& value) {
    if (!value) return;
    writer.varint(tag(field, Wire::Varint));
    writer.varint(*value);
  };
  writer.fixed(kMemoryEncodingVersion);
  if (!fields.id.empty()) sized(MemoryField::Id, fields.id);
  sized(MemoryField::Content, fields.content);
  fixed(MemoryField::Activation, fields.activation);
  fixed(MemoryField::Confidence, fields.confidence);
  fixed(MemoryField::DecayRate, fields.decay_rate);
  varint(MemoryField::AccessCount, fields.access_count);
  fixed(MemoryField::CreatedAt, fields.created_at);
  fixed(MemoryField::LastAccess, fields.last_access);
  sized(MemoryField::EmbeddingProvenance, fields.embedding_provenance);
  sized(MemoryField::Metadata, fields.metadata);
  sized(MemoryField::UnknownMembers, fields.unknown_members);
  if (fields.null_members != 0) varint(MemoryField::NullMembers, fields.null_members);
  sized(MemoryField::Embedder, fields.embedder);
  writer.raw(fields.unknown);
  sized(MemoryField::Embedding, fields.embedding);
}

namespace {

std::optional<std::uint64_t> bits_of(const std::optional<double>& value) {
  if (!value) return std::nullopt;
  return std::bit_cast<std::uint64_t>(*value);
}

std::optional<std::uint64_t> bits_of(const std::optional<Timestamp>& time) {
  if (!time) return std::nullopt;
  return static_cast<std::uint64_t>(time->time_since_epoch().count());
}

std::optional<double> real_of(const std::optional<std::uint64_t>& bits) {
  if (!bits) return std::nullopt;
  return std::bit_cast<double>(*bits);
}

std::optional<Timestamp> time_of(const std::optional<std::uint64_t>& bits) {
  if (!bits) return std::nullopt;
  return Timestamp(std::chrono::microseconds(static_cast<std::int64_t>(*bits)));
}

std::optional<std::string> text_of(const std::optional<ByteView>& bytes) {
  if (!bytes) return std::nullopt;
  return std::string(as_text(*bytes));
}

std::optional<ByteView> view_of(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  return as_bytes(*text);
}

Status decode_member(const std::optional<ByteView>& encoded, std::string_view name, std::optional<Value>& into) {
  if (!encoded) return {};
  auto value = decode_value(*encoded);
  if (!value) return value.status().with_context(name);
  into = std::move(*value);
  return {};
}

}  // namespace

void encode_memory(const Memory& memory, Bytes& out) {
  MemoryFields fields;
  Bytes provenance, metadata, members;
  const auto encode = [](const std::optional<Value>& value, Bytes& bytes) -> std::optional<ByteView> {
    if (!value) return std::nullopt;
    encode_value(*value, bytes);
    return ByteView(bytes);
  };
  fields.id = as_bytes(memory.id);
  fields.content = view_of(memory.content);
  fields.activation = bits_of(memory.activation);
  fields.confidence = bits_of(memory.confidence);
  fields.decay_rate = bits_of(memory.decay_rate);
  fields.access_count = memory.access_count;
  fields.created_at = bits_of(memory.created_at);
  fields.last_access = bits_of(memory.last_access);
  fields.embedding_provenance = encode(memory.embedding_provenance, provenance);
  fields.metadata = encode(memory.metadata, metadata);
  fields.unknown_members = encode(memory.unknown_members, members);
  fields.null_members = memory.null_members;
  fields.embedder = view_of(memory.embedder);
  fields.unknown = memory.unknown;
  if (memory.embedding) fields.embedding = std::as_bytes(std::span(*memory.embedding));
  append_memory_fields(fields, out);
}

Result<Memory> decode_memory(ByteView encoded) {
  MNEME_ASSIGN(const MemoryFields fields, read_memory_fields(encoded));
  Memory memory;
  memory.id = as_text(fields.id);
  memory.content = text_of(fields.content);
  memory.activation = real_of(fields.activation);
  memory.confidence = real_of(fields.confidence);
  memory.decay_rate = real_of(fields.decay_rate);
  memory.access_count = fields.access_count;
  memory.created_at = time_of(fields.created_at);
  memory.last_access = time_of(fields.last_access);
  MNEME_TRY(decode_member(fields.embedding_provenance, "memory: embedding_provenance", memory.embedding_provenance));
  MNEME_TRY(decode_member(fields.metadata, "memory: metadata", memory.metadata));
  MNEME_TRY(decode_member(fields.unknown_members, "memory: unknown_members", memory.unknown_members));
  memory.null_members = fields.null_members;
  memory.embedder = text_of(fields.embedder);
  memory.unknown.assign(fields.unknown.begin(), fields.unknown.end());
  if (fields.embedding) {
    memory.embedding.emplace(fields.embedding->size() / sizeof(float));
    if (!fields.embedding->empty())
      std::memcpy(memory.embedding->data(), fields.embedding->data(), fields.embedding->size());
  }
  return memory;
}

}  // namespace mneme::migration
