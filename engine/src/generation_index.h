// GenerationIndex: the vectors of one space and generation, searchable, with what filters need of each node.
//
// Not loaded until the first search. From then on every commit is added before it is acknowledged. Loading runs beside
// writers: what is published meanwhile is kept in a backlog and added at the end.
//
// Invariants
//   - publish() calls come one at a time and in LSN order (the log's leader).
//   - base(): a search as of an LSN below it cannot be answered here; the caller scans the store at its view instead.
//   - slot s of the vector index and attribute s describe the same version of the same node.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "chunked_array.h"
#include "mneme/base/mutex.h"
#include "mneme/base/node_record.h"
#include "mneme/filter.h"
#include "mneme/index/vector_index.h"
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

/// The arrays themselves; replaced as a whole by compaction.
struct IndexState {
  std::unique_ptr<index::VectorIndex> vectors;
  ChunkedArray<Attributes> attributes;  // by slot
  std::atomic<std::uint64_t> attribute_bytes{0};
  Lsn base;  // answers as of this LSN and later

  Status put(RowId row, const NodeRecord& record, GenerationId generation, Lsn lsn);
};
using IndexStatePtr = std::shared_ptr<const IndexState>;

class GenerationIndex {
 public:
  explicit GenerationIndex(const GenerationInfo& info) : info_(info) {}

  /// One change, published: `record` null = the node is gone.
  void publish(RowId row, const NodeRecordPtr& record, Lsn lsn) MNEME_EXCLUDES(mutex_);

  /// The state to search, loading it first when needed. `load` fills a fresh state from the store: it gets the state
  /// and returns the LSN that it shows.
  using LoadFn = std::function<Result<Lsn>(IndexState&)>;
  Result<IndexStatePtr> acquire(const LoadFn& load) MNEME_EXCLUDES(mutex_, load_mutex_);

  /// Rebuilds without dead slots when they are a fifth of all and no view below the present needs them.
  void compact_if_worthwhile(Lsn oldest_view) MNEME_EXCLUDES(mutex_, load_mutex_);

  std::uint64_t bytes_used() const MNEME_EXCLUDES(mutex_);
  const GenerationInfo& info() const { return info_; }

 private:
  struct Change {
    RowId row;
    NodeRecordPtr record;
    Lsn lsn;
  };
  void apply(IndexState& state, const Change& change) MNEME_REQUIRES(mutex_);
  Status drain(IndexState& state, std::vector<Change>& changes);

  const GenerationInfo info_;
  Mutex load_mutex_;     // one load or compaction at a time; taken before mutex_
  mutable Mutex mutex_;  // publication against load and swap
  std::shared_ptr<IndexState> state_ MNEME_GUARDED_BY(mutex_);
  bool recording_ MNEME_GUARDED_BY(mutex_) = false;
  std::vector<Change> backlog_ MNEME_GUARDED_BY(mutex_);
};

}  // namespace mneme
