// The stored memories of a legacy store: log records go in, in order, and reads come out.
//
//   family     key         value
//   meta       "counts"    memories:u64  dimension:u32 (0 = no embedding yet)
//   memory     id          encoded Memory
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "mneme/base/mutex.h"
#include "mneme/migration/legacy_store.h"
#include "mneme/storage/ordered_store.h"

namespace mneme::migration {

inline constexpr storage::Family kLegacyMeta = 0, kLegacyMemory = 1;

struct LegacyCounts {
  std::uint64_t memories = 0;
  std::uint32_t dimension = 0;  ///< 0 = no embedding yet
  Lsn last;                     ///< last change in the log, applied or not
};

/// Changes beside a store that takes none, because it is open read-only: what the log holds beyond the store.
/// nullopt = erased. Immutable once the log is replayed.
using LegacyOverlay = std::map<std::string, std::optional<Bytes>, std::less<>>;

/// Threads: any.
class LegacyState {
 public:
  static Result<std::unique_ptr<LegacyState>> open(const std::filesystem::path& directory, const LegacyOptions& options,
                                                   bool create);
  /// Over a store that is open with the families above, for tests.
  static Result<std::unique_ptr<LegacyState>> over(std::unique_ptr<storage::OrderedStore> store, bool read_only);

  /// Takes one record while the log is replayed. @error Corruption, NoSpace, IoError
  Status replay(Lsn lsn, ByteView payload);

  /// Takes one record that the log has committed. Called in LSN order, one at a time. A record that the store cannot
  /// take now (a full disk) waits in memory, and all behind it, until drain() succeeds; the log keeps it too.
  /// @return why it waits
  Status commit(Lsn lsn, std::shared_ptr<const Bytes> payload);
  /// Applies what waits. Cost when nothing does: one mutex.
  Status drain();

  LegacyCounts counts() const;
  storage::OrderedStore& store() { return *store_; }
  const storage::OrderedStore& store() const { return *store_; }

  Result<std::optional<Bytes>> get(std::string_view id) const;
  Status scan(const storage::StoreSnapshotPtr& snapshot, std::string_view begin, std::string_view end,
              const std::function<bool(const LegacyStore::RawRecord&)>& visit) const;

 private:
  struct Waiting {
    Lsn lsn;
    std::shared_ptr<const Bytes> payload;
  };

  LegacyState(std::unique_ptr<storage::OrderedStore> store, bool read_only)
      : store_(std::move(store)), read_only_(read_only) {}
  Status load_counts();
  Status apply(Lsn lsn, ByteView payload) MNEME_REQUIRES(mutex_);
  Status overlay(Lsn lsn, ByteView payload) MNEME_REQUIRES(mutex_);
  Status drain_locked() MNEME_REQUIRES(mutex_);
  Result<bool> is_stored(std::string_view id) const;
  void note_dimension(ByteView payload) MNEME_REQUIRES(mutex_);

  const std::unique_ptr<storage::OrderedStore> store_;
  const bool read_only_;
  LegacyOverlay overlay_;  // written by replay() alone
  mutable Mutex mutex_;    // held while a record is applied
  LegacyCounts counts_ MNEME_GUARDED_BY(mutex_);
  std::deque<Waiting> waiting_ MNEME_GUARDED_BY(mutex_);
};

}  // namespace mneme::migration
