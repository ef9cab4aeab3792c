// The registry of spaces in memory, and what is counted about each.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "generation_index.h"
#include "log_ops.h"
#include "mneme/base/mutex.h"
#include "mneme/stats.h"
#include "space_record.h"

namespace mneme {

using GenerationIndexPtr = std::shared_ptr<GenerationIndex>;

/// The generations of a space at a time, by id, each with its index. Immutable.
struct GenerationList {
  std::vector<GenerationIndexPtr> indexes;
  GenerationId next;  // ids below it that are not here were dropped
};

/// One space. Counters are of published commits; `info` changes only under the gate held alone.
class SpaceEntry {
 public:
  explicit SpaceEntry(SpaceInfo made);
  std::shared_ptr<const GenerationList> generations() const MNEME_EXCLUDES(generations_mutex_);
  /// One that is there; what holds it may use it after it was dropped.
  /// @error `code`  no such generation, or it was dropped: says which
  Result<GenerationIndexPtr> generation(GenerationId id, Code code = Code::NotFound) const;
  /// @error InvalidArgument  the space takes no vectors of this generation, or of another dimension
  Status check_vector(GenerationId generation, std::size_t dimension) const;
  /// What a change of the registry says: indexes of generations that stay are kept, others made or let go.
  void take_generations(const SpaceInfo& changed) MNEME_EXCLUDES(generations_mutex_);

  /// Writers hold it shared from their first check until their commit is published; stop, start and drop hold it alone.
  SharedMutex gate;
  SpaceInfo info;
  std::atomic<bool> dropped{false};

  std::atomic<std::int64_t> episodes{0}, concepts{0}, vectors{0}, links{0};
  std::atomic<std::uint64_t> next_row{0};    // taken by writers before they commit
  std::atomic<std::uint64_t> cold_nodes{0};  // as applied

  // Whether the applier notes changed rows, for indexes in files, and the LSN from which on it has.
  std::atomic<bool> notes_changes{false};
  std::atomic<std::uint64_t> noted_after{0};
  std::atomic<std::uint64_t> noted_rows{0};    // how many, once old_notes_counted
  bool old_notes_counted = false;              // of the thread that saves
  std::atomic<bool> lost_a_generation{false};  // which may have been the only one that needed the notes

 private:
  mutable Mutex generations_mutex_;  // a leaf
  std::shared_ptr<const GenerationList> generations_ MNEME_GUARDED_BY(generations_mutex_);
};
using SpaceEntryPtr = std::shared_ptr<SpaceEntry>;

/// Threads: any.
class Spaces {
 public:
  void add(SpaceEntryPtr entry) MNEME_EXCLUDES(mutex_);
  void remove(SpaceId id) MNEME_EXCLUDES(mutex_);
  SpaceEntryPtr find(SpaceId id) const MNEME_EXCLUDES(mutex_);
  SpaceEntryPtr find(std::string_view name) const MNEME_EXCLUDES(mutex_);
  std::vector<SpaceEntryPtr> all() const MNEME_EXCLUDES(mutex_);  // by name
  /// Applies the counter changes of a published commit.
  void count(const std::vector<CounterDelta>& deltas) const;

 private:
  mutable SharedMutex mutex_;
  std::map<SpaceId, SpaceEntryPtr> by_id_ MNEME_GUARDED_BY(mutex_);
  std::map<std::string, SpaceEntryPtr, std::less<>> by_name_ MNEME_GUARDED_BY(mutex_);
};

}  // namespace mneme
