// Decoding checks the whole encoding in place first and copies after: damaged input allocates nothing.
#include <bit>
#include <limits>
#include <tuple>

#include "mneme/base/node_codec.h"
#include "node_fields.h"
#include "varint.h"

namespace mneme {

namespace detail {

namespace {

Status corrupt(std::size_t at, const std::string& found) {
  return Status(Code::Corruption, "encoded node: byte " + std::to_string(at) + ": " + found);
}

Status corrupt(const FieldCursor& field, const std::string& found) {
  return corrupt(field.begin(), "field " + std::to_string(field.number()) + ": " + found);
}

bool are_labels(ByteView payload) {
  std::size_t at = 0;
  while (at < payload.size()) {
    std::uint64_t length = 0;
    if (read_varint(payload, at, length) != VarintRead::Ok || length > payload.size() - at) return false;
    at += length;
  }
  return !payload.empty();
}

Status check_form(const FieldCursor& field, Form form) {
  const std::size_t bytes = field.bytes().size();
  const auto wanted = [&](bool good, const char* what) {
    return good ? ok_status()
                : corrupt(field, std::string("wanted ") + what + ", found " +
                                     (field.wire() == Wire::Sized ? std::to_string(bytes) + " bytes"
                                                                  : std::to_string(field.integer())));
  };
  switch (form) {
    case Form::Id:
      return wanted(bytes == 16 && !uuid_from_bytes(field.bytes()).value().is_nil(), "an id that is not nil");
    case Form::Kind:
      return wanted(field.integer() == 1 || field.integer() == 2, "a node kind");
    case Form::Labels:
      return wanted(are_labels(field.bytes()), "labels");
    case Form::NonZero32:
      return wanted(field.integer() - 1 < std::numeric_limits<std::uint32_t>::max(), "1..4294967295");
    case Form::Bytes:
      return wanted(bytes != 0, "at least one byte");
    case Form::Digest:
      return wanted(bytes == std::tuple_size_v<Sha256Digest>, "32 bytes");
    case Form::MemoryType:
      return wanted(field.integer() >= 1 && field.integer() <= 3, "a memory type");
    case Form::Ids:
      return wanted(bytes != 0 && bytes % sizeof(NodeId) == 0, "ids of 16 bytes");
    case Form::Value:
      if (const Status checked = check_value(field.bytes()); !checked) return corrupt(field, checked.message());
      return ok_status();
    case Form::None:
    case Form::Text:
    case Form::Count:
    case Form::Time:
    case Form::Real:
      break;
  }
  return ok_status();
}

// count, then (generation, dimension) each, and nothing behind.
Status outline_shapes(const FieldCursor& field, NodeOutline& outline) {
  const ByteView payload = field.bytes();
  std::size_t at = 0;
  const auto read = [&](std::uint64_t& number) { return read_varint(payload, at, number) == VarintRead::Ok; };
  std::uint64_t count = 0, generation = 0, dimension = 0, floats = 0;
  if (!read(count) || count == 0) return corrupt(field, "wanted a count of vectors above zero");
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!read(generation) || !read(dimension) || generation > std::numeric_limits<std::uint16_t>::max() ||
        dimension > std::numeric_limits<std::uint32_t>::max())
      return corrupt(field, "vector " + std::to_string(i) + " of " + std::to_string(count) +
                                ": wanted a generation and a dimension");
    floats += dimension;  // at most 2^32 for every two bytes of payload: cannot wrap
  }
  if (at != payload.size()) return corrupt(field, std::to_string(payload.size() - at) + " bytes behind the shapes");
  outline.generations = payload;
  outline.vector_count = count;
  outline.floats = floats;
  return ok_status();
}

Status outline_field(const FieldCursor& field, ByteView encoded, NodeOutline& outline) {
  const std::uint16_t number = field.number();
  if (is_unknown_field(number)) {
    const std::size_t begin =
        outline.unknown.empty() ? field.begin() : static_cast<std::size_t>(outline.unknown.data() - encoded.data());
    outline.unknown = encoded.subspan(begin, field.end() - begin);
    return ok_status();
  }
  const bool is_vectors = number == number_of(NodeField::Vectors);
  const bool is_shapes = number == number_of(NodeField::Generations);
  const Form form = number < kForms.size() ? kForms[number] : Form::None;
  if (form == Form::None && !is_vectors && !is_shapes) return corrupt(field, "no release writes this field");
  if (field.wire() != (form == Form::None ? Wire::Sized : wire_of(form)))
    return corrupt(field, "wrong wire type " + std::to_string(static_cast<int>(field.wire())));
  if (is_shapes) return outline_shapes(field, outline);
  if (is_vectors) {
    outline.vectors = field.bytes();
    return ok_status();
  }
  MNEME_TRY(check_form(field, form));
  if (form == Form::Id) std::memcpy(outline.id.bytes.data(), field.bytes().data(), outline.id.bytes.size());
  if (form == Form::Kind) outline.kind = static_cast<NodeKind>(field.integer());
  return ok_status();
}

Status check_vectors(const NodeOutline& outline, bool present, NodePart part) {
  if (part == NodePart::Body)
    return present ? corrupt(outline.body_bytes, "a body that holds its vectors") : ok_status();
  if (present == (outline.floats != 0) && outline.vectors.size() == outline.floats * sizeof(float)) return ok_status();
  return corrupt(outline.body_bytes, "wanted " + std::to_string(outline.floats) +
                                         " floats as the generations say, found " +
                                         std::to_string(outline.vectors.size()) + " bytes");
}

}  // namespace

