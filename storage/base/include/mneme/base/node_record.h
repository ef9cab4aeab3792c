// NodeRecord: one stored node in memory, immutable, in a single allocation, shared by reference count.
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "mneme/base/ids.h"
#include "mneme/base/node.h"
#include "mneme/base/node_codec.h"

namespace mneme {

class NodeRecord;

/// Owning pointer to a NodeRecord; copying costs one atomic increment.
class NodeRecordPtr {
 public:
  NodeRecordPtr() = default;
  NodeRecordPtr(const NodeRecordPtr& other);
  NodeRecordPtr(NodeRecordPtr&& other) noexcept : record_(std::exchange(other.record_, nullptr)) {}
  NodeRecordPtr& operator=(NodeRecordPtr other) noexcept {
    std::swap(record_, other.record_);
    return *this;
  }
  ~NodeRecordPtr();
  const NodeRecord* get() const { return record_; }
  const NodeRecord& operator*() const { return *record_; }
  const NodeRecord* operator->() const { return record_; }
  explicit operator bool() const { return record_ != nullptr; }

 private:
  friend class NodeRecord;
  explicit NodeRecordPtr(const NodeRecord* adopted) : record_(adopted) {}
  const NodeRecord* record_ = nullptr;
};

/// Layout of the allocation: this header, a VectorShape per vector, the vectors (each 64-byte aligned), the
/// body.
/// Threads: immutable; read from any thread while a NodeRecordPtr is held.
class NodeRecord {
 public:
  /// From a struct. The node must be valid (validate_node).
  /// Cost: one encoding of the body and one allocation; throws std::bad_alloc like any container.
  static NodeRecordPtr from_node(const Node& node);
  /// From a canonical encoding, fully checked. @error Corruption
  static Result<NodeRecordPtr> from_encoding(ByteView encoded);
  /// From a body and its vectors' bytes, one per shape the body names, in order. @error Corruption
  static Result<NodeRecordPtr> from_parts(ByteView body, std::span<const ByteView> vector_bytes);

  NodeId id() const { return id_; }
  NodeKind kind() const { return kind_; }
  ByteView body() const;

  std::size_t vector_count() const { return vector_count_; }
  VectorShape shape(std::size_t i) const;
  std::span<const float> vector_at(std::size_t i) const;
  /// Empty when the node has none of that generation.
  std::span<const float> vector(GenerationId generation) const;

  /// One field in place; nullopt when absent. Cost: a walk over the fields before it.
  struct FieldView {
    Wire wire;
    std::uint64_t integer;  // Varint, Fixed64
    ByteView bytes;         // Sized
  };
  std::optional<FieldView> field(NodeField number) const;
  std::optional<std::string_view> text(NodeField number) const;
  std::optional<Timestamp> time(NodeField number) const;
  std::optional<double> real(NodeField number) const;
  std::optional<std::string_view> content() const { return text(NodeField::Content); }
  std::optional<std::string_view> external_id() const { return text(NodeField::ExternalId); }
  ValueView metadata() const;  ///< empty() when absent
  std::optional<Timestamp> created_at() const { return time(NodeField::CreatedAt); }

  /// The whole node as a struct, copied.
  Result<Node> decode() const;
  /// Appends the canonical encoding: body, then the vectors field.
  void append_encoding(Bytes& out) const;
  std::size_t encoding_bytes() const;

  /// Bytes this record takes from the allocator, rounding included.
  std::size_t charged_bytes() const;

 private:
  friend class NodeRecordPtr;
  NodeRecord() = default;
  static NodeRecord* allocate(ByteView body, std::span<const VectorShape> shapes);
  static void destroy(const NodeRecord* record);
  void fill_vector(std::size_t i, ByteView values);
  std::size_t float_bytes() const;

  mutable std::atomic<std::uint32_t> references_{1};
  std::uint32_t body_bytes_ = 0;
  std::uint32_t body_offset_ = 0;  // from the start of this object
  std::uint16_t vector_count_ = 0;
  NodeKind kind_ = NodeKind::Episode;
  NodeId id_;
};

inline NodeRecordPtr::NodeRecordPtr(const NodeRecordPtr& other) : record_(other.record_) {
  if (record_) record_->references_.fetch_add(1, std::memory_order_relaxed);
}
inline NodeRecordPtr::~NodeRecordPtr() {
  if (record_ && record_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) NodeRecord::destroy(record_);
}

}  // namespace mneme
