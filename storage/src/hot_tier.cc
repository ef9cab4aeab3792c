// The hot tier over a concurrent hash map.
//
// Readers hold one entry's lock while they copy a pointer, and touch nothing that all share. Entries are also linked
// in two lists under one mutex that readers never take:
//
//   dirty   changes not known to be applied, ascending by lsn; records and tombstones
//   clean   copies of what the store holds, in clock order: eviction takes the front, unless it was read since it
//           was last looked at, when it goes to the back once more (second chance)
//
// An entry's lock is taken before the list mutex, never the other way round. An entry is linked while its lock is
// held for writing, and unlinked in the same way before it leaves the map, so that a linked entry is alive.
#include "mneme/storage/hot_tier.h"

#include <oneapi/tbb/concurrent_hash_map.h>
#include <oneapi/tbb/concurrent_unordered_map.h>

#include <array>
#include <atomic>
#include <vector>

#include "counting_allocator.h"
#include "mneme/base/mutex.h"

namespace mneme::storage {
namespace {

struct Key {
  NodeId node;
  SpaceId space;
};

struct KeyHash {
  static std::size_t hash(const Key& key) {
    // The map takes the low bits; ids given by hand differ in few bits, anywhere.
    std::uint64_t h = std::hash<NodeId>()(key.node) + std::uint64_t{key.space.value} * 0xD6E8FEB86659FD93ull;
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93ull;
    return h ^ h >> 32;
  }
  static bool equal(const Key& a, const Key& b) { return a.node == b.node && a.space == b.space; }
};

enum class ListId : std::uint8_t { None, Dirty, Clean };

struct Entry;
using Linked = std::pair<const Key, Entry>;

struct Entry {
  NodeRecordPtr record;
  RowId row;
  Lsn lsn;
  Linked* previous = nullptr;
  Linked* next = nullptr;
  ListId list = ListId::None;
  mutable std::atomic<bool> touched{false};  // set by find()
};

// A doubly linked list through the entries. Guarded by its owner.
class EntryList {
 public:
  void push_back(Linked& entry) {
    entry.second.previous = last_;
    entry.second.next = nullptr;
    (last_ ? last_->second.next : first_) = &entry;
    last_ = &entry;
    ++size_;
  }
  void remove(Linked& entry) {
    (entry.second.previous ? entry.second.previous->second.next : first_) = entry.second.next;
    (entry.second.next ? entry.second.next->second.previous : last_) = entry.second.previous;
    entry.second.previous = entry.second.next = nullptr;
    --size_;
  }
  Linked* front() const { return first_; }
  std::size_t size() const { return size_; }

 private:
  Linked* first_ = nullptr;
  Linked* last_ = nullptr;
  std::size_t size_ = 0;
};

struct Usage {
  std::atomic<std::uint64_t> entries{0};  // records
  std::atomic<std::uint64_t> bytes{0};    // records with their map nodes, and tombstones
};

class ConcurrentHotTier final : public HotTier {
 public:
  ~ConcurrentHotTier() override = default;

  std::optional<HotEntry> find(SpaceId space, const NodeId& node) const override {
    Map::const_accessor found;
    if (!map_.find(found, Key{node, space})) return std::nullopt;
    const Entry& entry = found->second;
    if (!entry.touched.load(std::memory_order_relaxed)) entry.touched.store(true, std::memory_order_relaxed);
    return HotEntry{entry.record, entry.row, entry.lsn};
  }

  void put(SpaceId space, const NodeId& node, HotEntry change) override {
    NodeRecordPtr replaced;  // released after the locks
    Map::accessor at;
    const bool is_new = map_.insert(at, Key{node, space});
    Entry& entry = at->second;
    if (!is_new && change.lsn < entry.lsn) return;
    if (!is_new) discharge(space, entry);
    replaced = std::exchange(entry.record, std::move(change.record));
    entry.row = change.row;
    entry.lsn = change.lsn;
    charge(space, entry);
    link(*at, ListId::Dirty);
    at.release();
  }

  bool drop(SpaceId space, const NodeId& node, Lsn lsn) override {
    Map::accessor at;
    if (!map_.find(at, Key{node, space}) || at->second.lsn != lsn) return false;
    remove(at);
    return true;
  }

