// Applier: takes published commits to the ordered store in LSN order, in the background.
//
// Each set it applies carries the data of one or more whole commits, the counters of the spaces they touch, and
// applied_lsn, in one atomic step. What it does depends only on the store's state and the commit, so a replay after a
// crash does the same again.
//
// A full disk makes it wait and try again; meanwhile health() is NoSpace and writers are refused once the room for
// unapplied changes is used up. Any other error stops it for good: health() says why, reads go on.
#pragma once

#include <atomic>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <thread>

#include "log_ops.h"
#include "mneme/base/mutex.h"
#include "mneme/storage/file_system.h"
#include "mneme/storage/hot_tier.h"
#include "mneme/storage/ordered_store.h"
#include "mneme/storage/tier_map.h"
#include "mneme/storage/tier_store.h"
#include "pending_links.h"
#include "space_record.h"

namespace mneme {

class Applier {
 public:
  struct Context {
    storage::OrderedStore& store;
    storage::FileSystem& fs;
    storage::HotTier& hot;
    const storage::DroppedGenerations& dropped;
    PendingLinks& links;
    std::filesystem::path bulk_directory;
    std::uint64_t hot_bytes_max;
    std::function<void(std::string_view)> log;                      // may be empty
    std::function<void(SpaceId, const SpaceCounters&)> counted;     // after each applied set
    std::function<bool(SpaceId, std::uint32_t rows)> notes_change;  // whether these are to be noted; may be empty
  };
  /// `counters`: what the store held at its applied_lsn.
  Applier(Context context, std::map<SpaceId, SpaceCounters> counters);
  ~Applier();  ///< stops without waiting for what is queued
  void start();

  /// In LSN order, by one thread at a time.
  void push(Commit commit) MNEME_EXCLUDES(mutex_);
  /// Waits until everything up to `lsn` is applied. @error what stops the applier, NoSpace included
  Status wait_applied(Lsn lsn) MNEME_EXCLUDES(mutex_);
  /// Waits until there is room for more, at most `limit`. @error Busy, or health()
  Status wait_for_room(std::uint64_t bytes_max, std::chrono::milliseconds limit) MNEME_EXCLUDES(mutex_);

  /// Runs `fill` in the applier's thread, when nothing is staged, and writes what it puts in the set as one atomic
  /// step, at the LSN that is applied by then. @error of the store, NoSpace included; what stops the applier
  Status write_beside(const std::function<void(storage::WriteSet&, Lsn applied)>& fill) MNEME_EXCLUDES(mutex_);

  Lsn applied() const { return Lsn{applied_.load(std::memory_order_acquire)}; }
  std::uint64_t unapplied_bytes() const { return unapplied_bytes_.load(std::memory_order_relaxed); }
  Status health() const MNEME_EXCLUDES(mutex_);
  /// Whether a replayed bulk load is in the store or its files are there, whole. If neither, it was never acknowledged
  /// and did not happen. Call before the load is pushed.
  Result<bool> bulk_can_be_in(const BulkLoad& bulk) const;

 private:
  /// What write_beside() waits for.
  struct Beside {
    const std::function<void(storage::WriteSet&, Lsn applied)>& fill;
    Status done;
    bool is_done = false;
  };
  void run() MNEME_EXCLUDES(mutex_);
  void finish(const std::deque<Beside*>& all) MNEME_EXCLUDES(mutex_);
  void note_change(SpaceId space, RowId row, std::uint32_t rows);
  Status apply_all(const std::deque<Commit>& commits);
  Status stage(const Commit& commit);
  Status stage_op(const LogOp& op);
  Status stage_put(const LogOp& op);
  Status stage_erase(SpaceId space, const NodeId& node);
  Status remove_home(SpaceId space, const storage::Place& place, const std::vector<VectorShape>& keep);
  Status stage_link(const LogOp& op);
  Status stage_change(const SpaceChange& change);
  Status stage_move(const Move& move);
  Status ingest(const Commit& commit);
  Result<bool> bulk_is_in(const BulkLoad& bulk) const;
  Result<bool> bulk_files_are_whole(const BulkLoad& bulk) const;
  void count(const std::vector<CounterDelta>& deltas);
  Status settle() MNEME_EXCLUDES(mutex_);  // applies the set under way, at staged_lsn_
  Status retry_while_full(const std::function<Status()>& step) MNEME_EXCLUDES(mutex_);
  bool touches_staged(const Commit& commit) const;
  void evict();

  Context context_;
  storage::TierMap map_;
  storage::TierStore warm_, cold_;

  // Used by the thread alone.
  storage::WriteSet set_;
  Lsn staging_;                                   // the commit that is being put in set_
  Lsn staged_lsn_;                                // last commit wholly in set_ or applied
  bool evict_all_ = false;                        // a generation was dropped: what is in memory still has its vectors
  std::uint64_t staged_bytes_ = 0;                // of memory held by the commits in set_
  std::set<std::pair<SpaceId, NodeId>> touched_;  // nodes in set_
  std::map<SpaceId, SpaceCounters> counters_;
  std::set<SpaceId> counters_changed_;

  mutable Mutex mutex_;
  CondVar work_, progress_;
  std::deque<Commit> queue_ MNEME_GUARDED_BY(mutex_);
  std::deque<Beside*> beside_ MNEME_GUARDED_BY(mutex_);
  bool stop_ MNEME_GUARDED_BY(mutex_) = false;
  Status health_ MNEME_GUARDED_BY(mutex_);
  std::atomic<std::uint64_t> applied_{0};
  std::atomic<std::uint64_t> unapplied_bytes_{0};
  std::thread thread_;
};

/// Key of the marker that a bulk load's files carry in the cursor family: there = the files are in.
std::string bulk_marker_key(const Uuid& id);
/// Key of a caller's side entry in the cursor family.
std::string side_key(std::string_view key);

}  // namespace mneme
