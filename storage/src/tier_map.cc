#include "mneme/storage/tier_map.h"

namespace mneme::storage {
namespace {

// One place.
constexpr Field kRow{0, 8};
constexpr Field kTier = after(kRow, 1);
constexpr Field kKind = after(kTier, 1);
static_assert(kKind.end() == 10);

}  // namespace

std::array<std::byte, 10> encode_place(const Place& place) {
  std::array<std::byte, 10> bytes;
  store_le(bytes.data() + kRow.offset, place.row.value);
  bytes[kTier.offset] = static_cast<std::byte>(place.tier);
  bytes[kKind.offset] = static_cast<std::byte>(place.kind);
  return bytes;
}

Result<Place> decode_place(ByteView bytes) {
  if (bytes.size() != kKind.end())
    return Status(Code::Corruption, "place: " + std::to_string(bytes.size()) + " bytes, expected 10");
  const auto tier = static_cast<TierId>(bytes[kTier.offset]);
  const auto kind = static_cast<NodeKind>(bytes[kKind.offset]);
  if (tier != TierId::Warm && tier != TierId::Cold)
    return Status(Code::Corruption, "place: tier " + std::to_string(static_cast<unsigned>(tier)));
  if (kind != NodeKind::Episode && kind != NodeKind::Concept)
    return Status(Code::Corruption, "place: kind " + std::to_string(static_cast<unsigned>(kind)));
  return Place{{load_le<std::uint64_t>(bytes.data() + kRow.offset)}, tier, kind};
}

Result<std::optional<Place>> TierMap::find(SpaceId space, const NodeId& node, const StoreSnapshotPtr& snapshot) const {
  MNEME_ASSIGN(const std::optional<PinnedValue> value, store_.get(kId, id_key(space, node), snapshot));
  if (!value) return std::optional<Place>();
  const Result<Place> place = decode_place(value->bytes());
  if (!place) return place.status().with_context("space " + std::to_string(space.value) + ": node " + node.to_string());
  return std::optional<Place>(*place);
}

bool TierMap::may_hold(SpaceId space, const NodeId& node) const { return store_.may_exist(kId, id_key(space, node)); }

void TierMap::put(WriteSet& set, SpaceId space, const NodeId& node, const Place& place) {
  const std::array<std::byte, 10> value = encode_place(place);
  set.put(kId, id_key(space, node), value);
}

void TierMap::erase(WriteSet& set, SpaceId space, const NodeId& node) { set.erase(kId, id_key(space, node)); }

}  // namespace mneme::storage
