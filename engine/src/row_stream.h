// RowStream: the stored nodes of one space in one tier, by row, in pieces; several streams are merged by row.
#pragma once

#include <deque>

#include "mneme/filter.h"
#include "mneme/storage/tier_store.h"

namespace mneme {

/// Holds at most about 4 MiB of nodes. With a filter it reads bodies first, and vectors only of what matches.
class RowStream {
 public:
  RowStream(const storage::TierStore& tier, SpaceId space, RowId first, storage::ScanOptions options,
            const Filter& filter)
      : tier_(tier), space_(space), next_(first), options_(std::move(options)), filter_(filter) {}

  /// The row at the front, or kNoRow at the end.
  Result<RowId> front();
  NodeRecordPtr pop();
  TierId tier() const { return tier_.tier(); }

 private:
  Status refill();
  Status refill_matching();

  const storage::TierStore& tier_;
  SpaceId space_;
  RowId next_;
  storage::ScanOptions options_;
  const Filter& filter_;
  std::deque<std::pair<RowId, NodeRecordPtr>> buffer_;
  bool ended_ = false;
};

}  // namespace mneme
