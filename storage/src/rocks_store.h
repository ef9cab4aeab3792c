// OrderedStore over RocksDB.
//
// RocksDB's write-ahead log is off in every write. Family i is the column family with id i, family 0 RocksDB's
// default one, so that a WriteSet can name families before it meets a store. applied_lsn lies under "\0applied" in
// family 0 and is part of every batch; atomic flush carries all families to disk in one step.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/write_batch.h>

#include <atomic>

#include "mneme/base/mutex.h"
#include "mneme/storage/ordered_store.h"
#include "rocks_env.h"

namespace mneme::storage {

inline constexpr std::string_view kAppliedKey{"\0applied", 8};

inline rocksdb::Slice to_slice(std::string_view text) { return {text.data(), text.size()}; }
inline rocksdb::Slice to_slice(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
inline std::string_view to_text(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }
inline ByteView to_bytes(const rocksdb::Slice& slice) { return as_bytes(to_text(slice)); }

struct WriteSet::Rep {
  rocksdb::WriteBatch batch;
  Family highest_family = 0;
  Status error;  // the first change that could not be taken in; apply() reports it
};

struct PinnedValue::Rep {
  rocksdb::PinnableSlice slice;
};

/// Hears of background errors (of flushes; a compaction is put off) and leaves recovery to the store, so that nothing happens behind its owner's back.
class BackgroundErrors final : public rocksdb::EventListener {
 public:
  /// Whether the disk was full and resume() has not succeeded since.
  bool disk_was_full() const { return disk_was_full_.load(std::memory_order_relaxed); }
  void clear() { disk_was_full_.store(false, std::memory_order_relaxed); }

  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* error) override;
  void OnCompactionBegin(rocksdb::DB*, const rocksdb::CompactionJobInfo&) override { set_thread_compacts(true); }
  void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo&) override { set_thread_compacts(false); }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* automatic) override {
    *automatic = false;
  }

 private:
  std::atomic<bool> disk_was_full_{false};
};

class RocksOrderedStore final : public OrderedStore {
 public:
  static Result<std::unique_ptr<OrderedStore>> open(const Path& directory, const OrderedStoreOptions& options);
  ~RocksOrderedStore() override;

  Status apply(WriteSet& set, Lsn applied) override MNEME_EXCLUDES(change_);
  Lsn applied_lsn() const override { return {applied_.load(std::memory_order_acquire)}; }
  Lsn flushed_lsn() const override;
  Status flush() override;
  Status resume() override;

  Result<std::optional<PinnedValue>> get(Family family, std::string_view key,
                                         const StoreSnapshotPtr& snapshot) const override;
  bool may_exist(Family family, std::string_view key) const override;
  std::unique_ptr<StoreIterator> scan(Family family, std::string_view begin, std::string_view end,
                                      const ScanOptions& options) const override;
  StoreSnapshotPtr snapshot() const noexcept override MNEME_EXCLUDES(change_);  // out of memory ends the process

  Result<std::unique_ptr<SortedFileWriter>> new_sorted_file(Family family, const Path& path) override;
  Status ingest(std::span<const IngestFile> files) override MNEME_EXCLUDES(change_);

  Result<std::vector<std::string>> split_points(Family family, std::string_view begin, std::string_view end,
                                                std::size_t n) const override;
  std::uint64_t approximate_bytes(Family family, std::string_view begin, std::string_view end) const override;
  std::uint64_t bytes_on_disk() const override;
  StorePressure pressure() const override;
  Status verify_checksums() const override;
  Status compact(Family family, std::string_view begin, std::string_view end) override;

 private:
  RocksOrderedStore(const Path& directory, const OrderedStoreOptions& options)
      : directory_(directory.string()), options_(options) {}
  bool has_room_for_memtables() const;
  void resume_if_there_is_room();
  Status connect();
  Status check_families() const;
  Result<Lsn> read_applied(const rocksdb::ReadOptions& options) const;
  std::shared_ptr<const rocksdb::Snapshot> pin() const;

  /// "store /path: what".
  std::string context(std::string_view what) const;
  Status check_family(Family family, std::string_view what) const;
  Status check_writable(std::string_view what) const;
  std::uint64_t sum_of(const rocksdb::Slice& property) const;
  Status verify_blobs(Family family) const;

  const std::string directory_;
  const OrderedStoreOptions options_;
  const std::shared_ptr<BackgroundErrors> background_errors_ = std::make_shared<BackgroundErrors>();
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;  // by family; given back to db_ before it goes

  mutable Mutex change_;  // held while a batch or files go in, so that snapshot() can know their lsn without reading
  std::atomic<std::uint64_t> applied_{0};
  mutable std::atomic<std::uint64_t> flushed_{0};
};

struct SizeEstimate {
  std::uint64_t in_files = 0, in_memory = 0;  // tables without blobs; memtables
};
/// Of [begin, end), an empty end being open. Zero where RocksDB cannot say.
SizeEstimate estimate_size(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* handle, std::string_view begin,
                           std::string_view end);

/// The RocksDB snapshot behind `snapshot`, or null.
const rocksdb::Snapshot* rocks_snapshot(const StoreSnapshotPtr& snapshot);

}  // namespace mneme::storage
