// One tier on disk, Warm or Cold: bodies and vectors by row.
#pragma once

#include <functional>
#include <optional>

#include "mneme/base/node_record.h"
#include "mneme/storage/families.h"
#include "mneme/storage/tier_map.h"

namespace mneme::storage {

/// Threads: any; writes go through a WriteSet and take effect when it is applied.
class TierStore {
 public:
  TierStore(const OrderedStore& store, TierId tier);  ///< Warm or Cold

  TierId tier() const { return tier_; }
  /// @error Corruption  a body whose vectors are missing or of another length
  Result<std::optional<NodeRecordPtr>> get(SpaceId space, RowId row, const StoreSnapshotPtr& snapshot = nullptr) const;
  /// The body alone. Cost: one lookup.
  Result<std::optional<PinnedValue>> get_body(SpaceId space, RowId row,
                                              const StoreSnapshotPtr& snapshot = nullptr) const;

  /// Vectors of generations that the row had before and `record` has not stay: erase them, by their shapes, first.
  void put(WriteSet& set, SpaceId space, RowId row, const NodeRecord& record) const;
  /// `shapes`: the vectors the stored record has; each is erased with the body.
  void erase(WriteSet& set, SpaceId space, RowId row, std::span<const VectorShape> shapes) const;

  /// Rows from `first` on, ascending: body with its vectors. `visit` returns false to stop.
  /// @error Corruption, or the error of the store
  Status scan(SpaceId space, RowId first, const ScanOptions& options,
              const std::function<bool(RowId, NodeRecordPtr)>& visit) const;
  /// Bodies alone.
  Status scan_bodies(SpaceId space, RowId first, const ScanOptions& options,
                     const std::function<bool(RowId, ByteView)>& visit) const;

  /// Estimate of the bytes on disk of one space in this tier.
  std::uint64_t bytes_used(SpaceId space) const;
  Family body_family() const { return tier_ == TierId::Cold ? kColdBody : kWarmBody; }
  Family vector_family() const { return tier_ == TierId::Cold ? kColdVector : kWarmVector; }

 private:
  const OrderedStore& store_;
  TierId tier_;
};

/// Adds to `set` what moves one node between Warm and Cold: put there, erase here, place updated. Together with
/// applied_lsn in the same set the move is one atomic step; done twice it is done once (ok and nothing added when
/// the node is already in `to`). The set must be applied before any other change to the node is.
/// @error NotFound  the store does not hold the node   @error Corruption  its tier has lost it, or a vector
Status stage_move(WriteSet& set, const OrderedStore& store, SpaceId space, const NodeId& node, TierId to);

}  // namespace mneme::storage
