// BACKFILL: every partition's records into the target, each chunk with its cursor in one atomic step.
#pragma once

#include <vector>

#include "mneme/database.h"
#include "mneme/migration/legacy_store.h"
#include "mneme/migration/migrator.h"
#include "plan.h"
#include "side_entries.h"
#include "workers.h"

namespace mneme::migration {

struct BackfillJob {
  const LegacyStore& source;
  std::shared_ptr<const LegacyStore::View> view;  ///< at the plan's lsn
  Database& target;
  const Space& space;
  std::uint32_t dimension = 0;  ///< of the space's generation 0
  const MigrationPlan& plan;
  std::size_t chunk_records_max = 0;
  std::uint64_t chunk_bytes_max = 0;
  unsigned workers = 0;
};

/// Goes on from `cursors` and moves them along; after an error they say how far the durable part has come.
/// Partitions with the most left to do go first; at most `workers` are under way.
/// Memory: workers × (chunk_bytes_max of nodes, and what bulk_insert takes to write them).
/// @error Cancelled; any error of the source's scan or of bulk_insert, with the partition's range
Status backfill(const BackfillJob& job, std::vector<PartitionCursor>& cursors, ProgressMeter& meter);

}  // namespace mneme::migration
