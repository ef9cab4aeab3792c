// Which row and which tier holds a node: the `id` family.
#pragma once

#include <optional>

#include "mneme/base/ids.h"
#include "mneme/storage/families.h"

namespace mneme::storage {

/// Where a node lies on disk. `tier` is Warm or Cold: a node in the hot tier has its home in Warm.
struct Place {
  RowId row;
  TierId tier = TierId::Warm;
  NodeKind kind = NodeKind::Episode;
  friend bool operator==(const Place&, const Place&) = default;
};

/// 10 bytes: row u64 little-endian, tier, kind.
std::array<std::byte, 10> encode_place(const Place& place);
Result<Place> decode_place(ByteView bytes);

/// Threads: any.
class TierMap {
 public:
  explicit TierMap(const OrderedStore& store) : store_(store) {}
  Result<std::optional<Place>> find(SpaceId space, const NodeId& node,
                                    const StoreSnapshotPtr& snapshot = nullptr) const;
  /// False proves that the store does not hold the node.
  bool may_hold(SpaceId space, const NodeId& node) const;
  static void put(WriteSet& set, SpaceId space, const NodeId& node, const Place& place);
  static void erase(WriteSet& set, SpaceId space, const NodeId& node);

 private:
  const OrderedStore& store_;
};

}  // namespace mneme::storage
