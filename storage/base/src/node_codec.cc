#include "mneme/base/node_codec.h"

#include <bit>

#include "node_fields.h"
#include "varint.h"

namespace mneme {

namespace {

using detail::varint_bytes;

constexpr std::uint64_t tag_of(std::uint16_t number, Wire wire) {
  return static_cast<std::uint64_t>(number) << 2 | static_cast<std::uint64_t>(wire);
}

std::size_t labels_bytes(const std::vector<std::string>& labels) {
  std::size_t bytes = 0;
  for (const std::string& label : labels) bytes += varint_bytes(label.size()) + label.size();
  return bytes;
}

std::size_t shapes_bytes(const std::vector<NodeVector>& vectors) {
  std::size_t bytes = varint_bytes(vectors.size());
  for (const NodeVector& vector : vectors)
    bytes += varint_bytes(vector.generation.value) + varint_bytes(vector.values.size());
  return bytes;
}

std::size_t float_bytes(const std::vector<NodeVector>& vectors) {
  std::size_t bytes = 0;
  for (const NodeVector& vector : vectors) bytes += vector.values.size() * sizeof(float);
  return bytes;
}

std::int64_t microseconds_of(Timestamp time) { return time.time_since_epoch().count(); }

// Writes the fields of a node. One overload per member type decides whether the field is there at all.
class FieldWriter {
 public:
  explicit FieldWriter(Bytes& out) : out_(out) {}

  void write(NodeField field, const Uuid& id) {
    if (!id.is_nil()) sized(field, id.view());
  }
  void write(NodeField field, NodeKind kind) { varint(field, static_cast<std::uint64_t>(kind)); }
  void write(NodeField field, MemoryType type) {
    if (type != MemoryType::Unset) varint(field, static_cast<std::uint64_t>(type));
  }
  void write(NodeField field, std::uint32_t count) {
    if (count != 0) varint(field, count);
  }
  void write(NodeField field, const std::optional<std::uint64_t>& count) {
    if (count) varint(field, *count);
  }
  void write(NodeField field, const std::optional<std::string>& text) {
    if (text) sized(field, as_bytes(*text));
  }
  void write(NodeField field, const Bytes& bytes) {
    if (!bytes.empty()) sized(field, bytes);
  }
  void write(NodeField field, const std::optional<Sha256Digest>& digest) {
    if (digest) sized(field, std::as_bytes(std::span(*digest)));
  }
  void write(NodeField field, const std::optional<Timestamp>& time) {
    if (time) fixed(field, static_cast<std::uint64_t>(microseconds_of(*time)));
  }
  void write(NodeField field, const std::optional<double>& real) {
    if (real) fixed(field, std::bit_cast<std::uint64_t>(*real));
  }
  void write(NodeField field, const std::vector<std::string>& labels) {
    if (labels.empty()) return;
    begin_sized(field, labels_bytes(labels));
    for (const std::string& label : labels) out_.sized(label);
  }
  void write(NodeField field, const std::vector<NodeId>& ids) {
    if (!ids.empty()) sized(field, std::as_bytes(std::span(ids)));
  }
  void write(NodeField field, const std::optional<Value>& value) {
    if (!value) return;
    scratch_.clear();
    encode_value(*value, scratch_);
    sized(field, scratch_);
  }

  void raw(ByteView fields) { out_.raw(fields); }

  void generations(const std::vector<NodeVector>& vectors) {
    if (vectors.empty()) return;
    begin_sized(NodeField::Generations, shapes_bytes(vectors));
    out_.varint(vectors.size());
    for (const NodeVector& vector : vectors) {
      out_.varint(vector.generation.value);
      out_.varint(vector.values.size());
    }
  }

  void floats(const std::vector<NodeVector>& vectors) {
    const std::size_t bytes = float_bytes(vectors);
    if (bytes == 0) return;
    begin_sized(NodeField::Vectors, bytes);
    for (const NodeVector& vector : vectors) out_.raw(std::as_bytes(std::span(vector.values)));
  }

 private:
  void tag(NodeField field, Wire wire) { out_.varint(tag_of(detail::number_of(field), wire)); }
  void varint(NodeField field, std::uint64_t value) {
    tag(field, Wire::Varint);
    out_.varint(value);
  }
  void fixed(NodeField field, std::uint64_t value) {
    tag(field, Wire::Fixed64);
    out_.fixed(value);
  }
  void begin_sized(NodeField field, std::size_t bytes) {
    tag(field, Wire::Sized);
    out_.varint(bytes);
  }
  void sized(NodeField field, ByteView bytes) {
    begin_sized(field, bytes.size());
    out_.raw(bytes);
  }

