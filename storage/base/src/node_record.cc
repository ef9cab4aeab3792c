#include "mneme/base/node_record.h"

#include <malloc.h>

#include <array>
#include <bit>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <vector>

#include "node_fields.h"
#include "varint.h"

namespace mneme {

namespace {

constexpr std::size_t kAlignment = 64;  // a cache line, and the widest vector register

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Where the parts of the allocation begin, from the start of the record.
constexpr std::size_t shapes_offset() { return sizeof(NodeRecord); }
constexpr std::size_t first_vector_offset(std::size_t vector_count) {
  return vector_count == 0 ? shapes_offset() : aligned(shapes_offset() + vector_count * sizeof(VectorShape));
}
constexpr std::size_t vector_bytes(VectorShape shape) { return shape.dimension * sizeof(float); }

static_assert(sizeof(VectorShape) == 8 && alignof(NodeRecord) >= alignof(VectorShape));

const std::byte* start_of(const NodeRecord* record) { return reinterpret_cast<const std::byte*>(record); }

Status corrupt(const std::string& found) { return Status(Code::Corruption, "node record: " + found); }

// Shapes of the usual handful of vectors on the stack.
class Shapes {
 public:
  explicit Shapes(const detail::NodeOutline& outline) {
    if (outline.vector_count > few_.size()) many_.reserve(outline.vector_count);
    detail::for_each_shape(outline.generations, [&](VectorShape shape) {
      if (outline.vector_count > few_.size())
        many_.push_back(shape);
      else
        few_[count_] = shape;
      ++count_;
    });
  }
  std::span<const VectorShape> all() const {
    return many_.empty() ? std::span(few_).first(count_) : std::span<const VectorShape>(many_);
  }

