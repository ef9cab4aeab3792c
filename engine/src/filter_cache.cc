#include "filter_cache.h"

#include <algorithm>

namespace mneme {

std::uint64_t FilterCache::Entry::bytes() const {
  return sizeof(Entry) + key.capacity() + sizeof(index::SlotBitmap) + bitmap->words().size_bytes();
}

FilterCache::BitmapPtr FilterCache::get(const Filter& filter, std::size_t slots, const ExtendFn& extend) {
  std::string key = filter.key();
  const std::size_t hash = std::hash<std::string>()(key);
  BitmapPtr known;
  {
    MutexLock lock(mutex_);
    if (Entry* entry = find(key, hash)) {
      entry->used = ++uses_;
      if (entry->bitmap->size() >= slots) return entry->bitmap;
      known = entry->bitmap;
    }
  }
  auto bitmap = std::make_shared<index::SlotBitmap>(slots, known ? known->family() : index::SlotBitmap::new_family());
  const std::size_t first = known ? known->size() : 0;
  if (known) std::copy(known->words().begin(), known->words().end(), bitmap->words().begin());
  extend(*bitmap, first);
  MutexLock lock(mutex_);
  keep(std::move(key), hash, bitmap);
  return bitmap;
}

FilterCache::Entry* FilterCache::find(const std::string& key, std::size_t hash) {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.hash == hash && entry.key == key; });
  return found == entries_.end() ? nullptr : &*found;
}

void FilterCache::keep(std::string key, std::size_t hash, const BitmapPtr& bitmap) {
  if (Entry* entry = find(key, hash)) {
    if (entry->bitmap->size() >= bitmap->size()) return;  // somebody else was further
    bytes_ -= entry->bytes();
    entry->bitmap = bitmap;
    bytes_ += entry->bytes();
  } else {
    entries_.push_back({hash, std::move(key), bitmap, ++uses_});
    bytes_ += entries_.back().bytes();
  }
  while (entries_.size() > kFiltersMax || bytes_ > bytes_max_) {
    const auto oldest = std::min_element(entries_.begin(), entries_.end(),
                                         [](const Entry& a, const Entry& b) { return a.used < b.used; });
    bytes_ -= oldest->bytes();
    std::swap(*oldest, entries_.back());
    entries_.pop_back();
  }
}

std::uint64_t FilterCache::bytes() const {
  MutexLock lock(mutex_);
  return bytes_;
}

std::size_t FilterCache::size() const {
  MutexLock lock(mutex_);
  return entries_.size();
}

}  // namespace mneme
