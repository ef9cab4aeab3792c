// See checksum.cc for why the low-level SHA interface is used.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "mneme/base/ids.h"

#include <openssl/sha.h>

#include <algorithm>

#include "quote.h"

namespace mneme {

namespace {

// Root of all version 5 ids of Mneme: random once, fixed for ever.
constexpr Uuid kMnemeNamespace{
    {0xa4, 0x4f, 0xe8, 0x42, 0xb7, 0x2a, 0x4c, 0x3b, 0x88, 0xfd, 0xb5, 0x56, 0x51, 0x8b, 0xeb, 0xa7}};

constexpr std::size_t kUuidTextBytes = 36;

bool is_dash_position(std::size_t at) { return at == 8 || at == 13 || at == 18 || at == 23; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Collects the parts of a version 5 name without joining them in memory.
class NameHash {
 public:
  explicit NameHash(const Uuid& name_space) {
    SHA1_Init(&context_);
    SHA1_Update(&context_, name_space.bytes.data(), name_space.bytes.size());
  }
  NameHash& add(std::string_view part) {
    SHA1_Update(&context_, part.data(), part.size());
    return *this;
  }
  Uuid uuid() {
    std::array<std::uint8_t, SHA_DIGEST_LENGTH> digest;
    SHA1_Final(digest.data(), &context_);
    Uuid id;
    std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
    id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x50);  // version 5
    id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);  // variant of RFC 9562
    return id;
  }

 private:
  SHA_CTX context_;
};

template <class Enum, std::size_t N>
Result<Enum> from_name(const std::array<Enum, N>& all, std::string_view name, std::string_view what) {
  for (const Enum candidate : all)
    if (name_of(candidate) == name) return candidate;
  std::string message(what);
  message.append(": unknown name ").append(quoted(name)).append("; known:");
  for (const Enum candidate : all) message.append(" ").append(quoted(name_of(candidate)));
  return Status(Code::InvalidArgument, std::move(message));
}

}  // namespace

std::string_view name_of(TierId tier) {
  switch (tier) {
    case TierId::Hot:
      return "hot";
    case TierId::Warm:
      return "warm";
    case TierId::Cold:
      return "cold";
  }
  return "unknown";
}

std::string_view name_of(NodeKind kind) {
  switch (kind) {
    case NodeKind::Episode:
      return "episode";
    case NodeKind::Concept:
      return "concept";
  }
  return "unknown";
}

std::string_view name_of(MemoryType type) {
  switch (type) {
    case MemoryType::Unset:
      return "";
    case MemoryType::Semantic:
      return "semantic";
    case MemoryType::Episodic:
      return "episodic";
    case MemoryType::Procedural:
      return "procedural";
  }
  return "unknown";
}

std::string_view name_of(Metric metric) {
  switch (metric) {
    case Metric::InnerProduct:
      return "ip";
    case Metric::Cosine:
      return "cosine";
    case Metric::SquaredL2:
      return "l2";
  }
  return "unknown";
}

Result<TierId> tier_from_name(std::string_view name) {
  return from_name(std::array{TierId::Hot, TierId::Warm, TierId::Cold}, name, "tier");
}

Result<NodeKind> node_kind_from_name(std::string_view name) {
  return from_name(std::array{NodeKind::Episode, NodeKind::Concept}, name, "node kind");
}

Result<MemoryType> memory_type_from_name(std::string_view name) {
  return from_name(std::array{MemoryType::Unset, MemoryType::Semantic, MemoryType::Episodic, MemoryType::Procedural},
                   name, "memory type");
}

Result<Metric> metric_from_name(std::string_view name) {
  return from_name(std::array{Metric::InnerProduct, Metric::Cosine, Metric::SquaredL2}, name, "metric");
}

std::string Uuid::to_string() const {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(kUuidTextBytes, '-');
  std::size_t at = 0;
  for (const std::uint8_t byte : bytes) {
    if (is_dash_position(at)) ++at;
    text[at++] = kDigits[byte >> 4];
    text[at++] = kDigits[byte & 0xf];
  }
  return text;
}

Result<Uuid> parse_uuid(std::string_view text) {
  if (text.size() != kUuidTextBytes)
    return Status(Code::InvalidArgument,
                  "uuid " + quoted(text) + ": wanted 36 characters, found " + std::to_string(text.size()));
  Uuid id;
  std::size_t nibble = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const int digit = hex_digit(text[at]);
    if (is_dash_position(at) ? text[at] != '-' : digit < 0)
      return Status(Code::InvalidArgument, "uuid " + quoted(text) + ": character " + std::to_string(at) +
                                               (is_dash_position(at) ? " is not a dash" : " is not a hex digit"));
    if (is_dash_position(at)) continue;
    std::uint8_t& byte = id.bytes[nibble / 2];
    byte = static_cast<std::uint8_t>((byte << 4) | digit);
    ++nibble;
  }
  return id;
}

Result<Uuid> uuid_from_bytes(ByteView bytes) {
  Uuid id;
  if (bytes.size() != id.bytes.size())
    return Status(Code::Corruption, "uuid: wanted 16 bytes, found " + std::to_string(bytes.size()));
  std::memcpy(id.bytes.data(), bytes.data(), id.bytes.size());
  return id;
}

Uuid uuid_v5(const Uuid& name_space, std::string_view name) { return NameHash(name_space).add(name).uuid(); }

NodeId node_id_for_external(std::string_view space_name, std::string_view external_system,
                            std::string_view external_id) {
  const Uuid space = uuid_v5(kMnemeNamespace, space_name);
  constexpr std::string_view kSeparator("\0", 1);  // no valid external_system contains it (validate_node)
  return NameHash(space).add(external_system).add(kSeparator).add(external_id).uuid();
}

}  // namespace mneme