  ByteWriter out_;
  Bytes scratch_;
};

// Payload bytes of one field as FieldWriter writes it, length included; 0 when the field is not written.
std::size_t payload_bytes(const Uuid& id) { return id.is_nil() ? 0 : 1 + id.bytes.size(); }
std::size_t payload_bytes(NodeKind) { return 1; }
std::size_t payload_bytes(MemoryType type) { return type == MemoryType::Unset ? 0 : 1; }
std::size_t payload_bytes(std::uint32_t count) { return count == 0 ? 0 : varint_bytes(count); }
std::size_t payload_bytes(const std::optional<std::uint64_t>& count) { return count ? varint_bytes(*count) : 0; }
std::size_t payload_bytes(const std::optional<Sha256Digest>& digest) { return digest ? 1 + digest->size() : 0; }
std::size_t payload_bytes(const std::optional<Timestamp>& time) { return time ? 8 : 0; }
std::size_t payload_bytes(const std::optional<double>& real) { return real ? 8 : 0; }
std::size_t sized_bytes(std::size_t content) { return varint_bytes(content) + content; }
std::size_t payload_bytes(const std::optional<std::string>& text) { return text ? sized_bytes(text->size()) : 0; }
std::size_t payload_bytes(const Bytes& bytes) { return bytes.empty() ? 0 : sized_bytes(bytes.size()); }
std::size_t payload_bytes(const std::vector<std::string>& labels) {
  return labels.empty() ? 0 : sized_bytes(labels_bytes(labels));
}
std::size_t payload_bytes(const std::vector<NodeId>& ids) {
  return ids.empty() ? 0 : sized_bytes(ids.size() * sizeof(NodeId));
}
std::size_t payload_bytes(const std::optional<Value>& value) {
  return value ? sized_bytes(encoded_value_bytes(*value)) : 0;
}

}  // namespace

namespace detail {

std::size_t encoded_node_bytes(const Node& node) {
  const auto tag_bytes = [](NodeField field) { return varint_bytes(tag_of(number_of(field), Wire::Sized)); };
  std::size_t bytes = 1 + node.unknown.size();
  for_each_field([&](NodeField field, auto get) {
    if (const std::size_t payload = payload_bytes(get(node)); payload != 0) bytes += tag_bytes(field) + payload;
  });
  if (!node.vectors.empty()) bytes += tag_bytes(NodeField::Generations) + sized_bytes(shapes_bytes(node.vectors));
  if (const std::size_t floats = float_bytes(node.vectors); floats != 0)
    bytes += tag_bytes(NodeField::Vectors) + sized_bytes(floats);
  return bytes;
}

}  // namespace detail

void encode_node_body(const Node& node, Bytes& out) {
  out.push_back(std::byte{kNodeEncodingVersion});
  FieldWriter writer(out);
  detail::for_each_field([&](NodeField field, auto get) { writer.write(field, get(node)); });
  writer.raw(node.unknown);
  writer.generations(node.vectors);
}

void encode_node(const Node& node, Bytes& out) {
  encode_node_body(node, out);
  FieldWriter(out).floats(node.vectors);
}

FieldCursor::FieldCursor(ByteView encoded) : encoded_(encoded) {
  ok_ = !encoded.empty() && encoded[0] == std::byte{kNodeEncodingVersion};
  position_ = begin_ = ok_ ? 1 : 0;
}

bool FieldCursor::next() {
  if (!ok_ || position_ == encoded_.size()) return false;
  using detail::VarintRead;
  ok_ = false;  // until the whole field has been read
  std::size_t at = position_;
  begin_ = at;
  std::uint64_t tag = 0;
  if (detail::read_varint(encoded_, at, tag) != VarintRead::Ok || (tag >> 2) > 0xffff) return false;
  number_ = static_cast<std::uint16_t>(tag >> 2);
  integer_ = 0;
  payload_ = {};
  switch (tag & 3) {
    case static_cast<std::uint64_t>(Wire::Varint):
      wire_ = Wire::Varint;
      if (detail::read_varint(encoded_, at, integer_) != VarintRead::Ok) return false;
      break;
    case static_cast<std::uint64_t>(Wire::Fixed64):
      wire_ = Wire::Fixed64;
      if (encoded_.size() - at < 8) return false;
      integer_ = load_le<std::uint64_t>(encoded_.data() + at);
      at += 8;
      break;
    case static_cast<std::uint64_t>(Wire::Sized): {
      wire_ = Wire::Sized;
      std::uint64_t length = 0;
      if (detail::read_varint(encoded_, at, length) != VarintRead::Ok || length > encoded_.size() - at) return false;
      payload_ = encoded_.subspan(at, length);
      at += length;
      break;
    }
    default:
      return false;
  }
  position_ = at;
  ok_ = true;
  return true;
}

Result<std::size_t> body_length(ByteView encoded) {
  FieldCursor cursor(encoded);
  while (cursor.next()) {
    if (cursor.number() != detail::number_of(NodeField::Vectors)) continue;
    if (cursor.end() == encoded.size()) return cursor.begin();
    return Status(Code::Corruption,
                  "encoded node: byte " + std::to_string(cursor.end()) + ": bytes behind the vectors");
  }
  if (cursor.ok()) return encoded.size();
  return Status(Code::Corruption, "encoded node: byte " + std::to_string(cursor.begin()) +
                                      ": wanted a version or a field, found neither");
}

}  // namespace mneme
