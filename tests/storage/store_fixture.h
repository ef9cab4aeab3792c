// What the tests of the ordered store and of the tiers share: a directory of their own and verbs for a store in it.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "mneme/storage/ordered_store.h"

namespace mneme::storage {

#define ASSERT_OK(expression)                                                \
  do {                                                                       \
    const ::mneme::Status status_ = (expression);                            \
    ASSERT_TRUE(status_.ok()) << #expression << ": " << status_.to_string(); \
  } while (false)
#define EXPECT_OK(expression)                                                \
  do {                                                                       \
    const ::mneme::Status status_ = (expression);                            \
    EXPECT_TRUE(status_.ok()) << #expression << ": " << status_.to_string(); \
  } while (false)

using KeyValues = std::map<std::string, std::string>;

/// Memory as a file system where there is one: what is synced there costs nothing, and a kill is no power cut.
inline Path quick_directory() {
  return std::filesystem::is_directory("/dev/shm") ? Path("/dev/shm") : std::filesystem::temp_directory_path();
}

/// A fresh directory that goes with the object.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(const Path& parent = std::filesystem::temp_directory_path()) {
    std::string name = (parent / "mneme-store-XXXXXX").string();
    if (!::mkdtemp(name.data())) std::abort();
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const Path& path() const { return path_; }

 private:
  Path path_;
};

/// The seed of a random test: MNEME_TEST_SEED, or a new one. Printed, so that a failure can be repeated.
inline std::uint64_t test_seed() {
  const char* given = std::getenv("MNEME_TEST_SEED");
  const std::uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "MNEME_TEST_SEED=" << seed << std::endl;
  return seed;
}

/// Four families, one of each way to store: meta, lz4, none, zstd with blobs.
inline OrderedStoreOptions four_families(std::uint64_t write_buffer_bytes = 4 * kMiB) {
  OrderedStoreOptions options;
  options.families = {
      {.name = "meta", .write_buffer_bytes = write_buffer_bytes},
      {.name = "packed", .compression = Compression::Lz4, .write_buffer_bytes = write_buffer_bytes},
      {.name = "plain", .compression = Compression::None, .write_buffer_bytes = write_buffer_bytes},
      {.name = "blobs",
       .compression = Compression::Zstd,
       .blob_values = true,
       .write_buffer_bytes = write_buffer_bytes},
  };
  options.block_cache_bytes = 8 * kMiB;
  return options;
}

inline std::string value_of(const PinnedValue& value) { return std::string(as_text(value.bytes())); }

/// Everything in [begin, end), or the error.
inline Result<KeyValues> read_all(const OrderedStore& store, Family family, std::string_view begin = {},
                                  std::string_view end = {}, const ScanOptions& options = {}) {
  KeyValues found;
  const auto position = store.scan(family, begin, end, options);
  for (; position->valid(); position->next())
    found.emplace(std::string(position->key()), std::string(as_text(position->value())));
  MNEME_TRY(position->status());
  found.erase(std::string("\0applied", 8));
  return found;
}

class StoreTest : public testing::Test {
 protected:
  void open() {
    auto opened = OrderedStore::open(directory(), options);
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    store = std::move(*opened);
  }
  /// What was not flushed is gone, as after a kill.
  void reopen() {
    store.reset();
    open();
  }
  Status put(Family family, std::string_view key, std::string_view value) {
    WriteSet set;
    set.put(family, key, as_bytes(value));
    return store->apply(set, {store->applied_lsn().value + 1});
  }
  std::optional<std::string> get(Family family, std::string_view key, const StoreSnapshotPtr& snapshot = nullptr) {
    const auto found = store->get(family, key, snapshot);
    EXPECT_TRUE(found.ok()) << found.status().to_string();
    if (!found.ok() || !*found) return std::nullopt;
    return value_of(**found);
  }
  KeyValues all(Family family) {
    auto found = read_all(*store, family);
    EXPECT_TRUE(found.ok()) << found.status().to_string();
    return found.ok() ? *found : KeyValues();
  }
  void write_file(Family family, const Path& path, const KeyValues& content) {
    auto writer = store->new_sorted_file(family, path);
    ASSERT_TRUE(writer.ok()) << writer.status().to_string();
    for (const auto& [key, value] : content) ASSERT_OK((*writer)->put(key, as_bytes(value)));
    ASSERT_OK((*writer)->finish().status());
  }
  Path directory() const { return root.path() / "store"; }
  Path file(const std::string& name) const { return root.path() / name; }

  TemporaryDirectory root{quick_directory()};
  OrderedStoreOptions options = four_families();
  std::unique_ptr<OrderedStore> store;
};

}  // namespace mneme::storage
