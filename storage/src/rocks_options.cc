#include "rocks_options.h"

#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <set>

#include "rocks_env.h"

namespace mneme::storage {
namespace {

constexpr int kOpenFilesMax = 512;
constexpr std::uint64_t kBlobValueBytesMin = kKiB;

// Large values in small blocks waste space on alignment to whole values; small ones in large blocks waste reads.
// Vectors are about 3 KiB, bodies about 1 KiB before compression.
std::size_t block_bytes(const FamilyOptions& options) {
  if (options.blob_values) return 4 * kKiB;  // holds keys and where their blobs are
  switch (options.compression) {
    case Compression::None:
      return 16 * kKiB;
    case Compression::Lz4:
      return 8 * kKiB;
    case Compression::Zstd:
      return 16 * kKiB;
  }
  return 8 * kKiB;
}

std::shared_ptr<rocksdb::TableFactory> table_factory(const FamilyOptions& options,
                                                     const std::shared_ptr<rocksdb::Cache>& block_cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = block_cache;
  table.block_size = block_bytes(options);
  table.format_version = 5;
  table.checksum = rocksdb::kXXH3;  // CRC-32C is software in the packaged build
  if (options.bloom_bits > 0)
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(static_cast<double>(options.bloom_bits)));
  table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
  table.data_block_hash_table_util_ratio = 0.75;
  // Index and filter blocks are charged to the cache, so that memory is bounded whatever the data's size, but leave
  // it last.
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.metadata_cache_options.unpartitioned_pinning = rocksdb::PinningTier::kFlushedAndSimilar;
  return std::shared_ptr<rocksdb::TableFactory>(rocksdb::NewBlockBasedTableFactory(table));
}

void set_compression(Compression compression, rocksdb::ColumnFamilyOptions& family) {
  switch (compression) {
    case Compression::None:
      family.compression = rocksdb::kNoCompression;
      family.bottommost_compression = rocksdb::kNoCompression;
      return;
    case Compression::Lz4:
      family.compression = rocksdb::kLZ4Compression;
      family.bottommost_compression = rocksdb::kLZ4Compression;
      return;
    case Compression::Zstd:  // what is soon rewritten is packed quickly, what stays is packed well
      family.compression = rocksdb::kLZ4Compression;
      family.bottommost_compression = rocksdb::kZSTD;
      return;
  }
}

void set_blobs(const FamilyOptions& options, const std::shared_ptr<rocksdb::Cache>& block_cache,
               rocksdb::ColumnFamilyOptions& family) {
  family.enable_blob_files = true;
  family.min_blob_size = kBlobValueBytesMin;
  family.blob_file_size = 128 * kMiB;
  family.blob_compression_type = options.compression == Compression::None ? rocksdb::kNoCompression : rocksdb::kZSTD;
  family.enable_blob_garbage_collection = true;
  family.blob_garbage_collection_age_cutoff = 0.25;
  family.blob_garbage_collection_force_threshold = 0.5;
  family.blob_cache = block_cache;
}

}  // namespace

Status validate(const OrderedStoreOptions& options) {
  const auto refuse = [](const std::string& why) { return Status(Code::InvalidArgument, "store options: " + why); };
  if (options.families.empty() || options.families.size() > kFamiliesMax)
    return refuse(std::to_string(options.families.size()) + " families, 1 to " + std::to_string(kFamiliesMax) +
                  " are possible");
  if (options.background_threads == 0) return refuse("background_threads is 0");
  std::set<std::string> names{rocksdb::kDefaultColumnFamilyName};
  for (std::size_t i = 1; i < options.families.size(); ++i) {
    const std::string& name = options.families[i].name;
    if (name.empty() || !names.insert(name).second)
      return refuse("family " + std::to_string(i) + " is named '" + name + "', which is empty, reserved or taken");
  }
  return ok_status();
}

rocksdb::DBOptions rocks_db_options(const OrderedStoreOptions& options) {
  rocksdb::DBOptions db;
  db.env = owner_only_env();
  db.info_log = make_rocks_logger(options.log);
  db.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  db.create_if_missing = options.create_if_missing && !options.read_only;
  db.create_missing_column_families = db.create_if_missing;
  db.paranoid_checks = true;

  // All families reach the disk in one step or none does: applied_lsn lies in one of them and speaks of all.
  db.atomic_flush = true;
  // What is not flushed belongs to the owner's log, also on a clean shutdown.
  db.avoid_flush_during_shutdown = true;
  // The log file is always empty; anything found in it is not ours.
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kAbsoluteConsistency;

  // A background error stays until resume(); see BackgroundErrors.
  db.max_bgerror_resume_count = 0;

  // Nothing at open may grow with the data.
  db.max_open_files = kOpenFilesMax;
  db.skip_stats_update_on_db_open = true;
  db.skip_checking_sst_file_sizes_on_db_open = true;
  db.manifest_preallocation_size = 256 * kKiB;

  // One flush at a time: of two, the later waits for the earlier to be installed, for ever if that fails
  // (facebook/rocksdb#11872). All families go in one flush anyway.
  db.max_background_jobs = static_cast<int>(options.background_threads);
  db.max_background_flushes = 1;
  db.max_background_compactions = std::max(1, db.max_background_jobs - 1);
  db.db_write_buffer_size = 0;
  for (const FamilyOptions& family : options.families) db.db_write_buffer_size += family.write_buffer_bytes;
  db.bytes_per_sync = kMiB;  // spreads write-back, so that the last sync of a file is short
  // The end of a snapshot or iterator does not delete files in its thread. (7.8 asserts on it in a read-only open.)
  db.avoid_unnecessary_blocking_io = !options.read_only;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  return db;
}

rocksdb::ColumnFamilyOptions rocks_family_options(const FamilyOptions& options,
                                                  const std::shared_ptr<rocksdb::Cache>& block_cache) {
  rocksdb::ColumnFamilyOptions family;
  family.table_factory = table_factory(options, block_cache);
  set_compression(options.compression, family);
  if (options.blob_values) set_blobs(options, block_cache, family);
  family.write_buffer_size = options.write_buffer_bytes;
  family.max_write_buffer_number = 3;  // one filling, two on their way: a burst does not stop at the first flush
  family.level_compaction_dynamic_level_bytes = true;
  family.target_file_size_base = 64 * kMiB;
  family.max_bytes_for_level_base = std::max<std::uint64_t>(256 * kMiB, 4 * options.write_buffer_bytes);
  family.level0_slowdown_writes_trigger = 20;
  family.level0_stop_writes_trigger = 36;
  family.force_consistency_checks = true;
  return family;
}

}  // namespace mneme::storage
