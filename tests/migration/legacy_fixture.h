// A legacy store in a directory of its own, and verbs.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mneme/migration/legacy_store.h"
#include "seeded_test.h"
#include "temp_directory.h"

namespace mneme::migration::testing {

#define MNEME_ASSERT_OK(expression)                                          \
  do {                                                                       \
    const ::mneme::Status status_ = (expression);                            \
    ASSERT_TRUE(status_.ok()) << #expression << ": " << status_.to_string(); \
  } while (false)

inline Memory memory_of(std::string id, std::string content = "tea", std::optional<std::vector<float>> embedding = {}) {
  Memory memory;
  memory.id = std::move(id);
  memory.content = std::move(content);
  memory.embedding = std::move(embedding);
  return memory;
}

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_text(const std::filesystem::path& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  EXPECT_TRUE(file.flush()) << path;
}

/// Every file below a directory with its bytes.
inline std::map<std::string, std::string> files_of(const std::filesystem::path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
    if (entry.is_regular_file()) files[entry.path().lexically_relative(directory)] = read_text(entry.path());
  return files;
}

class LegacyTest : public mneme::testing::SeededTest {
 protected:
  std::filesystem::path directory() const { return work_ / "legacy"; }
  std::filesystem::path in_work(const std::string& name) const { return work_ / name; }
  LegacyStore& store() { return *store_; }

  static LegacyOptions creating() {
    LegacyOptions options;
    options.create_if_missing = true;
    return options;
  }

  void open(const LegacyOptions& options = creating()) {
    auto opened = LegacyStore::open(directory(), options);
    ASSERT_TRUE(opened) << opened.status().to_string();
    store_ = std::move(*opened);
  }
  void close() {
    if (!store_) return;
    const Status closed = store_->close();
    EXPECT_TRUE(closed) << closed.to_string();
    store_.reset();
  }
  void reopen() {
    close();
    open();
  }
  Status opening_fails(const LegacyOptions& options = creating()) {
    const auto opened = LegacyStore::open(directory(), options);
    EXPECT_FALSE(opened);
    return opened.status();
  }

  Status put(const Memory& memory) { return store_->put({&memory, 1}); }
  Status put(const std::vector<Memory>& memories) { return store_->put(memories); }
  std::vector<std::string> ids(std::string_view begin = {}, std::string_view end = {}) {
    return ids(store_->view(), begin, end);
  }
  std::vector<std::string> ids(const std::shared_ptr<const LegacyStore::View>& view, std::string_view begin = {},
                               std::string_view end = {}) {
    std::vector<std::string> found;
    const Status scanned = store_->scan(view, begin, end, [&](const LegacyStore::RawRecord& record) {
      found.emplace_back(record.id);
      return true;
    });
    EXPECT_TRUE(scanned) << scanned.to_string();
    return found;
  }

  test::TempDirectory work_;
  std::unique_ptr<LegacyStore> store_;
};

using Ids = std::vector<std::string>;

}  // namespace mneme::migration::testing
