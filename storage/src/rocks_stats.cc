// What the store knows about itself: sizes, pressure, checksums; and compaction on request.
#include <algorithm>

#include "rocks_status.h"
#include "rocks_store.h"

namespace mneme::storage {
namespace {

constexpr std::uint64_t kVerifyReadaheadBytes = 2 * kMiB;

std::uint64_t property_of(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* handle, const rocksdb::Slice& property) {
  std::uint64_t value = 0;
  return db.GetIntProperty(handle, property, &value) ? value : 0;
}

}  // namespace

std::uint64_t RocksOrderedStore::sum_of(const rocksdb::Slice& property) const {
  std::uint64_t sum = 0;
  for (rocksdb::ColumnFamilyHandle* handle : handles_) sum += property_of(*db_, handle, property);
  return sum;
}

SizeEstimate estimate_size(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* handle, std::string_view begin,
                           std::string_view end) {
  // An open end is a key behind every key of ours: none is longer than this or holds as many bytes of 0xff.
  const std::string behind_all(256, '\xff');
  const rocksdb::Range range(to_slice(begin), end.empty() ? rocksdb::Slice(behind_all) : to_slice(end));
  const auto measure = [&](bool files) {
    rocksdb::SizeApproximationOptions options;
    options.include_files = files;
    options.include_memtables = !files;
    std::uint64_t bytes = 0;
    return db.GetApproximateSizes(options, handle, &range, 1, &bytes).ok() ? bytes : 0;
  };
  return {.in_files = measure(true), .in_memory = measure(false)};
}

std::uint64_t RocksOrderedStore::approximate_bytes(Family family, std::string_view begin, std::string_view end) const {
  if (family >= handles_.size() || (!end.empty() && begin >= end)) return 0;
  const SizeEstimate size = estimate_size(*db_, handles_[family], begin, end);
  // Blob files hold values for all ranges; take this range's share of keys for its share of values.
  const std::uint64_t blobs = property_of(*db_, handles_[family], rocksdb::DB::Properties::kLiveBlobFileSize);
  const std::uint64_t tables = property_of(*db_, handles_[family], rocksdb::DB::Properties::kLiveSstFilesSize);
  if (blobs == 0 || tables == 0) return size.in_files + size.in_memory;
  const double share = static_cast<double>(std::min(size.in_files, tables)) / static_cast<double>(tables);
  return size.in_files + size.in_memory + static_cast<std::uint64_t>(static_cast<double>(blobs) * share);
}

std::uint64_t RocksOrderedStore::bytes_on_disk() const {
  return sum_of(rocksdb::DB::Properties::kTotalSstFilesSize) + sum_of(rocksdb::DB::Properties::kTotalBlobFileSize);
}

StorePressure RocksOrderedStore::pressure() const {
  using Properties = rocksdb::DB::Properties;
  StorePressure pressure;
  pressure.write_stopped = property_of(*db_, handles_[0], Properties::kIsWriteStopped) != 0;
  pressure.delayed_write_rate = property_of(*db_, handles_[0], Properties::kActualDelayedWriteRate);
  pressure.pending_compaction_bytes = sum_of(Properties::kEstimatePendingCompactionBytes);
  pressure.memtable_bytes = sum_of(Properties::kCurSizeAllMemTables);
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    std::string files;
    if (db_->GetProperty(handle, Properties::kNumFilesAtLevelPrefix + "0", &files))
      pressure.level0_files = std::max<std::uint64_t>(pressure.level0_files, std::strtoull(files.c_str(), nullptr, 10));
  }
  return pressure;
}

Status RocksOrderedStore::verify_checksums() const {
  return guarded("verify checksums", [&]() -> Status {
    rocksdb::ReadOptions options;
    options.readahead_size = kVerifyReadaheadBytes;
    options.fill_cache = false;
    MNEME_TRY(from_rocks(db_->VerifyChecksum(options), context("verify checksums")));
    for (std::size_t i = 0; i < options_.families.size(); ++i)
      if (options_.families[i].blob_values) MNEME_TRY(verify_blobs(static_cast<Family>(i)));
    return ok_status();
  });
}

// RocksDB's own pass reads tables only; a blob's checksum is compared when the blob is read.
Status RocksOrderedStore::verify_blobs(Family family) const {
  const auto values =
      scan(family, {}, {}, {.snapshot = nullptr, .fill_cache = false, .readahead_bytes = kVerifyReadaheadBytes});
  while (values->valid()) values->next();
  return values->status();
}

Status RocksOrderedStore::compact(Family family, std::string_view begin, std::string_view end) {
  return guarded("compact", [&]() -> Status {
    MNEME_TRY(check_writable("compact"));
    MNEME_TRY(check_family(family, "compact"));
    if (!end.empty() && begin >= end) return ok_status();
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    const rocksdb::Slice first = to_slice(begin), last = to_slice(end);
    return from_rocks(
        db_->CompactRange(options, handles_[family], begin.empty() ? nullptr : &first, end.empty() ? nullptr : &last),
        context("compact family " + handles_[family]->GetName()));
  });
}

}  // namespace mneme::storage
