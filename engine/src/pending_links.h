// Link entries that are published but not yet applied to the ordered store.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mneme/base/mutex.h"
#include "mneme/storage/ordered_store.h"

namespace mneme {

/// Threads: any. A reader that takes its store snapshot inside read() sees exactly the published state: an entry leaves
/// only after it is applied, and not while a reader is inside.
class PendingLinks {
 public:
  struct Entry {
    Lsn lsn;
    std::optional<Bytes> value;  // nullopt: erased
  };
  struct Change {
    std::string key;
    std::optional<Bytes> value;
  };
  /// All changes of one commit become visible together.
  void publish(std::vector<Change> changes, Lsn lsn) MNEME_EXCLUDES(mutex_) {
    WriterLock lock(mutex_);
    for (Change& change : changes) entries_[std::move(change.key)] = {lsn, std::move(change.value)};
  }
  /// Forgets what is applied.
  void applied(Lsn lsn) MNEME_EXCLUDES(mutex_) {
    {
      ReaderLock lock(mutex_);
      if (entries_.empty()) return;
    }
    WriterLock lock(mutex_);
    std::erase_if(entries_, [&](const auto& entry) { return entry.second.lsn <= lsn; });
  }
  /// The entries with keys in [begin, end), and whatever `snapshot` returns, both of one moment.
  template <class SnapshotFn>
  std::pair<std::map<std::string, Entry>, storage::StoreSnapshotPtr> read(const std::string& begin,
                                                                          const std::string& end,
                                                                          SnapshotFn&& snapshot) const
      MNEME_EXCLUDES(mutex_) {
    ReaderLock lock(mutex_);
    const auto last = end.empty() ? entries_.end() : entries_.lower_bound(end);
    return {std::map<std::string, Entry>(entries_.lower_bound(begin), last), snapshot()};
  }
  std::optional<Entry> find(const std::string& key) const MNEME_EXCLUDES(mutex_) {
    ReaderLock lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return std::nullopt;
    return found->second;
  }

 private:
  mutable SharedMutex mutex_;
  std::map<std::string, Entry> entries_ MNEME_GUARDED_BY(mutex_);
};

}  // namespace mneme
