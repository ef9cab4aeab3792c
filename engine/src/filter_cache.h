// FilterCache: which slots of an index match a filter, kept for the filters that come again.
//
// The attributes of a slot never change and no operator of a filter depends on the time or on anything else but them,
// so what was found for slots [0, n) stays true; when slots were added, only those are looked at. Whether a slot is
// visible is no part of it: the index asks that itself. Filters that read content do not belong here, for content is
// read from the store and not kept by slot.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mneme/base/bytes.h"
#include "mneme/base/mutex.h"
#include "mneme/filter.h"
#include "mneme/index/vector_index.h"

namespace mneme {

/// Of one IndexState. Threads: any. Holds its lock for a look and for a swap, never while slots are looked at: two
/// searches with the same new filter may both do the work.
class FilterCache {
 public:
  static constexpr std::size_t kFiltersMax = 64;
  static constexpr std::uint64_t kBytesMax = 32 * kMiB;

  using BitmapPtr = std::shared_ptr<const index::SlotBitmap>;
  /// Sets the bits of the matching slots among [first, bitmap.size()).
  using ExtendFn = std::function<void(index::SlotBitmap& bitmap, std::size_t first)>;

  explicit FilterCache(std::uint64_t bytes_max = kBytesMax) : bytes_max_(bytes_max) {}

  /// The slots that match; true for at least [0, slots). It is the caller's to keep and never changes.
  /// Cost: a filter that was asked for lately, one look; with new slots, a copy of the bitmap and a look at those.
  BitmapPtr get(const Filter& filter, std::size_t slots, const ExtendFn& extend) MNEME_EXCLUDES(mutex_);

  std::uint64_t bytes() const MNEME_EXCLUDES(mutex_);
  std::size_t size() const MNEME_EXCLUDES(mutex_);

 private:
  struct Entry {
    std::size_t hash = 0;
    std::string key;
    BitmapPtr bitmap;
    std::uint64_t used = 0;  // by the count of uses
    std::uint64_t bytes() const;
  };
  Entry* find(const std::string& key, std::size_t hash) MNEME_REQUIRES(mutex_);
  void keep(std::string key, std::size_t hash, const BitmapPtr& bitmap) MNEME_REQUIRES(mutex_);

  const std::uint64_t bytes_max_;
  mutable Mutex mutex_;
  std::vector<Entry> entries_ MNEME_GUARDED_BY(mutex_);  // at most kFiltersMax: found by a walk over their hashes
  std::uint64_t bytes_ MNEME_GUARDED_BY(mutex_) = 0;
  std::uint64_t uses_ MNEME_GUARDED_BY(mutex_) = 0;
};

}  // namespace mneme
