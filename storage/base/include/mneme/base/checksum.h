// CRC-32C for blocks and records, XXH3 for files and sampling, SHA-256 for verification.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "mneme/base/bytes.h"

namespace mneme {

/// CRC-32C (Castagnoli, iSCSI) by hardware where the processor has it, else by table.
/// `crc` continues an earlier call: crc32c(b, crc32c(a)) == crc32c(a ++ b).
std::uint32_t crc32c(ByteView bytes, std::uint32_t crc = 0);

/// The table version, always available; equal to crc32c for every input.
std::uint32_t crc32c_portable(ByteView bytes, std::uint32_t crc = 0);

/// Whether crc32c() uses instructions of this processor.
bool crc32c_is_hardware();

/// XXH3, 64 bits. Not against an adversary.
std::uint64_t xxh3_64(ByteView bytes, std::uint64_t seed = 0);

using Sha256Digest = std::array<std::uint8_t, 32>;

/// One-shot SHA-256 (SHA extensions where present). Cost: about 0.6 ns a byte with them.
Sha256Digest sha256(ByteView bytes);

/// SHA-256 of a stream.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(ByteView bytes);
  /// The digest of everything so far; the object may then only be destroyed.
  Sha256Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Lower-case hexadecimal.
std::string to_hex(ByteView bytes);
inline std::string to_hex(const Sha256Digest& digest) { return to_hex(std::as_bytes(std::span(digest))); }

}  // namespace mneme
