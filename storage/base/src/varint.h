// LEB128 in place: the one reader behind ByteReader, FieldCursor and ValueView.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "mneme/base/bytes.h"

namespace mneme::detail {

enum class VarintRead : std::uint8_t { Ok, Short, NotShortest, TooLarge };

/// Reads the varint at `at` and moves `at` behind it; leaves both as they are on failure.
inline VarintRead read_varint(ByteView bytes, std::size_t& at, std::uint64_t& value) {
  if (at < bytes.size()) {
    const auto first = static_cast<std::uint8_t>(bytes[at]);
    if (first < 0x80) {  // most tags, lengths and counts
      value = first;
      ++at;
      return VarintRead::Ok;
    }
  }
  std::uint64_t result = 0;
  for (std::size_t i = 0; i < 10; ++i) {
    if (i >= bytes.size() - at) return VarintRead::Short;
    const auto byte = static_cast<std::uint8_t>(bytes[at + i]);
    if (i == 9 && byte > 1) return VarintRead::TooLarge;
    result |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      if (byte == 0 && i > 0) return VarintRead::NotShortest;
      value = result;
      at += i + 1;
      return VarintRead::Ok;
    }
  }
  return VarintRead::TooLarge;
}

/// Bytes that a varint takes, 1..10.
constexpr std::size_t varint_bytes(std::uint64_t value) {
  return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}

/// Writes a varint at `to`, which has room for 10 bytes, and returns its length.
inline std::size_t write_varint(std::byte* to, std::uint64_t value) {
  std::size_t size = 0;
  while (value >= 0x80) {
    to[size++] = static_cast<std::byte>(value | 0x80);
    value >>= 7;
  }
  to[size++] = static_cast<std::byte>(value);
  return size;
}

constexpr std::uint64_t zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ (value < 0 ? ~std::uint64_t{0} : 0);
}
constexpr std::int64_t unzigzag(std::uint64_t value) {
  return static_cast<std::int64_t>((value >> 1) ^ (0 - (value & 1)));
}

}  // namespace mneme::detail
