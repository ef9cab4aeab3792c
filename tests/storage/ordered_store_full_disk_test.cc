// A full disk: NoSpace, reads go on, writes come back with the room. On a real file system of 32 MB.
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <mutex>

#include "store_fixture.h"

namespace mneme::storage {
namespace {

class OrderedStoreFullDisk : public StoreTest {
 protected:
  void SetUp() override {
    if (::mkdir(disk().c_str(), 0700) != 0 || ::mount("mneme", disk().c_str(), "tmpfs", 0, "size=32m") != 0)
      GTEST_SKIP() << "a small tmpfs cannot be mounted here: " << std::strerror(errno);
    mounted_ = true;
    options = four_families(512 * kKiB);
    options.log = [this](std::string_view line) {
      const std::lock_guard lock(log_mutex_);
      logged_.emplace_back(line);
    };
    std::ofstream(ballast()) << std::string(16 * kMiB, 'b');
    open_on_disk();
  }

  void TearDown() override {
    store.reset();
    if (mounted_) {
      EXPECT_EQ(::umount2(disk().c_str(), MNT_DETACH), 0);
    }
  }

  void open_on_disk() {
    store.reset();
    auto opened = OrderedStore::open(disk() / "store", options);
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    store = std::move(*opened);
  }

  Status put_one(std::uint64_t lsn) {
    WriteSet set;
    std::string value(8000, '\0');
    for (char& byte : value) byte = static_cast<char>(random_());
    for (Family family = 1; family < 4; ++family) set.put(family, key(lsn), as_bytes(value));
    Status applied = store->apply(set, {lsn});
    if (applied.ok()) values_[lsn] = value;
    return applied;
  }

  /// Puts until the store says that it cannot, by itself or when asked to flush.
  Status fill(std::uint64_t& lsn) {
    for (int i = 0; i < 100'000; ++i) {
      MNEME_TRY(put_one(lsn + 1));
      ++lsn;
      if (lsn % 50 == 0) MNEME_TRY(store->flush());
    }
    return ok_status();
  }

  /// Takes what room is left. What the store gives up while it fails may be room again a moment later.
  void plug() {
    std::ofstream stream(disk() / "plug", std::ios::app | std::ios::binary);
    while (stream << std::string(4 * kKiB, 'p') << std::flush) {
    }
  }

  void expect_all_readable() {
    for (const auto& [lsn, value] : values_)
      for (Family family = 1; family < 4; ++family) ASSERT_EQ(get(family, key(lsn)), value) << lsn;
  }

  static std::string key(std::uint64_t lsn) { return "key" + std::to_string(lsn); }
  Path disk() const { return root.path() / "disk"; }
  Path ballast() const { return disk() / "ballast"; }

  std::map<std::uint64_t, std::string> values_;
  std::mt19937_64 random_{7};
  std::mutex log_mutex_;
  std::vector<std::string> logged_;
  bool mounted_ = false;
};

TEST_F(OrderedStoreFullDisk, SaysNoSpaceReadsOnAndWritesAgainWhenThereIsRoom) {
  std::uint64_t lsn = 0;
  const Status full = fill(lsn);
  ASSERT_EQ(full.code(), Code::NoSpace) << full.to_string();
  EXPECT_EQ(store->applied_lsn(), Lsn{lsn});
  EXPECT_LT(store->flushed_lsn(), Lsn{lsn});
  expect_all_readable();
  Status refused;
  for (int i = 0; i < 1'000 && refused.ok(); ++i) {
    plug();
    refused = put_one(lsn + 1);
    if (refused.ok()) ++lsn;
    if (refused.ok()) refused = store->flush();
  }
  EXPECT_EQ(refused.code(), Code::NoSpace) << refused.to_string();
  expect_all_readable();

  ASSERT_TRUE(std::filesystem::remove(ballast()));
  for (int i = 0; i < 20; ++i) ASSERT_OK(put_one(++lsn));
  ASSERT_OK(store->flush());
  EXPECT_EQ(store->flushed_lsn(), Lsn{lsn});
  expect_all_readable();
  open_on_disk();
  EXPECT_EQ(store->applied_lsn(), Lsn{lsn});
  expect_all_readable();
  const std::lock_guard lock(log_mutex_);
  EXPECT_FALSE(logged_.empty()) << "nobody was told";
}

TEST_F(OrderedStoreFullDisk, ReopensToTheLastFlushWhenRoomNeverCame) {
  std::uint64_t lsn = 0;
  ASSERT_EQ(fill(lsn).code(), Code::NoSpace);
  const Lsn flushed = store->flushed_lsn();
  ASSERT_GT(flushed, Lsn{0});
  store.reset();
  ASSERT_TRUE(std::filesystem::remove(ballast()));
  open_on_disk();
  EXPECT_EQ(store->applied_lsn(), flushed);
  EXPECT_LT(flushed, Lsn{lsn});
  values_.erase(values_.upper_bound(flushed.value), values_.end());
  expect_all_readable();
  EXPECT_EQ(get(1, key(flushed.value + 1)), std::nullopt);
}

TEST_F(OrderedStoreFullDisk, LeavesNothingOfAnIngestThatDidNotFit) {
  ASSERT_OK(put_one(1));
  ASSERT_OK(store->flush());
  auto writer = store->new_sorted_file(1, disk() / "big.sst");
  ASSERT_TRUE(writer.ok());
  Status written;
  for (int i = 0; written.ok() && i < 10'000; ++i) {
    std::string value(8000, '\0');
    for (char& byte : value) byte = static_cast<char>(random_());
    written = (*writer)->put(key(100'000 + static_cast<std::uint64_t>(i)), as_bytes(value));
  }
  if (written.ok()) written = (*writer)->finish().status();
  EXPECT_EQ(written.code(), Code::NoSpace) << written.to_string();
  writer->reset();
  EXPECT_FALSE(std::filesystem::exists(disk() / "big.sst"));
  ASSERT_OK(put_one(2));
  ASSERT_OK(store->flush());
  expect_all_readable();
}

TEST_F(OrderedStoreFullDisk, SurvivesEpisodeAfterEpisode) {
  std::uint64_t lsn = 0;
  for (int episode = 0; episode < 6; ++episode) {
    SCOPED_TRACE("episode " + std::to_string(episode));
    ASSERT_EQ(fill(lsn).code(), Code::NoSpace);
    ASSERT_TRUE(std::filesystem::remove(ballast()));
    ASSERT_OK(store->resume());
    WriteSet everything;
    for (Family family = 1; family < 4; ++family) everything.erase_range(family, "key", "kez");
    ASSERT_OK(store->apply(everything, {++lsn}));
    values_.clear();
    for (Family family = 1; family < 4; ++family) ASSERT_OK(store->compact(family, "", ""));
    ASSERT_OK(store->flush());
    std::ofstream(ballast()) << std::string(16 * kMiB, 'b');
  }
}

}  // namespace
}  // namespace mneme::storage
