// DroppedGenerations: what bodies on disk may still name although its vectors are gone.
//
// Dropping a generation erases its vectors as one range of keys and leaves the bodies as they are: rewriting every node
// would cost as much as loading them again. A body names the generation until the node is written or moved the next
// time; until then every read leaves it out. Ids of generations are never used again, so this stays right for good.
//
// A reader asks after it has pinned the state that it reads: a generation is in here before its vectors are erased, so
// a vector that is missing and not in here is damage.
#pragma once

#include <atomic>
#include <set>
#include <utility>
#include <vector>

#include "mneme/base/mutex.h"
#include "mneme/base/node_record.h"

namespace mneme::storage {

/// Threads: any.
class DroppedGenerations {
 public:
  void add(SpaceId space, GenerationId generation) MNEME_EXCLUDES(mutex_);
  bool contains(SpaceId space, GenerationId generation) const MNEME_EXCLUDES(mutex_);

  /// Takes the dropped ones out of `shapes`. Returns whether there were any. Cost: one load where nothing was dropped.
  bool remove_from(std::vector<VectorShape>& shapes, SpaceId space) const MNEME_EXCLUDES(mutex_);
  /// The record as it is shown: itself, or a copy without the vectors of dropped generations.
  NodeRecordPtr shown(SpaceId space, const NodeRecordPtr& record) const MNEME_EXCLUDES(mutex_);

 private:
  std::atomic<bool> any_{false};
  mutable SharedMutex mutex_;
  std::set<std::pair<SpaceId, GenerationId>> dropped_ MNEME_GUARDED_BY(mutex_);
};

}  // namespace mneme::storage
