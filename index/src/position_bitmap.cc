#include "position_bitmap.h"

#include <algorithm>
#include <bit>

#include "code_segment.h"

namespace mneme::index {

PositionBitmap::PositionBitmap(const CodeSegment& segment, const SlotBitmap& slots)
    : masks_(segment.positions() / kCodeRows), in_list_(segment.lists()) {
  for (std::size_t list = 0; list < in_list_.size(); ++list) {
    const std::uint32_t begin = segment.list_begin(list);
    const auto end = begin + static_cast<std::uint32_t>(segment.list_rows(list));
    std::uint32_t kept = 0;
    std::size_t counted = 0;
    for (std::uint32_t first = begin; first < end; first += kCodeRows) {
      const std::uint32_t stop = std::min<std::uint32_t>(first + kCodeRows, end);
      unsigned mask = 0;
      for (std::uint32_t at = first; at < stop; ++at) mask |= (slots.test(segment.slot(at)) ? 1U : 0U) << (at - first);
      masks_[first / kCodeRows] = static_cast<std::uint16_t>(mask);
      kept += static_cast<std::uint32_t>(std::popcount(mask));
      const std::size_t block = (first - begin) / kBlockRows * kBlockRows;
      if (mask != 0 && block >= counted) {
        counted = block + kBlockRows;
        scanned_ += std::min<std::size_t>(kBlockRows, end - begin - block);
      }
    }
    in_list_[list] = kept;
    count_ += kept;
  }
}

PositionBitmapPtr PositionBitmapCache::get(const CodeSegment& segment, const SlotBitmap& slots) {
  // One that ends before the segment does knows less than others of its family.
  const bool may_keep = slots.family() != 0 && slots.size() >= segment.end();
  if (may_keep) {
    MutexLock lock(mutex_);
    if (PositionBitmapPtr known = find(slots.family())) return known;
  }
  auto made = std::make_shared<const PositionBitmap>(segment, slots);
  if (!may_keep) return made;
  MutexLock lock(mutex_);
  if (PositionBitmapPtr known = find(slots.family())) return known;
  bytes_ += made->bytes_used();
  if (entries_.size() < kMax) {
    entries_.push_back({slots.family(), ++uses_, made});
    return made;
  }
  Entry& oldest = *std::min_element(entries_.begin(), entries_.end(),
                                    [](const Entry& a, const Entry& b) { return a.used < b.used; });
  bytes_ -= oldest.bitmap->bytes_used();
  oldest = {slots.family(), ++uses_, made};
  return made;
}

PositionBitmapPtr PositionBitmapCache::find(std::uint64_t family) {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.family == family; });
  if (found == entries_.end()) return nullptr;
  found->used = ++uses_;
  return found->bitmap;
}

std::uint64_t PositionBitmapCache::bytes_used() const {
  MutexLock lock(mutex_);
  return bytes_ + entries_.capacity() * sizeof(Entry);
}

}  // namespace mneme::index
