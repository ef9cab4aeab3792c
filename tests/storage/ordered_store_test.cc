// The ordered store by example: opening, atomic sets, snapshots, files, errors.
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <mutex>
#include <thread>

#include "store_fixture.h"

namespace mneme::storage {
namespace {

class OrderedStoreTest : public StoreTest {
 protected:
  void SetUp() override { open(); }
};

TEST_F(OrderedStoreTest, StartsEmptyAtLsnZero) {
  EXPECT_EQ(store->applied_lsn(), Lsn{0});
  EXPECT_EQ(store->flushed_lsn(), Lsn{0});
  EXPECT_EQ(get(1, "k"), std::nullopt);
  EXPECT_TRUE(all(1).empty());
}

TEST_F(OrderedStoreTest, AppliesASetOverSeveralFamiliesWithItsLsn) {
  WriteSet set;
  const std::array<ByteView, 3> parts{as_bytes("one "), as_bytes(""), as_bytes("two")};
  set.put(1, "k", as_bytes("v"));
  set.put_parts(2, "parts", parts);
  set.put(3, std::string_view("\0\xff", 2), as_bytes(std::string(5000, 'b')));
  EXPECT_EQ(set.count(), 3u);
  ASSERT_OK(store->apply(set, {7}));

  EXPECT_EQ(set.count(), 0u);
  EXPECT_EQ(store->applied_lsn(), Lsn{7});
  EXPECT_EQ(get(1, "k"), "v");
  EXPECT_EQ(get(2, "parts"), "one two");
  EXPECT_EQ(get(3, std::string_view("\0\xff", 2)), std::string(5000, 'b'));
}

TEST_F(OrderedStoreTest, ForgetsWhatWasNotFlushedAndKeepsWhatWas) {
  ASSERT_OK(put(1, "kept", "v"));
  ASSERT_OK(store->flush());
  ASSERT_OK(put(1, "lost", "v"));
  EXPECT_EQ(store->flushed_lsn(), Lsn{1});
  reopen();
  EXPECT_EQ(store->applied_lsn(), Lsn{1});
  EXPECT_EQ(store->flushed_lsn(), Lsn{1});
  EXPECT_EQ(all(1), (KeyValues{{"kept", "v"}}));
}

TEST_F(OrderedStoreTest, NoticesAFlushThatFullMemtablesCaused) {
  options = four_families(256 * kKiB);
  reopen();
  for (int i = 0; store->flushed_lsn() == Lsn{0} && i < 100'000; ++i)
    ASSERT_OK(put(2, std::to_string(i), std::string(8192, 'x')));
  const Lsn flushed = store->flushed_lsn();
  ASSERT_GT(flushed, Lsn{0});
  reopen();
  EXPECT_GE(store->applied_lsn(), flushed);
  EXPECT_EQ(all(2).size(), store->applied_lsn().value);
}

TEST_F(OrderedStoreTest, RefusesAnLsnThatGoesBackAndLeavesTheSetWithItsOwner) {
  ASSERT_OK(put(1, "a", "1"));
  ASSERT_OK(put(1, "b", "2"));
  WriteSet set;
  set.put(1, "c", as_bytes("3"));
  EXPECT_EQ(store->apply(set, {1}).code(), Code::InvalidArgument);
  EXPECT_EQ(get(1, "c"), std::nullopt);
  EXPECT_EQ(set.count(), 1u);
  ASSERT_OK(store->apply(set, {2}));
  EXPECT_EQ(get(1, "c"), "3");
}

TEST_F(OrderedStoreTest, RefusesASetForFamiliesItDoesNotHave) {
  WriteSet set;
  set.put(4, "k", as_bytes("v"));
  const Status refused = store->apply(set, {1});
  EXPECT_EQ(refused.code(), Code::InvalidArgument);
  EXPECT_NE(refused.message().find("family 4 of 4"), std::string::npos) << refused.message();
  set.clear();
  set.put(200, "k", as_bytes("v"));
  EXPECT_EQ(store->apply(set, {1}).code(), Code::InvalidArgument);
  EXPECT_EQ(store->get(9, "k").status().code(), Code::InvalidArgument);
  EXPECT_EQ(store->scan(9, "", "")->status().code(), Code::InvalidArgument);
  EXPECT_EQ(store->applied_lsn(), Lsn{0});
}

TEST_F(OrderedStoreTest, ErasesRangesWithoutTheirEnd) {
  for (const char* key : {"a", "b", "c", "d"}) ASSERT_OK(put(1, key, key));
  WriteSet set;
  set.erase_range(1, "b", "d");
  set.erase_range(1, "z", "a");  // holds nothing
  ASSERT_OK(store->apply(set, {9}));
  EXPECT_EQ(all(1), (KeyValues{{"a", "a"}, {"d", "d"}}));
  set.erase_range(1, "a", "");
  EXPECT_EQ(store->apply(set, {10}).code(), Code::InvalidArgument);
}

TEST_F(OrderedStoreTest, ScansWithinItsBoundsAndSeeksInsideThem) {
  for (const char* key : {"a", "b", "c", "d"}) ASSERT_OK(put(1, key, key));
  EXPECT_EQ(*read_all(*store, 1, "b", "d"), (KeyValues{{"b", "b"}, {"c", "c"}}));
  EXPECT_EQ(*read_all(*store, 1, "c", ""), (KeyValues{{"c", "c"}, {"d", "d"}}));
  EXPECT_TRUE(read_all(*store, 1, "d", "b")->empty());
  const auto position = store->scan(1, "b", "d");
  position->seek("a");
  ASSERT_TRUE(position->valid());
  EXPECT_EQ(position->key(), "b");
  position->seek("d");
  EXPECT_FALSE(position->valid());
  EXPECT_OK(position->status());
}

TEST_F(OrderedStoreTest, ProvesAKeyAbsentByFiltersAndMemtables) {
  ASSERT_OK(put(1, "there", "v"));
  EXPECT_TRUE(store->may_exist(1, "there"));
  EXPECT_FALSE(store->may_exist(1, "absent"));
  ASSERT_OK(store->flush());
  EXPECT_EQ(get(1, "there"), "v");  // brings the filter into the cache
  EXPECT_TRUE(store->may_exist(1, "there"));
  int maybes = 0;
  for (int i = 0; i < 1000; ++i) maybes += store->may_exist(1, "there" + std::to_string(i));
  EXPECT_LT(maybes, 50);
}

TEST_F(OrderedStoreTest, KeepsASnapshotsStateAndLsn) {
  ASSERT_OK(put(1, "k", "old"));
  const StoreSnapshotPtr before = store->snapshot();
  ASSERT_OK(put(1, "k", "new"));
  ASSERT_OK(store->flush());
  EXPECT_EQ(before->lsn(), Lsn{1});
  EXPECT_EQ(get(1, "k", before), "old");
  EXPECT_EQ(*read_all(*store, 1, "", "", {.snapshot = before}), (KeyValues{{"k", "old"}}));
  EXPECT_EQ(store->snapshot()->lsn(), Lsn{2});
}

TEST_F(OrderedStoreTest, GivesEverySnapshotTheLsnOfWhatItShowsWhileSetsAreApplied) {
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (std::uint64_t lsn = 1; lsn <= 3000; ++lsn) {
      WriteSet set;
      for (Family family = 1; family < 4; ++family) set.put(family, "lsn", as_bytes(std::to_string(lsn)));
      for (int i = 0; i < 30; ++i) set.put(2, std::to_string(i), as_bytes("filler"));
      ASSERT_OK(store->apply(set, {lsn}));
    }
    done = true;
  });
  std::uint64_t taken = 0;
  while (!done || taken == 0) {
    const StoreSnapshotPtr state = store->snapshot();
    if (state->lsn() == Lsn{0}) continue;
    for (Family family = 1; family < 4; ++family)
      ASSERT_EQ(get(family, "lsn", state), std::to_string(state->lsn().value));
    ++taken;
  }
  writer.join();
  EXPECT_EQ(store->snapshot()->lsn(), Lsn{3000});
}

TEST_F(OrderedStoreTest, SecondOpenIsBusy) {
  const auto second = OrderedStore::open(directory(), options);
  EXPECT_EQ(second.status().code(), Code::Busy) << second.status().to_string();
  EXPECT_NE(second.status().message().find(directory().string()), std::string::npos);
  store.reset();
  EXPECT_TRUE(OrderedStore::open(directory(), options).ok());
}

TEST_F(OrderedStoreTest, OpensReadOnlyWhatWasFlushedAndRefusesToWrite) {
  ASSERT_OK(put(1, "k", "v"));
  ASSERT_OK(store->flush());
  options.read_only = true;
  reopen();
  EXPECT_EQ(get(1, "k"), "v");
  EXPECT_EQ(store->applied_lsn(), Lsn{1});
  EXPECT_EQ(put(1, "k", "w").code(), Code::FailedPrecondition);
  EXPECT_EQ(store->flush().code(), Code::FailedPrecondition);
}

TEST_F(OrderedStoreTest, RefusesFamiliesOfAnotherRelease) {
  store.reset();
  OrderedStoreOptions fewer = options;
  fewer.families.pop_back();
  EXPECT_EQ(OrderedStore::open(directory(), fewer).status().code(), Code::VersionMismatch);
  OrderedStoreOptions swapped = options;
  std::swap(swapped.families[1], swapped.families[2]);
  EXPECT_EQ(OrderedStore::open(directory(), swapped).status().code(), Code::VersionMismatch);
  OrderedStoreOptions more = options;
  more.families.push_back({.name = "later"});
  EXPECT_TRUE(OrderedStore::open(directory(), more).ok());
}

TEST_F(OrderedStoreTest, RefusesOptionsThatNameNoStore) {
  OrderedStoreOptions wrong = options;
  wrong.families[2].name = wrong.families[1].name;
  EXPECT_EQ(OrderedStore::open(directory(), wrong).status().code(), Code::InvalidArgument);
  wrong = options;
  wrong.create_if_missing = false;
  EXPECT_EQ(OrderedStore::open(file("nowhere"), wrong).status().code(), Code::NotFound);
  wrong = options;
  wrong.families.clear();
  EXPECT_EQ(OrderedStore::open(file("nowhere"), wrong).status().code(), Code::InvalidArgument);
}

TEST_F(OrderedStoreTest, LeavesNoInfoLogAndNothingInTheWriteAheadLog) {
  for (int i = 0; i < 100; ++i) ASSERT_OK(put(1, std::to_string(i), std::string(1000, 'v')));
  ASSERT_OK(store->flush());
  ASSERT_OK(put(1, "more", "v"));
  reopen();
  for (const auto& entry : std::filesystem::directory_iterator(directory())) {
    const std::string name = entry.path().filename().string();
    EXPECT_EQ(name.rfind("LOG", 0), std::string::npos) << name;
    if (entry.path().extension() == ".log") {
      EXPECT_EQ(entry.file_size(), 0u) << name;
    }
  }
}

TEST_F(OrderedStoreTest, KeepsItsFilesToTheOwner) {
  ASSERT_OK(put(3, "k", std::string(5000, 'v')));
  ASSERT_OK(store->flush());
  reopen();
  struct stat directory_stat;
  ASSERT_EQ(::stat(directory().c_str(), &directory_stat), 0);
  EXPECT_EQ(directory_stat.st_mode & 0777, 0700u);
  for (const auto& entry : std::filesystem::directory_iterator(directory())) {
    struct stat file_stat;
    ASSERT_EQ(::stat(entry.path().c_str(), &file_stat), 0);
    EXPECT_EQ(file_stat.st_mode & 0777, 0600u) << entry.path();
  }
}

TEST_F(OrderedStoreTest, IngestsFilesOfSeveralFamiliesAndLaterPutsWin) {
  ASSERT_OK(put(1, "m", "from before"));
  write_file(1, file("1.sst"), {{"x1", "file"}, {"x2", "file"}});
  write_file(2, file("2.sst"), {{"x1", "file"}});
  write_file(3, file("3.sst"), {{"x1", std::string(4000, 'f')}});
  const std::vector<IngestFile> files{{1, file("1.sst")}, {2, file("2.sst")}, {3, file("3.sst")}};
  ASSERT_OK(store->ingest(files));
  EXPECT_FALSE(std::filesystem::exists(file("1.sst")));
  ASSERT_OK(put(1, "x1", "put later"));

  const KeyValues expected{{"m", "from before"}, {"x1", "put later"}, {"x2", "file"}};
  EXPECT_EQ(all(1), expected);
  ASSERT_OK(store->flush());
  EXPECT_EQ(all(1), expected);
  ASSERT_OK(store->compact(1, "", ""));
  reopen();
  EXPECT_EQ(all(1), expected);
  EXPECT_EQ(get(2, "x1"), "file");
  EXPECT_EQ(get(3, "x1"), std::string(4000, 'f'));
}

TEST_F(OrderedStoreTest, IngestFlushesWhatWasAppliedBefore) {
  ASSERT_OK(put(2, "before", "v"));
  write_file(1, file("1.sst"), {{"x", "file"}});
  ASSERT_OK(store->ingest(std::vector<IngestFile>{{1, file("1.sst")}}));
  EXPECT_EQ(store->flushed_lsn(), Lsn{1});
  reopen();
  EXPECT_EQ(get(2, "before"), "v");
  EXPECT_EQ(get(1, "x"), "file");
}

TEST_F(OrderedStoreTest, HidesIngestedFilesFromEarlierSnapshots) {
  const StoreSnapshotPtr before = store->snapshot();
  write_file(1, file("1.sst"), {{"x", "file"}});
  ASSERT_OK(store->ingest(std::vector<IngestFile>{{1, file("1.sst")}}));
  EXPECT_EQ(get(1, "x", before), std::nullopt);
  EXPECT_EQ(get(1, "x"), "file");
}

TEST_F(OrderedStoreTest, TakesInNoFileWhenOneOfThemIsBad) {
  write_file(1, file("1.sst"), {{"x", "file"}});
  std::ofstream(file("2.sst")) << "this is no sorted file, and long enough to hold a footer of one, which it does not";
  EXPECT_FALSE(store->ingest(std::vector<IngestFile>{{1, file("1.sst")}, {2, file("2.sst")}}).ok());
  EXPECT_EQ(store->ingest(std::vector<IngestFile>{{1, file("absent.sst")}}).code(), Code::IoError);
  EXPECT_EQ(get(1, "x"), std::nullopt);
  ASSERT_TRUE(std::filesystem::exists(file("1.sst")));
  ASSERT_OK(store->ingest(std::vector<IngestFile>{{1, file("1.sst")}}));
  EXPECT_EQ(get(1, "x"), "file");
}

TEST_F(OrderedStoreTest, WritesSortedFilesOnlyInOrderAndNeverEmpty) {
  {
    auto writer = store->new_sorted_file(1, file("w.sst"));
    ASSERT_TRUE(writer.ok());
    EXPECT_EQ(store->new_sorted_file(1, file("w.sst")).status().code(), Code::AlreadyExists);
    ASSERT_OK((*writer)->put("b", as_bytes("1")));
    EXPECT_EQ((*writer)->put("b", as_bytes("2")).code(), Code::InvalidArgument);
    EXPECT_EQ((*writer)->put("a", as_bytes("2")).code(), Code::InvalidArgument);
  }
  EXPECT_FALSE(std::filesystem::exists(file("w.sst"))) << "an unfinished file stays";
  {
    auto writer = store->new_sorted_file(1, file("w.sst"));
    ASSERT_TRUE(writer.ok());
    EXPECT_EQ((*writer)->finish().status().code(), Code::InvalidArgument);
  }
  EXPECT_FALSE(std::filesystem::exists(file("w.sst")));
  auto writer = store->new_sorted_file(1, file("w.sst"));
  ASSERT_TRUE(writer.ok());
  ASSERT_OK((*writer)->put("a", as_bytes("1")));
  const auto bytes = (*writer)->finish();
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(*bytes, std::filesystem::file_size(file("w.sst")));
  EXPECT_EQ((*writer)->bytes(), *bytes);
  EXPECT_EQ((*writer)->put("b", as_bytes("1")).code(), Code::FailedPrecondition);
}

TEST_F(OrderedStoreTest, CountsItsBytes) {
  std::mt19937_64 random(1);
  const auto noise = [&] {
    std::string bytes(2000, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    return bytes;
  };
  for (int i = 0; i < 2000; ++i) ASSERT_OK(put(static_cast<Family>(1 + i % 3), std::to_string(10000 + i), noise()));
  EXPECT_GT(store->pressure().memtable_bytes, 3'500'000u);
  ASSERT_OK(store->flush());
  EXPECT_NEAR(static_cast<double>(store->bytes_on_disk()), 4e6, 4e5);
  for (Family family = 1; family < 4; ++family) {
    EXPECT_NEAR(static_cast<double>(store->approximate_bytes(family, "", "")), 1.33e6, 0.2e6) << int{family};
    EXPECT_NEAR(static_cast<double>(store->approximate_bytes(family, "10000", "11000")), 0.67e6, 0.4e6) << int{family};
  }
  EXPECT_EQ(store->approximate_bytes(1, "b", "a"), 0u);
  EXPECT_FALSE(store->pressure().write_stopped);
  EXPECT_OK(store->verify_checksums());
}

}  // namespace
}  // namespace mneme::storage
