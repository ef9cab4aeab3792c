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
//
// Slots below restored() came from files. All of them were born at one LSN, so that a row id (in the file) and, where
// one died, its death are all there is to keep.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "mneme/base/result.h"
#include "mneme/index/saved_index.h"
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
  /// The view with as many slots as were born by view.as_of. Between the two loads of view() rows may come that are not
  /// visible to it: who makes something of all slots below the count must not count them in.
  View born(View view) const {
    while (view.count > 0 && birth(static_cast<Slot>(view.count - 1)) > view.as_of) --view.count;
    return view;
  }
  bool visible(Slot slot, const View& view) const {
    if (slot >= view.count) return false;
    if (birth(slot) > view.as_of) return false;
    const std::uint64_t death = this->death(slot, std::memory_order_acquire);
    if (death > view.as_of.value || death == kNever) return true;
    const Slot next = this->next(slot);
    return next != kNoSlot && next >= view.count;
  }
  Slot find(RowId row, const View& view) const;

  std::size_t dimension() const { return dimension_; }
  Metric metric() const { return metric_; }
  RowId row(Slot slot) const { return slot < restored_ ? saved_->row(slot) : versions_[slot - restored_].row; }
  const VectorBlocks& blocks() const { return blocks_; }
  VectorBlocks& blocks() { return blocks_; }
  std::size_t live() const { return live_.load(std::memory_order_relaxed); }
  Lsn reflected() const { return {reflected_.load(std::memory_order_acquire)}; }
  std::uint64_t bytes_used() const {
    const std::uint64_t used = bytes_used_.load(std::memory_order_relaxed), in_file = blocks_.file_bytes();
    return used - std::min(used, in_file);
  }

  /// Takes the slots of `saved` with their rows, which blocks() has restored already, in an empty object; all were born
  /// at `birth`, and those in `dead` died there. @error Busy
  Status restore(std::shared_ptr<const SavedSlots> saved, std::span<const std::uint64_t> dead, Lsn birth);
  std::size_t restored() const { return restored_; }

 private:
  static constexpr std::uint64_t kNever = kMaxLsn.value;

  struct Version {
    RowId row;
    Lsn birth;
    Slot previous = kNoSlot;          // the row's version before this one
    std::atomic<Slot> next{kNoSlot};  // the version that replaced this one while it lived; set before death
    std::atomic<std::uint64_t> death{kNever};
  };

  /// Of a restored slot. Zero is a slot that lives, so that pages of the living are never touched.
  struct Mark {
    std::atomic<std::uint64_t> lived_less{0};  // kNever less the death
    std::atomic<Slot> next_and_one{0};
  };
  struct Free {
    void operator()(Mark* marks) const { std::free(marks); }
  };

  Lsn birth(Slot slot) const { return slot < restored_ ? restored_birth_ : versions_[slot - restored_].birth; }
  Slot previous(Slot slot) const { return slot < restored_ ? kNoSlot : versions_[slot - restored_].previous; }
  std::uint64_t death(Slot slot, std::memory_order order) const {
    return slot < restored_ ? kNever - marks_.get()[slot].lived_less.load(order)
                            : versions_[slot - restored_].death.load(order);
  }
  Slot next(Slot slot) const {
    return slot < restored_ ? marks_.get()[slot].next_and_one.load(std::memory_order_relaxed) - 1
                            : versions_[slot - restored_].next.load(std::memory_order_relaxed);
  }
  void set_death(Slot slot, Lsn lsn);
  void set_next(Slot slot, Slot next);
  void count_bytes();

  Status check_lsn(const char* verb, RowId row, Lsn lsn) const;
  Status reserve(RowId row);

  const std::size_t dimension_;
  const Metric metric_;
  VectorBlocks blocks_;  // by slot
  std::size_t restored_ = 0;
  Lsn restored_birth_;
  std::shared_ptr<const SavedSlots> saved_;
  std::unique_ptr<Mark, Free> marks_;  // by slot, restored_ of them
  StableVector<Version> versions_;     // by slot, from restored_ on
  RowMap newest_;
  std::atomic<std::size_t> count_{0};
  std::atomic<std::size_t> live_{0};
  std::atomic<std::uint64_t> reflected_{0};
  std::atomic<std::uint64_t> bytes_used_{sizeof(ExactRows)};  // with the blocks that lie in a file
};

}  // namespace mneme::index
