// The store's options as RocksDB options; every choice carries its reason in the source.
#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/options.h>

#include <memory>

#include "mneme/storage/ordered_store.h"

namespace mneme::storage {

inline constexpr std::size_t kFamiliesMax = 64;

/// @error InvalidArgument  names the first option out of range
Status validate(const OrderedStoreOptions& options);

rocksdb::DBOptions rocks_db_options(const OrderedStoreOptions& options);
rocksdb::ColumnFamilyOptions rocks_family_options(const FamilyOptions& options,
                                                  const std::shared_ptr<rocksdb::Cache>& block_cache);

}  // namespace mneme::storage