  bool insert_clean(SpaceId space, const NodeId& node, HotEntry copy) override {
    if (!copy.record) return false;
    Map::accessor at;
    if (!map_.insert(at, Key{node, space})) return false;
    // While the caller read the store, a newer change may have come, been applied and been evicted. Whoever removes
    // an entry raises its mark first, so that the copy is known to be old by now.
    if (copy.lsn.value < removed_mark(at->first).load(std::memory_order_acquire)) {
      map_.erase(at);
      return false;
    }
    at->second.record = std::move(copy.record);
    at->second.row = copy.row;
    at->second.lsn = copy.lsn;
    charge(space, at->second);
    link(*at, ListId::Clean);
    return true;
  }

  std::size_t evict(std::uint64_t bytes_max, Lsn applied) override {
    return settle(applied) + run_clock(bytes_max, applied);
  }

  void drop_space(SpaceId space) override {
    for (const Key& key : keys_of(space)) {
      Map::accessor at;
      if (map_.find(at, key)) remove(at);
    }
  }

  std::uint64_t bytes() const override {
    return map_bytes_.load(std::memory_order_relaxed) + record_bytes_.load(std::memory_order_relaxed);
  }
  std::uint64_t entries() const override { return entries_.load(std::memory_order_relaxed); }
  std::uint64_t entries(SpaceId space) const override {
    const auto usage = usage_.find(space.value);
    return usage == usage_.end() ? 0 : usage->second.entries.load(std::memory_order_relaxed);
  }
  std::uint64_t bytes(SpaceId space) const override {
    const auto usage = usage_.find(space.value);
    return usage == usage_.end() ? 0 : usage->second.bytes.load(std::memory_order_relaxed);
  }

 private:
  using Map = tbb::concurrent_hash_map<Key, Entry, KeyHash, CountingAllocator<Linked>>;

  static constexpr std::size_t kMarks = 1024;

  // The map's node: two words of its own before the pair, rounded as malloc rounds, with its size word.
  static constexpr std::uint64_t kNodeBytes = (2 * sizeof(void*) + sizeof(Linked) + sizeof(std::size_t) + 15) / 16 * 16;

  void charge(SpaceId space, const Entry& entry) {
    Usage& usage = usage_[space.value];
    const std::uint64_t record_bytes = entry.record ? entry.record->charged_bytes() : 0;
    const std::uint64_t records = entry.record ? 1 : 0;
    record_bytes_.fetch_add(record_bytes, std::memory_order_relaxed);
    entries_.fetch_add(records, std::memory_order_relaxed);
    usage.entries.fetch_add(records, std::memory_order_relaxed);
    usage.bytes.fetch_add(kNodeBytes + record_bytes, std::memory_order_relaxed);
  }

  void discharge(SpaceId space, const Entry& entry) {
    Usage& usage = usage_[space.value];
    const std::uint64_t record_bytes = entry.record ? entry.record->charged_bytes() : 0;
    const std::uint64_t records = entry.record ? 1 : 0;
    record_bytes_.fetch_sub(record_bytes, std::memory_order_relaxed);
    entries_.fetch_sub(records, std::memory_order_relaxed);
    usage.entries.fetch_sub(records, std::memory_order_relaxed);
    usage.bytes.fetch_sub(kNodeBytes + record_bytes, std::memory_order_relaxed);
  }

  /// The highest lsn of any entry that was removed, for the keys that share a hash with this one. One mark for all
  /// keys would be right too, but while much is written and evicted it would refuse nearly every copy.
  std::atomic<std::uint64_t>& removed_mark(const Key& key) { return removed_[KeyHash::hash(key) % kMarks]; }

  /// To the back of `list`, from wherever it is. Caller holds the entry for writing.
  void link(Linked& entry, ListId list) MNEME_EXCLUDES(lists_) {
    const MutexLock lock(lists_);
    unlink_locked(entry);
    entry.second.list = list;
    (list == ListId::Dirty ? dirty_ : clean_).push_back(entry);
  }