 private:
  std::array<VectorShape, 4> few_{};
  std::size_t count_ = 0;
  std::vector<VectorShape> many_;
};

// The header's counters are 16 and 32 bits wide: sixteen valid vectors and 48 MiB fit many times over.
Status check_fits(ByteView body, const detail::NodeOutline& outline) {
  if (outline.vector_count > std::numeric_limits<std::uint16_t>::max())
    return corrupt(std::to_string(outline.vector_count) + " vectors, above 65535");
  const std::uint64_t vectors = outline.floats * sizeof(float) + outline.vector_count * kAlignment;
  if (first_vector_offset(outline.vector_count) + vectors + body.size() > std::numeric_limits<std::uint32_t>::max())
    return corrupt("a node beyond 4 GiB");
  return ok_status();
}

}  // namespace

NodeRecord* NodeRecord::allocate(ByteView body, std::span<const VectorShape> shapes) {
  std::size_t body_offset = first_vector_offset(shapes.size());
  for (const VectorShape shape : shapes) body_offset += aligned(vector_bytes(shape));

  // The allocator keeps 8 bytes before each block. Ending 8 short of a line lets the next aligned block
  // follow without a gap; operator new(align_val_t) would round up and lose a line per record.
  constexpr std::size_t kAllocatorHeader = 8;
  const std::size_t bytes = aligned(body_offset + body.size() + kAllocatorHeader) - kAllocatorHeader;
  void* memory = nullptr;
  if (::posix_memalign(&memory, kAlignment, bytes) != 0) throw std::bad_alloc();

  auto* record = new (memory) NodeRecord;
  record->body_bytes_ = static_cast<std::uint32_t>(body.size());
  record->body_offset_ = static_cast<std::uint32_t>(body_offset);
  record->vector_count_ = static_cast<std::uint16_t>(shapes.size());
  auto* start = static_cast<std::byte*>(memory);
  std::uninitialized_copy(shapes.begin(), shapes.end(), reinterpret_cast<VectorShape*>(start + shapes_offset()));
  std::memcpy(start + body_offset, body.data(), body.size());
  return record;
}

void NodeRecord::destroy(const NodeRecord* record) {
  record->~NodeRecord();
  std::free(const_cast<NodeRecord*>(record));
}

NodeRecordPtr NodeRecord::from_node(const Node& node) {
  Bytes body;
  body.reserve(detail::encoded_node_bytes(node));
  encode_node_body(node, body);
  std::vector<VectorShape> shapes;
  shapes.reserve(node.vectors.size());
  for (const NodeVector& vector : node.vectors)
    shapes.push_back({vector.generation, static_cast<std::uint32_t>(vector.values.size())});

  NodeRecord* record = allocate(body, shapes);
  record->id_ = node.id;
  record->kind_ = node.kind;
  for (std::size_t i = 0; i < shapes.size(); ++i)
    record->fill_vector(i, std::as_bytes(std::span(node.vectors[i].values)));
  return NodeRecordPtr(record);
}

Result<NodeRecordPtr> NodeRecord::from_encoding(ByteView encoded) {
  MNEME_ASSIGN(const detail::NodeOutline outline, detail::outline_node(encoded, detail::NodePart::Whole));
  const ByteView body = encoded.first(outline.body_bytes);
  MNEME_TRY(check_fits(body, outline));
  const Shapes shapes(outline);
  NodeRecord* record = allocate(body, shapes.all());
  record->id_ = outline.id;
  record->kind_ = outline.kind;
  std::size_t at = 0, i = 0;
  for (const VectorShape shape : shapes.all()) {
    record->fill_vector(i++, outline.vectors.subspan(at, vector_bytes(shape)));
    at += vector_bytes(shape);
  }
  return NodeRecordPtr(record);
}

Result<NodeRecordPtr> NodeRecord::from_parts(ByteView body, std::span<const ByteView> vectors) {
  MNEME_ASSIGN(const detail::NodeOutline outline, detail::outline_node(body, detail::NodePart::Body));
  MNEME_TRY(check_fits(body, outline));
  const Shapes shapes(outline);
  if (vectors.size() != shapes.all().size())
    return corrupt("wanted " + std::to_string(shapes.all().size()) + " vectors, found " +
                   std::to_string(vectors.size()));
  for (std::size_t i = 0; i < vectors.size(); ++i)
    if (vectors[i].size() != vector_bytes(shapes.all()[i]))
      return corrupt("vector " + std::to_string(i) + ": wanted " + std::to_string(vector_bytes(shapes.all()[i])) +
                     " bytes, found " + std::to_string(vectors[i].size()));
  NodeRecord* record = allocate(body, shapes.all());
  record->id_ = outline.id;
  record->kind_ = outline.kind;
  for (std::size_t i = 0; i < vectors.size(); ++i) record->fill_vector(i, vectors[i]);
  return NodeRecordPtr(record);
}

void NodeRecord::fill_vector(std::size_t i, ByteView values) {
  if (!values.empty()) std::memcpy(const_cast<float*>(vector_at(i).data()), values.data(), values.size());
}

ByteView NodeRecord::body() const { return {start_of(this) + body_offset_, body_bytes_}; }

VectorShape NodeRecord::shape(std::size_t i) const {
  assert(i < vector_count_);
  return reinterpret_cast<const VectorShape*>(start_of(this) + shapes_offset())[i];
}

std::span<const float> NodeRecord::vector_at(std::size_t i) const {
  std::size_t offset = first_vector_offset(vector_count_);
  for (std::size_t before = 0; before < i; ++before) offset += aligned(vector_bytes(shape(before)));
  return {reinterpret_cast<const float*>(start_of(this) + offset), shape(i).dimension};
}

std::span<const float> NodeRecord::vector(GenerationId generation) const {
  for (std::size_t i = 0; i < vector_count_; ++i)
    if (shape(i).generation == generation) return vector_at(i);
  return {};
}

std::optional<NodeRecord::FieldView> NodeRecord::field(NodeField number) const {
  const std::uint16_t wanted = detail::number_of(number);
  FieldCursor field(body());
  while (field.next() && field.number() <= wanted)
    if (field.number() == wanted) return FieldView{field.wire(), field.integer(), field.bytes()};
  return std::nullopt;
}

std::optional<std::string_view> NodeRecord::text(NodeField number) const {
  const auto found = field(number);
  if (!found || found->wire != Wire::Sized) return std::nullopt;
  return as_text(found->bytes);
}

std::optional<Timestamp> NodeRecord::time(NodeField number) const {
  const auto found = field(number);
  if (!found || found->wire != Wire::Fixed64) return std::nullopt;
  return Timestamp(std::chrono::microseconds(static_cast<std::int64_t>(found->integer)));
}

std::optional<double> NodeRecord::real(NodeField number) const {
  const auto found = field(number);
  if (!found || found->wire != Wire::Fixed64) return std::nullopt;
  return std::bit_cast<double>(found->integer);
}

ValueView NodeRecord::metadata() const {
  const auto found = field(NodeField::Metadata);
  return found ? ValueView(found->bytes) : ValueView();
}

Result<Node> NodeRecord::decode() const {
  std::vector<std::span<const float>> vectors;
  vectors.reserve(vector_count_);
  for (std::size_t i = 0; i < vector_count_; ++i) vectors.push_back(vector_at(i));
  return decode_node_body(body(), vectors);
}

std::size_t NodeRecord::float_bytes() const {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < vector_count_; ++i) bytes += vector_bytes(shape(i));
  return bytes;
}

namespace {

constexpr std::uint64_t kVectorsTag =
    static_cast<std::uint64_t>(NodeField::Vectors) << 2 | static_cast<std::uint64_t>(Wire::Sized);

}  // namespace

void NodeRecord::append_encoding(Bytes& out) const {
  ByteWriter writer(out);
  writer.raw(body());
  const std::size_t bytes = float_bytes();
  if (bytes == 0) return;
  writer.varint(kVectorsTag);
  writer.varint(bytes);
  for (std::size_t i = 0; i < vector_count_; ++i) writer.raw(std::as_bytes(vector_at(i)));
}

std::size_t NodeRecord::encoding_bytes() const {
  const std::size_t bytes = float_bytes();
  if (bytes == 0) return body_bytes_;
  return body_bytes_ + detail::varint_bytes(kVectorsTag) + detail::varint_bytes(bytes) + bytes;
}

std::size_t NodeRecord::charged_bytes() const {
  // What the block really holds, and the allocator's own word before it.
  return ::malloc_usable_size(const_cast<NodeRecord*>(this)) + sizeof(std::size_t);
}

}  // namespace mneme
