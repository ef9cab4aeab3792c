// LegacyStore over a log and an ordered store.
//
// A write is validated and encoded by its caller, goes through the log, and is applied by the log's leader in LSN order
// before it is acknowledged; so reads see it on return, and counts move in the same atomic step as the data. The
// ordered store is flushed, and the log behind it dropped, when kLogBytesMax of log is live: opening again replays no
// more than that.
#pragma once

#include <atomic>
#include <memory>

#include "legacy_state.h"
#include "mneme/base/mutex.h"
#include "mneme/storage/file_system.h"
#include "mneme/storage/wal.h"

namespace mneme::migration {

/// LegacyStore::open over other files, for tests. The ordered store's files are the system's all the same.
Result<std::unique_ptr<LegacyStore>> open_legacy_store(storage::FileSystem& fs, const std::filesystem::path& directory,
                                                       const LegacyOptions& options);

class LegacyStore::View {
 public:
  View(storage::StoreSnapshotPtr pinned, Lsn last) : snapshot(std::move(pinned)), lsn(last) {}
  const storage::StoreSnapshotPtr snapshot;
  const Lsn lsn;
};

class OpenLegacyStore final : public LegacyStore {
 public:
  OpenLegacyStore(std::filesystem::path directory, LegacyOptions options, Uuid id,
                  std::unique_ptr<storage::FileLock> lock, std::unique_ptr<LegacyState> state,
                  std::unique_ptr<storage::Wal> log);
  ~OpenLegacyStore() override;

  Status put(std::span<const Memory> memories) override { return put(memories, storage::Durability::Sync); }
  Status put_unsynced(std::span<const Memory> memories) override { return put(memories, storage::Durability::Memory); }
  Status sync() override;
  Status erase(std::string_view id) override;
  Result<Memory> get(std::string_view id) const override;
  std::shared_ptr<const View> view() const override;
  Status scan(const std::shared_ptr<const View>& view, std::string_view begin, std::string_view end,
              const std::function<bool(const RawRecord&)>& visit) const override;
  Lsn lsn(const View& view) const override { return view.lsn; }
  Result<std::vector<std::string>> split_points(std::size_t n) const override;
  std::uint64_t approximate_bytes(std::string_view begin, std::string_view end) const override;
  Uuid id() const override { return id_; }
  LegacyStats stats() const override;
  Status flush() override;
  Status close() override;

 private:
  /// A dimension that writes on their way hold until they are committed, while the store has none yet.
  class DimensionClaim;

  Status put(std::span<const Memory> memories, storage::Durability durability);
  Status write(std::shared_ptr<const Bytes> payload, storage::Durability durability);
  Status check_open() const;
  Status check_writable() const;
  void shrink_log();

  const std::filesystem::path directory_;
  const LegacyOptions options_;
  const Uuid id_;
  std::unique_ptr<storage::FileLock> lock_;
  std::unique_ptr<LegacyState> state_;
  std::unique_ptr<storage::Wal> log_;
  std::atomic<bool> closed_{false};
  Mutex flush_mutex_;  // one flush at a time

  Mutex claim_mutex_;
  std::uint32_t claimed_dimension_ MNEME_GUARDED_BY(claim_mutex_) = 0;
  std::size_t claims_ MNEME_GUARDED_BY(claim_mutex_) = 0;
};

}  // namespace mneme::migration
