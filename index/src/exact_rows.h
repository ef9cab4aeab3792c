// ExactRows: what the exact index stores, and which of it is visible when.
//
// Publication. One add() is, in this order:
//   1. the row's values, scale and metadata are written behind the published count;
//   2. the version before it learns its successor, then its death LSN;
//   3. the slot count is stored with release order: from here on the new version is visible and the old one is not;
//   4. the row map points to the new slot; 5. the LSN reflected is stored.
// A reader loads the LSN reflected, then the count, and asks about slots below that count only. A version whose
// successor lies behind the reader's count has not died for this reader. So every reader sees each add() whole or not
// at all, also in the middle of a batch that shares one LSN. An erasure is one store; within the LSN being written it may
// reach a search that is under way.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "mneme/base/result.h"
#include "mneme/index/vector_index.h"
#include "row_map.h"
#include "stable_vector.h"
#include "vector_blocks.h"

namespace mneme::index {

/// What one reader sees: slots below `count`, as of `as_of`.
struct View {
  Lsn as_of;
  std::size_t count = 0;
};

/// Threads: one writer (add, erase); everything const from any thread, beside the writer.
class ExactRows {
 public:
  ExactRows(std::size_t dimension, Metric metric) : dimension_(dimension), metric_(metric), blocks_(dimension) {}

  Result<Slot> add(RowId row, std::span<const float> vector, Lsn lsn);
  Status erase(RowId row, Lsn lsn);

  View view(Lsn as_of) const {
    const std::uint64_t reflected = reflected_.load(std::memory_order_acquire);
    return {Lsn{std::min(as_of.value, reflected)}, count_.load(std::memory_order_acquire)};
  }
  bool visible(Slot slot, const View& view) const {
    if (slot >= view.count) return false;
    const Version& version = versions_[slot];
    if (version.birth > view.as_of) return false;
    const std::uint64_t death = version.death.load(std::memory_order_acquire);
    if (death > view.as_of.value || death == kNever) return true;
    const Slot next = version.next.load(std::memory_order_relaxed);
    return next != kNoSlot && next >= view.count;
  }
  Slot find(RowId row, const View& view) const;

  std::size_t dimension() const { return dimension_; }
  Metric metric() const { return metric_; }
  RowId row(Slot slot) const { return versions_[slot].row; }
  const VectorBlocks& blocks() const { return blocks_; }
  std::size_t live() const { return live_.load(std::memory_order_relaxed); }
  Lsn reflected() const { return {reflected_.load(std::memory_order_acquire)}; }
  std::uint64_t bytes_used() const { return bytes_used_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::uint64_t kNever = kMaxLsn.value;

  struct Version {
    RowId row;
    Lsn birth;
    Slot previous = kNoSlot;          // the row's version before this one
    std::atomic<Slot> next{kNoSlot};  // the version that replaced this one while it lived; set before death
    std::atomic<std::uint64_t> death{kNever};
  };

  Status check_lsn(const char* verb, RowId row, Lsn lsn) const;
  Status reserve(RowId row);

  const std::size_t dimension_;
  const Metric metric_;
  VectorBlocks blocks_;             // by slot
  StableVector<Version> versions_;  // by slot
  RowMap newest_;
  std::atomic<std::size_t> count_{0};
  std::atomic<std::size_t> live_{0};
  std::atomic<std::uint64_t> reflected_{0};
  std::atomic<std::uint64_t> bytes_used_{sizeof(ExactRows)};
};

}  // namespace mneme::index
