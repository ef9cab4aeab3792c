// The low-level SHA interface is used on purpose: it cannot fail, allocates nothing, and does not depend on
// which providers the host application has configured. Its deprecation names the interface, not the code.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "mneme/base/checksum.h"

#include <openssl/sha.h>
#include <xxhash.h>

#include <algorithm>
#include <limits>

#if defined(__x86_64__)
#include <isa-l/crc.h>
#endif

namespace mneme {

namespace {

constexpr std::uint32_t kCastagnoli = 0x82F63B78;  // reflected

using CrcTables = std::array<std::array<std::uint32_t, 256>, 8>;

// tables[k][b] is the crc of byte b followed by k zero bytes, so that eight look-ups take eight bytes at once
// (Kounavis and Berry, "A systematic approach to building high performance software-based CRC generators").
constexpr CrcTables make_tables() {
  CrcTables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kCastagnoli : 0);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < tables.size(); ++k)
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  return tables;
}
constexpr CrcTables kTables = make_tables();

bool cpu_has_crc32() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("sse4.2") != 0;
#else
  return false;
#endif
}

const bool kHardware = cpu_has_crc32();

}  // namespace

std::uint32_t crc32c_portable(ByteView bytes, std::uint32_t crc) {
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint32_t state = ~crc;
  for (; left >= 8; left -= 8, at += 8) {
    const std::uint64_t word = load_le<std::uint64_t>(at) ^ state;
    state = kTables[7][word & 0xff] ^ kTables[6][(word >> 8) & 0xff] ^ kTables[5][(word >> 16) & 0xff] ^
            kTables[4][(word >> 24) & 0xff] ^ kTables[3][(word >> 32) & 0xff] ^ kTables[2][(word >> 40) & 0xff] ^
            kTables[1][(word >> 48) & 0xff] ^ kTables[0][word >> 56];
  }
  for (; left > 0; --left, ++at) state = (state >> 8) ^ kTables[0][(state ^ static_cast<std::uint8_t>(*at)) & 0xff];
  return ~state;
}

std::uint32_t crc32c(ByteView bytes, std::uint32_t crc) {
#if defined(__x86_64__)
  if (kHardware) {
    std::uint32_t state = ~crc;  // ISA-L neither inverts its seed nor its result
    while (!bytes.empty()) {
      const std::size_t chunk = std::min(bytes.size(), std::size_t{1} << 30);  // its length is an int
      // It reads only, but its signature lacks the const.
      auto* data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
      state = crc32_iscsi(data, static_cast<int>(chunk), state);
      bytes = bytes.subspan(chunk);
    }
    return ~state;
  }
#endif
  return crc32c_portable(bytes, crc);
}

bool crc32c_is_hardware() { return kHardware; }

std::uint64_t xxh3_64(ByteView bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

Sha256Digest sha256(ByteView bytes) {
  SHA256_CTX context;
  Sha256Digest digest;
  SHA256_Init(&context);
  SHA256_Update(&context, bytes.data(), bytes.size());
  SHA256_Final(digest.data(), &context);
  return digest;
}

struct Sha256::State {
  SHA256_CTX context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) { SHA256_Init(&state_->context); }
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(ByteView bytes) { SHA256_Update(&state_->context, bytes.data(), bytes.size()); }

Sha256Digest Sha256::finish() {
  Sha256Digest digest;
  SHA256_Final(digest.data(), &state_->context);
  return digest;
}

std::string to_hex(ByteView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::byte byte : bytes) {
    text.push_back(kDigits[static_cast<std::uint8_t>(byte) >> 4]);
    text.push_back(kDigits[static_cast<std::uint8_t>(byte) & 0xf]);
  }
  return text;
}

}  // namespace mneme
