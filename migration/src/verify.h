// VERIFY: both sides scanned and compared by count and digest, range by range.
//
// The source is read by key, through a view of its own. The target is read by row, as the store gives its nodes back;
// each node is turned into a Memory's bytes again and counted in the range its id falls into. Nothing that was counted
// while copying takes part.
#pragma once

#include <memory>
#include <vector>

#include "mneme/database.h"
#include "mneme/migration/legacy_store.h"
#include "mneme/migration/migrator.h"
#include "plan.h"
#include "side_entries.h"
#include "workers.h"

namespace mneme::migration {

struct VerifyJob {
  const LegacyStore& source;
  std::shared_ptr<const LegacyStore::View> source_view;
  Database& target;
  const Space& space;
  ReadView target_view;
  std::vector<storage::PartitionBounds> partitions;
  std::optional<Uuid> migration;  ///< whose set-aside records are left out of the source's side; none = nothing is
  unsigned workers = 0;
};

struct Comparison {
  SetDigest source;       ///< the source's records without those set aside
  SetDigest target;       ///< the target's nodes as Memory bytes
  SetDigest quarantined;  ///< the records set aside
  std::uint64_t source_bytes = 0;
  std::vector<PartitionDifference> differences;  ///< by range, then what is no memory at all; empty = equal
  bool equal() const { return differences.empty(); }
};

/// @return what differs, if anything does; a difference is no error here
/// @error Cancelled; any error of a scan
/// Cost: one pass over each side with SHA-256; a second one over what differs, to name ids.
Result<Comparison> compare(const VerifyJob& job, ProgressMeter& meter);

}  // namespace mneme::migration
