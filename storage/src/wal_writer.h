// Group commit: many threads append, one of them at a time writes and syncs for all that wait.
//
// A thread that finds nobody leading becomes the leader; the others queue. The leader takes what waits, writes it
// with one call, syncs once if anybody asked for it, calls each record's CommitFn in LSN order, hands the lead to
// the first that came meanwhile, and wakes the rest. Groups never overlap: several syncs in flight on one file
// are slower than one, and a write beside a sync could reach the disk half copied.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "mneme/base/mutex.h"
#include "wal_segments.h"

namespace mneme::storage::wal {

/// Requests that queue while another group is written; most become the next group. One broadcast wakes them all.
/// Shared, because the leader that finishes it may be the last to touch it.
class Batch {
 public:
  void wait_until_led();       ///< the first in an empty queue waits for its turn to lead
  void wait_until_finished();  ///< the others, for the group that was taken from this batch
  void lead();
  void finish();

 private:
  Mutex mutex_;
  CondVar led_changed_, finished_changed_;
  bool led_ MNEME_GUARDED_BY(mutex_) = false;
  bool finished_ MNEME_GUARDED_BY(mutex_) = false;
};
using BatchPtr = std::shared_ptr<Batch>;

/// One append, or a wish to sync, on its caller's stack until it is finished.
struct Request {
  RecordKind kind = 0;  ///< 0: no record, only a sync
  std::span<const ByteView> parts;
  std::uint64_t payload_bytes = 0;
  bool needs_sync = false;
  const Wal::CommitFn* on_commit = nullptr;

  enum class State : std::uint8_t { Waiting, Leading, Finished };
  std::atomic<State> state{State::Waiting};  ///< Finished is the last that the leader writes here
  const void* writer = nullptr;              ///< the same for every request of a thread
  BatchPtr batch;                            ///< guarded by the queue's mutex
  Request* next = nullptr;
  Lsn lsn;
  Status status;
};

/// Threads: any.
class GroupWriter {
 public:
  /// Goes on behind `last`, which is durable.
  GroupWriter(SegmentSet& segments, const WalOptions& options, Lsn last, bool ends_in_mark);

  /// Finishes `request`: its lsn and status are set.
  void run(Request& request);

  Lsn last() const { return last_.load(std::memory_order_acquire); }
  Lsn synced() const { return synced_.load(std::memory_order_acquire); }
  Status health() const;
  /// Whether the newest record is a mark that covers everything before it.
  bool ends_in_mark() const { return ends_in_mark_.load(std::memory_order_acquire); }

 private:
  struct Group {
    std::vector<Request*> requests;
    bool needs_sync = false;
    BatchPtr batch;  // those who wait for it
  };

  void wait_for_joiners(const Request& own);
  void lead(Request& own);
  Status make_room(const Request& request);
  void take_group(Request& own, bool own_alone);
  Status commit_group();
  Status write_group();
  Status restore(Segment& segment, std::uint64_t from, std::uint64_t to);
  void publish_group();
  void remember_writers();
  void finish_group(const Status& status);
  Status sync_active();
  Status poison(const Status& cause);

  std::byte* reserve(std::uint64_t bytes);
  void ask_for_spare();

  SegmentSet& segments_;
  const WalOptions options_;

  Mutex queue_mutex_;
  Request* first_ MNEME_GUARDED_BY(queue_mutex_) = nullptr;
  Request* newest_ MNEME_GUARDED_BY(queue_mutex_) = nullptr;
  bool led_ MNEME_GUARDED_BY(queue_mutex_) = false;
  std::size_t queued_ MNEME_GUARDED_BY(queue_mutex_) = 0;
  std::size_t awaited_ MNEME_GUARDED_BY(queue_mutex_) = 0;  // the leader sleeps until so many are queued
  CondVar joined_;
  BatchPtr joining_ MNEME_GUARDED_BY(queue_mutex_) = std::make_shared<Batch>();

  // The leader's alone; the lead passes through queue_mutex_ or a Batch.
  SegmentPtr active_;
  Group group_;
  Lsn written_;
  std::unique_ptr<std::byte[]> buffer_;
  std::uint64_t buffer_bytes_ = 0;
  std::uint64_t group_end_ = 0;
  std::uint64_t ask_at_ = 0;  // offset in the active segment where a spare is asked for
  std::uint64_t groups_in_segment_ = 0;
  std::vector<const void*> writers_before_, writers_;  // of the last two groups, distinct
  std::size_t joiners_expected_ = 1;

  std::atomic<Lsn> last_;
  std::atomic<Lsn> synced_;
  std::atomic<bool> ends_in_mark_;
  std::atomic<bool> poisoned_{false};
  mutable Mutex health_mutex_;
  Status health_ MNEME_GUARDED_BY(health_mutex_);
};

}  // namespace mneme::storage::wal
