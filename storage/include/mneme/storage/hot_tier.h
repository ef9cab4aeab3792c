// The hot tier: nodes in memory, by id, with what is not yet applied to the ordered store always among them.
//
// Invariants
//   - One writer at a time (the commit order gives it); any number of readers, who never wait for it long.
//   - An entry with lsn > applied_lsn is dirty and is never evicted: it is the only readable copy.
//   - A tombstone hides what the ordered store still holds; it goes once the erase is applied.
//   - bytes() is what the allocator gave, within 5 %: records, map nodes and tombstones.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "mneme/base/node_record.h"

namespace mneme::storage {

struct HotEntry {
  NodeRecordPtr record;  // null: a tombstone
  RowId row;
  Lsn lsn;  // of the change
  bool is_tombstone() const { return !record; }
};

class HotTier {
 public:
  virtual ~HotTier() = default;
  static std::unique_ptr<HotTier> create();

  /// Threads: any. Cost: one hash lookup and one atomic increment.
  virtual std::optional<HotEntry> find(SpaceId space, const NodeId& node) const = 0;
  /// Replaces what is there when `entry.lsn` is not older. One writer.
  virtual void put(SpaceId space, const NodeId& node, HotEntry entry) = 0;
  /// Removes an entry if its lsn is still `lsn` (a newer change keeps it). Returns whether it went.
  virtual bool drop(SpaceId space, const NodeId& node, Lsn lsn) = 0;
  /// Caches a clean copy read from the store, unless something is there. `entry.lsn` is the applied_lsn of the state
  /// that was read, taken before the read (or the snapshot's). Refused where an entry of this node, or of one that
  /// shares its hash modulo 1,024, has been removed since with a higher lsn: the copy may be older than what the store
  /// holds now. Returns whether it is in. Threads: any.
  virtual bool insert_clean(SpaceId space, const NodeId& node, HotEntry entry) = 0;
  /// Evicts clean entries (lsn <= applied), about oldest touch first (second chance), until bytes() <= bytes_max or
  /// none is left. Tombstones at or below `applied` go in any case. Returns the number of entries that went.
  /// Cost: in proportion to what was applied since the last call and to what is evicted. Threads: one at a time.
  virtual std::size_t evict(std::uint64_t bytes_max, Lsn applied) = 0;
  /// Forgets every entry of a space. Cost: a walk over all entries. By the writer.
  virtual void drop_space(SpaceId space) = 0;

  virtual std::uint64_t bytes() const = 0;
  virtual std::uint64_t entries() const = 0;
  virtual std::uint64_t entries(SpaceId space) const = 0;  ///< records, without tombstones
  virtual std::uint64_t bytes(SpaceId space) const = 0;    ///< without the map's buckets, which all spaces share
};

}  // namespace mneme::storage