  void unlink_locked(Linked& entry) MNEME_REQUIRES(lists_) {
    if (entry.second.list == ListId::None) return;
    (entry.second.list == ListId::Dirty ? dirty_ : clean_).remove(entry);
    entry.second.list = ListId::None;
  }

  void remove(Map::accessor& at) MNEME_EXCLUDES(lists_) {
    std::atomic<std::uint64_t>& mark = removed_mark(at->first);
    std::uint64_t known = mark.load(std::memory_order_relaxed);
    while (at->second.lsn.value > known &&
           !mark.compare_exchange_weak(known, at->second.lsn.value, std::memory_order_release)) {
    }
    {
      const MutexLock lock(lists_);
      unlink_locked(*at);
    }
    discharge(at->first.space, at->second);
    map_.erase(at);
  }

  std::optional<Key> front_of(const EntryList& list) MNEME_REQUIRES(lists_) {
    return list.front() ? std::optional<Key>(list.front()->first) : std::nullopt;
  }

  /// Takes what is applied out of the dirty list: records become clean, tombstones go. Returns how many went.
  std::size_t settle(Lsn applied) MNEME_EXCLUDES(lists_) {
    std::size_t removed = 0;
    while (const std::optional<Key> key = first_dirty()) {
      Map::accessor at;
      if (!map_.find(at, *key)) continue;  // dropped since, and with it unlinked
      if (at->second.lsn > applied) break;
      if (at->second.list != ListId::Dirty) continue;
      if (at->second.record) {
        link(*at, ListId::Clean);
      } else {
        remove(at);
        ++removed;
      }
    }
    return removed;
  }

  std::optional<Key> first_dirty() MNEME_EXCLUDES(lists_) {
    const MutexLock lock(lists_);
    return front_of(dirty_);
  }

  /// The front of the clean list, which goes to its back.
  std::optional<Key> next_of_clock() MNEME_EXCLUDES(lists_) {
    const MutexLock lock(lists_);
    Linked* const front = clean_.front();
    if (!front) return std::nullopt;
    clean_.remove(*front);
    clean_.push_back(*front);
    return front->first;
  }

  std::size_t clean_size() MNEME_EXCLUDES(lists_) {
    const MutexLock lock(lists_);
    return clean_.size();
  }

  std::size_t run_clock(std::uint64_t bytes_max, Lsn applied) MNEME_EXCLUDES(lists_) {
    std::size_t evicted = 0;
    // Two rounds: the first may find every entry touched. Readers that touch faster than this end it all the same.
    for (std::size_t steps = 2 * clean_size(); steps > 0 && bytes() > bytes_max; --steps) {
      const std::optional<Key> key = next_of_clock();
      if (!key) break;
      Map::accessor at;
      if (!map_.find(at, *key)) continue;
      const Entry& entry = at->second;
      if (entry.list != ListId::Clean || entry.lsn > applied) continue;
      if (entry.touched.exchange(false, std::memory_order_relaxed)) continue;
      remove(at);
      ++evicted;
    }
    return evicted;
  }

  std::vector<Key> keys_of(SpaceId space) MNEME_EXCLUDES(lists_) {
    std::vector<Key> keys;
    const MutexLock lock(lists_);
    for (const EntryList* list : {&dirty_, &clean_})
      for (const Linked* at = list->front(); at; at = at->second.next)
        if (at->first.space == space) keys.push_back(at->first);
    return keys;
  }

  std::atomic<std::uint64_t> map_bytes_{0};  // buckets and nodes, by the allocator's count
  std::atomic<std::uint64_t> record_bytes_{0};
  std::atomic<std::uint64_t> entries_{0};
  std::array<std::atomic<std::uint64_t>, kMarks> removed_{};
  tbb::concurrent_unordered_map<std::uint32_t, Usage> usage_;  // spaces are few; never removed
  Mutex lists_;
  EntryList dirty_ MNEME_GUARDED_BY(lists_);
  EntryList clean_ MNEME_GUARDED_BY(lists_);
  Map map_{CountingAllocator<Linked>(map_bytes_)};
};

}  // namespace

std::unique_ptr<HotTier> HotTier::create() { return std::make_unique<ConcurrentHotTier>(); }

}  // namespace mneme::storage
