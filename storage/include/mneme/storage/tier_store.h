// One tier on disk, Warm or Cold: bodies and vectors by row.
#pragma once

#include <functional>
#include <optional>

#include "mneme/base/node_record.h"
#include "mneme/storage/dropped_generations.h"
#include "mneme/storage/families.h"
#include "mneme/storage/tier_map.h"

namespace mneme::storage {

/// Threads: any; writes go through a WriteSet and take effect when it is applied.
class TierStore {
 public:
  /// `tier`: Warm or Cold. Reads leave out vectors of what is in `dropped`, which outlives this; null = nothing is.
  TierStore(const OrderedStore& store, TierId tier, const DroppedGenerations* dropped = nullptr);

  TierId tier() const { return tier_; }
  /// @error Corruption  a body whose vectors are missing or of another length
  Result<std::optional<NodeRecordPtr>> get(SpaceId space, RowId row, const StoreSnapshotPtr& snapshot = nullptr) const;
  /// The body alone, as it is stored: it may name vectors of dropped generations. Cost: one lookup.
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
  /// Bodies alone, as they are stored.
  Status scan_bodies(SpaceId space, RowId first, const ScanOptions& options,
                     const std::function<bool(RowId, ByteView)>& visit) const;

  /// Shapes of the vectors that a stored body of this tier has: those it names and that were not dropped.
  /// @error Corruption
  Result<std::vector<VectorShape>> shapes_of(SpaceId space, ByteView body) const;

  /// Estimate of the bytes on disk of one space in this tier.
  std::uint64_t bytes_used(SpaceId space) const;
  Family body_family() const { return tier_ == TierId::Cold ? kColdBody : kWarmBody; }
  Family vector_family() const { return tier_ == TierId::Cold ? kColdVector : kWarmVector; }

 private:
  const OrderedStore& store_;
  TierId tier_;
  const DroppedGenerations* dropped_;
};

/// Adds to `set` what moves one node between Warm and Cold: put there, erase here, place updated. Vectors of `dropped`
/// generations are not put there. Together with
/// applied_lsn in the same set the move is one atomic step; done twice it is done once (ok and nothing added when
/// the node is already in `to`). The set must be applied before any other change to the node is.
/// @error NotFound  the store does not hold the node   @error Corruption  its tier has lost it, or a vector
Status stage_move(WriteSet& set, const OrderedStore& store, SpaceId space, const NodeId& node, TierId to,
                  const DroppedGenerations* dropped = nullptr);

}  // namespace mneme::storage
