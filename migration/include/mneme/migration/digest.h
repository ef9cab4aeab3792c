// Order-independent digests: the same set of records gives the same digest, in whatever order they are seen.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "mneme/base/checksum.h"

namespace mneme::migration {

/// Four lanes of 64 bits, each the sum modulo 2^64 of the matching 8 bytes (little-endian) of every record's SHA-256,
/// and the count. Sums can be taken in parallel and added; a replaced record is subtracted and added. Finds any
/// accidental difference; it is not made against an adversary who chooses records.
struct SetDigest {
  std::array<std::uint64_t, 4> lanes{};
  std::uint64_t count = 0;

  void add(const Sha256Digest& record);
  void subtract(const Sha256Digest& record);
  void merge(const SetDigest& other);
  std::array<std::uint8_t, 32> bytes() const;  ///< lanes, little-endian
  std::string to_hex() const;                  ///< 64 digits
  friend bool operator==(const SetDigest&, const SetDigest&) = default;
};

}  // namespace mneme::migration
