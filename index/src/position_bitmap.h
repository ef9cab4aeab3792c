// PositionBitmap: what a filter keeps of a segment, in the order in which its codes lie.
//
// A filter knows slots; a scan meets positions. Asked row by row, the one costs the other more than the scan itself, so
// the filter is turned once and kept with the segment for as long as it is asked for (SlotBitmap::family).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "mneme/base/mutex.h"
#include "mneme/index/vector_index.h"
#include "scan_kernels.h"

namespace mneme::index {

class CodeSegment;

/// Immutable. Threads: any.
class PositionBitmap {
 public:
  /// Cost: one look per row. @throws std::bad_alloc
  PositionBitmap(const CodeSegment& segment, const SlotBitmap& slots);

  std::size_t count() const { return count_; }
  /// Rows of the blocks of 1-bit codes in which any is kept: a scan passes over the others.
  std::size_t scanned() const { return scanned_; }
  std::uint32_t in_list(std::size_t list) const { return in_list_[list]; }
  /// One mask per kCodeRows rows, from that of `position` on, a multiple of kCodeRows.
  const std::uint16_t* masks(std::uint32_t position) const { return masks_.data() + position / kCodeRows; }
  std::uint64_t bytes_used() const {
    return sizeof *this + masks_.capacity() * sizeof masks_[0] + in_list_.capacity() * sizeof in_list_[0];
  }

 private:
  static_assert(kCodeRows == 16);
  std::size_t count_ = 0, scanned_ = 0;
  std::vector<std::uint16_t> masks_;
  std::vector<std::uint32_t> in_list_;
};
using PositionBitmapPtr = std::shared_ptr<const PositionBitmap>;

/// Those that were asked for lately. Threads: any. Two that ask for the same new one may both make it.
class PositionBitmapCache {
 public:
  PositionBitmapPtr get(const CodeSegment& segment, const SlotBitmap& slots) MNEME_EXCLUDES(mutex_);
  std::uint64_t bytes_used() const MNEME_EXCLUDES(mutex_);

 private:
  static constexpr std::size_t kMax = 64;  // as many as the engine keeps filters
  struct Entry {
    std::uint64_t family = 0, used = 0;
    PositionBitmapPtr bitmap;
  };
  PositionBitmapPtr find(std::uint64_t family) MNEME_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::vector<Entry> entries_ MNEME_GUARDED_BY(mutex_);
  std::uint64_t bytes_ MNEME_GUARDED_BY(mutex_) = 0, uses_ MNEME_GUARDED_BY(mutex_) = 0;
};

}  // namespace mneme::index
