// Byte strings, little-endian fields, and bounds-checked readers and writers.
//
// Everything Mneme puts on disk is little-endian and unaligned. Keys of ordered stores are the one
// exception: their integers are big-endian, so that byte order is number order.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "mneme/base/result.h"

namespace mneme {

static_assert(std::endian::native == std::endian::little, "Mneme's files are little-endian");

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// Where a fixed field lies in a record: the byte tables of FORMAT.md as constants.
struct Field {
  std::size_t offset = 0;
  std::size_t size = 0;
  constexpr std::size_t end() const { return offset + size; }
};
constexpr Field after(Field previous, std::size_t size) { return {previous.end(), size}; }

/// Reads or writes one little-endian integer at `at`; the caller has checked the bounds.
template <class T>
requires std::is_integral_v<T> T load_le(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
template <class T>
requires std::is_integral_v<T>
void store_le(std::byte* at, T value) { std::memcpy(at, &value, sizeof value); }

/// Big-endian integers, for keys.
template <class T>
requires std::is_unsigned_v<T>
void append_be(std::string& key, T value) {
  for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8)
    key.push_back(static_cast<char>((value >> shift) & 0xff));
}
template <class T>
requires std::is_unsigned_v<T> T load_be(const char* at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>((value << 8) | static_cast<unsigned char>(at[i]));
  return value;
}

/// Appends little-endian values to a byte string.
class ByteWriter {
 public:
  explicit ByteWriter(Bytes& out) : out_(out) {}

  template <class T>
  requires std::is_integral_v<T>
  void fixed(T value) {
    const std::size_t at = out_.size();
    out_.resize(at + sizeof value);
    store_le(out_.data() + at, value);
  }
  /// LEB128, at most 10 bytes, shortest form.
  void varint(std::uint64_t value);
  void raw(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  /// varint length, then the bytes.
  void sized(ByteView bytes) {
    varint(bytes.size());
    raw(bytes);
  }
  void sized(std::string_view text) { sized(as_bytes(text)); }
  std::size_t size() const { return out_.size(); }

 private:
  Bytes& out_;
};

/// Consumes a byte string front to back. Every read checks the bounds; a read past the end or a
/// varint that is not in shortest form is Corruption naming the offset.
class ByteReader {
 public:
  explicit ByteReader(ByteView bytes) : bytes_(bytes) {}

  std::size_t offset() const { return offset_; }
  std::size_t remaining() const { return bytes_.size() - offset_; }
  bool at_end() const { return remaining() == 0; }

  template <class T>
  requires std::is_integral_v<T> Result<T> fixed() {
    if (remaining() < sizeof(T)) return short_read(sizeof(T));
    const T value = load_le<T>(bytes_.data() + offset_);
    offset_ += sizeof(T);
    return value;
  }
  Result<std::uint64_t> varint();
  /// A view into the underlying bytes.
  Result<ByteView> raw(std::uint64_t size);
  Result<ByteView> sized();

 private:
  Status short_read(std::uint64_t wanted) const;
  ByteView bytes_;
  std::size_t offset_ = 0;
};

}  // namespace mneme
