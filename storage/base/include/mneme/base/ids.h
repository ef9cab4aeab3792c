// Identifiers that do not mix.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "mneme/base/bytes.h"
#include "mneme/base/result.h"

namespace mneme {

/// A number with a meaning; two Ids of different tags do not compare or convert.
template <class Tag, class Rep = std::uint64_t>
struct Id {
  Rep value = 0;
  friend constexpr auto operator<=>(Id, Id) = default;
};

using Lsn = Id<struct LsnTag>;    ///< log sequence number, position in the log; 0 = before all writes
using RowId = Id<struct RowTag>;  ///< a node's row in its space: dense, never reused, survives updates and moves
using SpaceId = Id<struct SpaceTag, std::uint32_t>;            ///< never reused; 0 = none
using GenerationId = Id<struct GenerationTag, std::uint16_t>;  ///< embedding model of a space; 0 = its first

inline constexpr RowId kNoRow{~std::uint64_t{0}};
inline constexpr Lsn kMaxLsn{~std::uint64_t{0}};

enum class TierId : std::uint8_t { Hot = 0, Warm = 1, Cold = 2 };                                // values are on disk
enum class NodeKind : std::uint8_t { Episode = 1, Concept = 2 };                                 // values are on disk
enum class MemoryType : std::uint8_t { Unset = 0, Semantic = 1, Episodic = 2, Procedural = 3 };  // on disk
enum class Metric : std::uint8_t { InnerProduct = 0, Cosine = 1, SquaredL2 = 2 };                // on disk

std::string_view name_of(TierId tier);      ///< "hot", "warm", "cold"
std::string_view name_of(NodeKind kind);    ///< "episode", "concept"
std::string_view name_of(MemoryType type);  ///< "", "semantic", "episodic", "procedural"
std::string_view name_of(Metric metric);    ///< "ip", "cosine", "l2"
Result<TierId> tier_from_name(std::string_view name);
Result<NodeKind> node_kind_from_name(std::string_view name);
Result<MemoryType> memory_type_from_name(std::string_view name);
Result<Metric> metric_from_name(std::string_view name);

/// 128 bits in RFC 9562 order (bytes[0] is the most significant). Used for nodes, databases, spaces.
struct Uuid {
  std::array<std::uint8_t, 16> bytes{};
  friend auto operator<=>(const Uuid&, const Uuid&) = default;
  bool is_nil() const { return *this == Uuid{}; }
  ByteView view() const { return std::as_bytes(std::span(bytes)); }
  /// 36 characters, lower case.
  std::string to_string() const;
};

/// Accepts the 36-character form in either case. @error InvalidArgument otherwise
Result<Uuid> parse_uuid(std::string_view text);

/// The 16 bytes of `bytes`. @error Corruption  another length
Result<Uuid> uuid_from_bytes(ByteView bytes);

/// RFC 9562 version 5: SHA-1 of `name_space` and `name`. The same input gives the same id everywhere.
Uuid uuid_v5(const Uuid& name_space, std::string_view name);

using NodeId = Uuid;  ///< unique for the life of a database
using DatabaseId = Uuid;

/// The id of a record imported from another system: v5 of (v5 of the space's name), system, id.
/// A re-run of an import finds the same node. An empty `external_system` is allowed.
NodeId node_id_for_external(std::string_view space_name, std::string_view external_system,
                            std::string_view external_id);

}  // namespace mneme

template <>
struct std::hash<mneme::Uuid> {
  // Version 5 ids are uniform; version 7 ids are uniform in their low half.
  std::size_t operator()(const mneme::Uuid& id) const noexcept {
    std::uint64_t high, low;
    std::memcpy(&high, id.bytes.data(), 8);
    std::memcpy(&low, id.bytes.data() + 8, 8);
    return (high * 0x9E3779B97F4A7C15ull) ^ low;
  }
};