Result<NodeOutline> outline_node(ByteView encoded, NodePart part) {
  if (encoded.empty() || encoded[0] != std::byte{kNodeEncodingVersion})
    return corrupt(0, encoded.empty() ? "wanted a version, found the end"
                                      : "unknown version " + std::to_string(static_cast<int>(encoded[0])));
  NodeOutline outline;
  outline.body_bytes = encoded.size();
  FieldCursor field(encoded);
  std::uint16_t previous = 0;
  bool has_kind = false, has_vectors = false;
  while (field.next()) {
    if (field.number() <= previous)
      return corrupt(field,
                     previous == field.number() ? "written twice" : "written behind field " + std::to_string(previous));
    MNEME_TRY(outline_field(field, encoded, outline));
    previous = field.number();
    has_kind |= previous == number_of(NodeField::Kind);
    if (previous == number_of(NodeField::Vectors)) {
      has_vectors = true;
      outline.body_bytes = field.begin();
    }
  }
  if (!field.ok())
    return corrupt(field.begin(),
                   "wanted a field, found " + std::to_string(encoded.size() - field.begin()) + " bytes that are none");
  if (!has_kind) return corrupt(encoded.size(), "a node without its kind");
  MNEME_TRY(check_vectors(outline, has_vectors, part));
  return outline;
}

Status check_unknown_fields(ByteView fields) {
  if (fields.empty()) return ok_status();
  Bytes framed;
  framed.reserve(fields.size() + 1);
  framed.push_back(std::byte{kNodeEncodingVersion});
  framed.insert(framed.end(), fields.begin(), fields.end());
  FieldCursor field(framed);
  for (std::uint16_t previous = 0; field.next(); previous = field.number())
    if (!is_unknown_field(field.number()) || field.number() <= previous)
      return corrupt(field.begin() - 1, "field " + std::to_string(field.number()) + " among the unknown fields");
  return field.ok() ? ok_status() : corrupt(field.begin() - 1, "bytes that are no field");
}

}  // namespace detail

namespace {

using detail::NodeOutline;
using detail::NodePart;

// Copies checked fields into a node; one overload per member type.
void assign(const FieldCursor& field, Uuid& id) { std::memcpy(id.bytes.data(), field.bytes().data(), id.bytes.size()); }
void assign(const FieldCursor& field, NodeKind& kind) { kind = static_cast<NodeKind>(field.integer()); }
void assign(const FieldCursor& field, MemoryType& type) { type = static_cast<MemoryType>(field.integer()); }
void assign(const FieldCursor& field, std::uint32_t& count) { count = static_cast<std::uint32_t>(field.integer()); }
void assign(const FieldCursor& field, std::optional<std::uint64_t>& count) { count = field.integer(); }
void assign(const FieldCursor& field, std::optional<std::string>& text) { text.emplace(as_text(field.bytes())); }
void assign(const FieldCursor& field, Bytes& bytes) { bytes.assign(field.bytes().begin(), field.bytes().end()); }
void assign(const FieldCursor& field, std::optional<Sha256Digest>& digest) {
  std::memcpy(digest.emplace().data(), field.bytes().data(), digest->size());
}
void assign(const FieldCursor& field, std::optional<Timestamp>& time) {
  time = Timestamp(std::chrono::microseconds(static_cast<std::int64_t>(field.integer())));
}
void assign(const FieldCursor& field, std::optional<double>& real) { real = std::bit_cast<double>(field.integer()); }
void assign(const FieldCursor& field, std::vector<std::string>& labels) {
  for_each_label(field.bytes(), [&](std::string_view label) {
    labels.emplace_back(label);
    return true;
  });
}
void assign(const FieldCursor& field, std::vector<NodeId>& ids) {
  ids.resize(field.bytes().size() / sizeof(NodeId));
  std::memcpy(ids.data(), field.bytes().data(), field.bytes().size());
}
void assign(const FieldCursor& field, std::optional<Value>& value) {
  value = decode_value(field.bytes()).value();  // outline_node has checked it
}

Node decode_fields(ByteView body, const NodeOutline& outline) {
  Node node;
  FieldCursor field(body);
  bool more = field.next();
  detail::for_each_field([&](NodeField number, auto get) {  // both ascend: one walk over both
    if (!more || field.number() != detail::number_of(number)) return;
    assign(field, get(node));
    more = field.next();
  });
  node.unknown.assign(outline.unknown.begin(), outline.unknown.end());
  node.vectors.reserve(outline.vector_count);
  detail::for_each_shape(outline.generations, [&](VectorShape shape) {
    node.vectors.push_back({shape.generation, {}});
  });
  return node;
}

}  // namespace

