// GenerationIndex: the vectors of one space and generation, searchable, with what filters need of each node.
//
// Not loaded until the first search. From then on every commit is added before it is acknowledged. Loading runs beside
// writers: what is published meanwhile is kept in a backlog and added at the end.
//
// Invariants
//   - publish() calls come one at a time and in LSN order (the log's leader).
//   - base(): a search as of an LSN below it cannot be answered here; the caller scans the store at its view instead.
//   - slot s of the vector index, attribute s and id s describe the same version of the same node.
//   - base() is the LSN of a whole commit: nothing of it is missing here, nothing of a later one was dropped.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "chunked_array.h"
#include "filter_cache.h"
#include "index_record.h"
#include "mneme/base/mutex.h"
#include "mneme/base/node_record.h"
#include "mneme/filter.h"
#include "mneme/index/funnel_index.h"
#include "mneme/stats.h"

namespace mneme {

/// A node's body without content and JSON value, in one allocation: what filters walk over.
class Attributes {
 public:
  Attributes() = default;
  explicit Attributes(ByteView body);
  ByteView bytes() const { return {data_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> data_;
  std::uint32_t size_ = 0;
};

/// What lies beside the vectors, by slot: the slots that were restored in their file, later ones in memory.
class SlotAttributes {
 public:
  /// Of a slot, as Attributes has them.
  class View {
   public:
    explicit View(ByteView bytes) : bytes_(bytes) {}
    ByteView bytes() const { return bytes_; }

   private:
    ByteView bytes_;
  };
  View operator[](std::size_t slot) const {
    return View(slot < restored_ ? saved_->note(static_cast<index::Slot>(slot)) : later_[slot - restored_].bytes());
  }
  Attributes& grow_to(std::size_t slot) { return later_.grow_to(slot - restored_); }
  void restore(index::SavedSlotsPtr saved) {
    saved_ = std::move(saved);
    restored_ = saved_->size();
  }
  std::uint64_t bytes() const { return later_.bytes(); }

 private:
  index::SavedSlotsPtr saved_;
  std::size_t restored_ = 0;
  ChunkedArray<Attributes> later_;
};

class SlotIds {
 public:
  const NodeId& operator[](std::size_t slot) const {
    return slot < restored_ ? saved_->id(static_cast<index::Slot>(slot)) : later_[slot - restored_];
  }
  NodeId& grow_to(std::size_t slot) { return later_.grow_to(slot - restored_); }
  void restore(index::SavedSlotsPtr saved) {
    saved_ = std::move(saved);
    restored_ = saved_->size();
  }
  std::uint64_t bytes() const { return later_.bytes(); }

 private:
  index::SavedSlotsPtr saved_;
  std::size_t restored_ = 0;
  ChunkedArray<NodeId> later_;
};

/// Whether an index of so many slots is worth making again without its dead ones: where they are a fifth, and 4,096 at
/// least. While its first codes are made, where they are a half, and 32,768 at least: replaced sooner than that takes, an
/// index that is written to all the time would never have any.
bool is_worth_compacting(std::size_t slots, std::size_t live, bool is_compressing_first);

/// The arrays themselves; replaced as a whole by compaction.
struct IndexState {
  std::unique_ptr<index::VectorIndex> vectors;
  SlotAttributes attributes;  // by slot
  SlotIds ids;                // by slot: what a search reports without a look at the store
  std::atomic<std::uint64_t> attribute_bytes{0};
  Lsn base;                     // answers as of this LSN and later
  mutable FilterCache filters;  // over attributes, by slot; it locks by itself
  mutable Uuid saved_as;        // in its files; nil before the first save. Of the thread that saves
  std::uint64_t saved_file_bytes = 0;
  mutable std::atomic<std::size_t> saved_dead{0};  // dead slots at the last save

  /// What was in files, in an empty state.
  void restore(index::RestoredIndex restored, const Uuid& id);
  /// Rows, codes and what lies beside them, in files that are mapped.
  std::uint64_t file_bytes() const { return vectors->file_bytes() + saved_file_bytes; }
  Status put(RowId row, const NodeRecord& record, GenerationId generation, Lsn lsn);
  std::uint64_t bytes_used() const;

 private:
  friend class GenerationIndex;
  /// The next slot. All of it is in place before the vector index publishes the slot.
  Status add(RowId row, const NodeId& id, Attributes attribute, std::span<const float> vector, Lsn lsn);
};
using IndexStatePtr = std::shared_ptr<const IndexState>;

class GenerationIndex {
 public:
  explicit GenerationIndex(const GenerationInfo& info) : info_(info) {}

  /// Of states made from here on.
  void set_options(const index::FunnelOptions& options) MNEME_EXCLUDES(mutex_);

  /// One change, published: `record` null = the node is gone.
  void publish(RowId row, const NodeRecordPtr& record, Lsn lsn) MNEME_EXCLUDES(mutex_);

  /// The state to search, or null when it is not loaded. Cost: one lock that is held for nothing but the copy of a
  /// pointer, so that a search does not wait for a publication.
  IndexStatePtr loaded() const MNEME_EXCLUDES(shown_mutex_);

  /// The state to search, loading it first when needed. `load` fills a fresh state from the store: it gets the state
  /// and the LSN that it must show at least, and returns the LSN that it shows.
  using LoadFn = std::function<Result<Lsn>(IndexState&, Lsn at_least)>;
  Result<IndexStatePtr> acquire(const LoadFn& load) MNEME_EXCLUDES(mutex_, load_mutex_);

  /// Rebuilds without dead slots when they are a fifth of all and nothing below the present needs them: `oldest` is the
  /// oldest view, or the last LSN whose commit is wholly published when that is lower.
  /// @error Corruption  what was restored turns out damaged
  Status compact_if_worthwhile(Lsn oldest) MNEME_EXCLUDES(mutex_, load_mutex_);

  /// The save that a load may start from. Whoever changes it is the thread that saves, or opens the database.
  std::optional<IndexRecord> record() const MNEME_EXCLUDES(mutex_);
  void set_record(const IndexRecord& record) MNEME_EXCLUDES(mutex_);
  /// `state` is damaged in its files: it is not shown any more, and what it was restored from is not used again.
  /// A nil `id`: the store's record itself. @return whether nobody has said so before
  bool drop_damaged(const IndexStatePtr& state, const Uuid& id) MNEME_EXCLUDES(mutex_, shown_mutex_);
  /// The store still has a record of a save that is not to be used.
  bool has_stale_record() const MNEME_EXCLUDES(mutex_);
  void stale_record_is_gone() MNEME_EXCLUDES(mutex_);
  /// The last LSN of which something was published here.
  Lsn begun() const MNEME_EXCLUDES(mutex_);

  std::uint64_t bytes_used() const MNEME_EXCLUDES(mutex_);
  std::uint64_t file_bytes() const MNEME_EXCLUDES(mutex_);
  const GenerationInfo& info() const { return info_; }

 private:
  struct Change {
    RowId row;
    NodeRecordPtr record;
    Lsn lsn;
  };
  void apply(IndexState& state, const Change& change) MNEME_REQUIRES(mutex_);
  std::unique_ptr<index::VectorIndex> make_vectors() const MNEME_EXCLUDES(mutex_);
  Status drain(IndexState& state, std::vector<Change>& changes);
  Status finish(const std::shared_ptr<IndexState>& fresh, const std::shared_ptr<IndexState>& old, Status done)
      MNEME_REQUIRES(load_mutex_) MNEME_EXCLUDES(mutex_);
  void replace(std::shared_ptr<IndexState> state) MNEME_REQUIRES(mutex_) MNEME_EXCLUDES(shown_mutex_);

  const GenerationInfo info_;
  Mutex load_mutex_;     // one load or compaction at a time; taken before mutex_
  mutable Mutex mutex_;  // publication against load and swap
  std::shared_ptr<IndexState> state_ MNEME_GUARDED_BY(mutex_);
  Lsn begun_ MNEME_GUARDED_BY(mutex_);  // the last LSN of which something was published
  bool recording_ MNEME_GUARDED_BY(mutex_) = false;
  std::vector<Change> backlog_ MNEME_GUARDED_BY(mutex_);
  index::FunnelOptions options_ MNEME_GUARDED_BY(mutex_);
  std::optional<IndexRecord> record_ MNEME_GUARDED_BY(mutex_);
  bool stale_record_ MNEME_GUARDED_BY(mutex_) = false;
  mutable Mutex shown_mutex_;                           // a leaf: taken last
  IndexStatePtr shown_ MNEME_GUARDED_BY(shown_mutex_);  // state_, for searches
};

}  // namespace mneme
