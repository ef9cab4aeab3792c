// A legacy store in memory for the migrator's tests: it also holds what a real one refuses, and may change at any time.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mneme/base/clock.h"
#include "mneme/migration/legacy_store.h"

namespace mneme::migration {

/// Threads: scans and views from any; changes from one at a time, and views taken before do not see them.
class MemorySource final : public LegacyStore {
 public:
  MemorySource() : records_(std::make_shared<Records>()) { id_.bytes.fill(0x5C); }

  Status put(std::span<const Memory> memories) override;
  Status put_unsynced(std::span<const Memory> memories) override { return put(memories); }
  Status sync() override { return {}; }
  Status erase(std::string_view id) override;
  Result<Memory> get(std::string_view id) const override;

  /// Any bytes under any id, unchecked: what an older release or a fault may have left.
  void put_raw(std::string id, Bytes encoded);

  std::shared_ptr<const View> view() const override;
  Status scan(const std::shared_ptr<const View>& view, std::string_view begin, std::string_view end,
              const std::function<bool(const RawRecord&)>& visit) const override;
  Lsn lsn(const View& view) const override;
  Result<std::vector<std::string>> split_points(std::size_t n) const override;
  std::uint64_t approximate_bytes(std::string_view begin, std::string_view end) const override;

  Uuid id() const override { return id_; }
  void set_id(const Uuid& id) { id_ = id; }
  LegacyStats stats() const override;
  Status flush() override { return {}; }
  Status close() override { return {}; }

  std::vector<std::string> ids() const;

 private:
  using Records = std::map<std::string, Bytes, std::less<>>;
  struct Pinned {
    std::shared_ptr<const Records> records;
    Lsn lsn;
  };
  /// View is the real store's own type and unknown here; this source hands out a Pinned under its name and takes only
  /// its own back.
  static const Pinned& pinned(const View& view) { return reinterpret_cast<const Pinned&>(view); }
  template <class Change>
  void change(const Change& apply);

  Uuid id_;
  std::shared_ptr<const Records> records_;
  Lsn last_;
};

/// `count` memories with everything a Memory may hold: ids of any UTF-8 that are prefixes of one another, empty and
/// large contents, absent and extreme embeddings, nested and unknown members.
std::vector<Memory> tricky_memories(Random& random, std::size_t count, std::uint32_t dimension);

}  // namespace mneme::migration