Result<Node> decode_node(ByteView encoded) {
  MNEME_ASSIGN(const NodeOutline outline, detail::outline_node(encoded, NodePart::Whole));
  Node node = decode_fields(encoded.first(outline.body_bytes), outline);
  std::size_t next = 0, at = 0;
  detail::for_each_shape(outline.generations, [&](VectorShape shape) {
    std::vector<float>& values = node.vectors[next++].values;
    values.resize(shape.dimension);
    if (shape.dimension == 0) return;
    std::memcpy(values.data(), outline.vectors.data() + at, shape.dimension * sizeof(float));
    at += shape.dimension * sizeof(float);
  });
  return node;
}

Result<Node> decode_node_body(ByteView body, std::span<const std::span<const float>> vectors) {
  MNEME_ASSIGN(const NodeOutline outline, detail::outline_node(body, NodePart::Body));
  if (vectors.size() != outline.vector_count)
    return Status(Code::Corruption, "encoded node: wanted " + std::to_string(outline.vector_count) +
                                        " vectors, found " + std::to_string(vectors.size()));
  std::size_t next = 0;
  Status matched;
  detail::for_each_shape(outline.generations, [&](VectorShape shape) {
    if (matched && vectors[next].size() != shape.dimension)
      matched = Status(Code::Corruption, "encoded node: vector " + std::to_string(next) + ": wanted " +
                                             std::to_string(shape.dimension) + " floats, found " +
                                             std::to_string(vectors[next].size()));
    ++next;
  });
  MNEME_TRY(matched);
  Node node = decode_fields(body, outline);
  for (std::size_t i = 0; i < vectors.size(); ++i) node.vectors[i].values.assign(vectors[i].begin(), vectors[i].end());
  return node;
}

Result<std::vector<VectorShape>> vector_shapes(ByteView body) {
  NodeOutline outline;
  FieldCursor field(body);
  while (field.next()) {
    if (field.number() < detail::number_of(NodeField::Generations)) continue;
    if (field.number() == detail::number_of(NodeField::Generations)) MNEME_TRY(detail::outline_shapes(field, outline));
    break;
  }
  if (!field.ok()) return detail::corrupt(field.begin(), "wanted a field, found bytes that are none");
  std::vector<VectorShape> shapes;
  shapes.reserve(outline.vector_count);
  detail::for_each_shape(outline.generations, [&](VectorShape shape) { shapes.push_back(shape); });
  return shapes;
}

Bytes body_with_shapes(ByteView body, std::span<const VectorShape> shapes) {
  FieldCursor field(body);
  std::size_t end = body.size();
  while (field.next())
    if (field.number() == static_cast<std::uint16_t>(NodeField::Generations)) end = field.begin();  // the last one
  Bytes out(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(end));
  if (shapes.empty()) return out;
  Bytes named;
  ByteWriter names(named);
  names.varint(shapes.size());
  for (const VectorShape& shape : shapes) {
    names.varint(shape.generation.value);
    names.varint(shape.dimension);
  }
  ByteWriter writer(out);
  writer.varint(static_cast<std::uint64_t>(NodeField::Generations) << 2 | static_cast<std::uint64_t>(Wire::Sized));
  writer.sized(ByteView(named));
  return out;
}

}  // namespace mneme
