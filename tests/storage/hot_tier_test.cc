// The hot tier: what readers see, what eviction takes, what it charges.
#include "mneme/storage/hot_tier.h"

#include <malloc.h>

#include <gtest/gtest.h>

#include "node_samples.h"

namespace mneme::storage {
namespace {

constexpr SpaceId kSpace{1}, kOther{2};

class Hot : public testing::Test {
 protected:
  static NodeRecordPtr record(std::uint64_t n, std::size_t content_bytes = 20) {
    Node node = sample_node(n);
    node.content = std::string(content_bytes, 'c');
    return NodeRecord::from_node(node);
  }
  void put(std::uint64_t n, std::uint64_t lsn, SpaceId space = kSpace) {
    hot->put(space, sample_id(n), {record(n), {n}, {lsn}});
  }
  void bury(std::uint64_t n, std::uint64_t lsn) { hot->put(kSpace, sample_id(n), {{}, {n}, {lsn}}); }
  bool cache(std::uint64_t n, std::uint64_t lsn) {
    return hot->insert_clean(kSpace, sample_id(n), {record(n), {n}, {lsn}});
  }
  bool holds(std::uint64_t n, SpaceId space = kSpace) { return hot->find(space, sample_id(n)).has_value(); }

  std::unique_ptr<HotTier> hot = HotTier::create();
};

TEST_F(Hot, FindsWhatWasPutInItsSpaceOnly) {
  put(1, 5);
  const auto found = hot->find(kSpace, sample_id(1));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->row, RowId{1});
  EXPECT_EQ(found->lsn, Lsn{5});
  EXPECT_EQ(found->record->id(), sample_id(1));
  EXPECT_FALSE(found->is_tombstone());
  EXPECT_FALSE(holds(2));
  EXPECT_FALSE(holds(1, kOther));
}

TEST_F(Hot, KeepsTheNewerOfTwoPuts) {
  put(1, 5);
  put(1, 7);
  put(1, 6);
  EXPECT_EQ(hot->find(kSpace, sample_id(1))->lsn, Lsn{7});
  put(1, 7);
  EXPECT_EQ(hot->entries(), 1u);
}

TEST_F(Hot, ARecordOutlivesItsEntry) {
  put(1, 1);
  const auto found = hot->find(kSpace, sample_id(1));
  EXPECT_TRUE(hot->drop(kSpace, sample_id(1), {1}));
  EXPECT_EQ(found->record->id(), sample_id(1));
}

TEST_F(Hot, TombstonesAreSeenButNotCounted) {
  put(1, 1);
  bury(1, 2);
  ASSERT_TRUE(holds(1));
  EXPECT_TRUE(hot->find(kSpace, sample_id(1))->is_tombstone());
  EXPECT_EQ(hot->entries(), 0u);
  EXPECT_EQ(hot->entries(kSpace), 0u);
  EXPECT_GT(hot->bytes(kSpace), 0u);
}

TEST_F(Hot, DropsOnlyTheChangeItWasAskedFor) {
  put(1, 5);
  EXPECT_FALSE(hot->drop(kSpace, sample_id(1), {4}));
  EXPECT_TRUE(holds(1));
  EXPECT_TRUE(hot->drop(kSpace, sample_id(1), {5}));
  EXPECT_FALSE(holds(1));
  EXPECT_FALSE(hot->drop(kSpace, sample_id(1), {5}));
}

TEST_F(Hot, NeverEvictsWhatIsNotApplied) {
  for (std::uint64_t n = 1; n <= 100; ++n) put(n, n);
  EXPECT_EQ(hot->evict(0, {40}), 40u);
  for (std::uint64_t n = 1; n <= 100; ++n) EXPECT_EQ(holds(n), n > 40) << n;
  EXPECT_EQ(hot->evict(0, {40}), 0u);
  EXPECT_EQ(hot->evict(0, {100}), 60u);
  EXPECT_EQ(hot->entries(), 0u);
}

TEST_F(Hot, AChangedEntryIsDirtyAgain) {
  put(1, 1);
  put(2, 2);
  EXPECT_EQ(hot->evict(~0ull, {2}), 0u);  // both are clean now
  put(1, 9);
  EXPECT_EQ(hot->evict(0, {8}), 1u);
  EXPECT_TRUE(holds(1));
  EXPECT_FALSE(holds(2));
}

TEST_F(Hot, EvictionStopsWhenThereIsRoom) {
  for (std::uint64_t n = 0; n < 1000; ++n) put(n, 1);
  const std::uint64_t half = hot->bytes() / 2;
  const std::size_t evicted = hot->evict(half, {1});
  EXPECT_LE(hot->bytes(), half);
  EXPECT_GT(evicted, 400u);
  EXPECT_LT(evicted, 700u);
}

TEST_F(Hot, GivesWhatWasReadASecondChance) {
  for (std::uint64_t n = 0; n < 1000; ++n) put(n, 1);
  for (std::uint64_t n = 0; n < 1000; n += 10) EXPECT_TRUE(holds(n));
  hot->evict(hot->bytes() / 2, {1});
  std::size_t read_kept = 0;
  for (std::uint64_t n = 0; n < 1000; n += 10) read_kept += holds(n);
  EXPECT_EQ(read_kept, 100u);
  EXPECT_GT(hot->evict(0, {1}), 0u);
  EXPECT_EQ(hot->entries(), 0u) << "in the end everything goes";
}

TEST_F(Hot, TombstonesGoOnceTheyAreApplied) {
  bury(1, 1);
  bury(2, 2);
  EXPECT_EQ(hot->evict(~0ull, {1}), 1u);
  EXPECT_FALSE(holds(1));
  EXPECT_TRUE(holds(2));
}

TEST_F(Hot, CachesACleanCopyWhereNothingIs) {
  EXPECT_TRUE(cache(1, 5));
  EXPECT_FALSE(cache(1, 6));
  EXPECT_EQ(hot->find(kSpace, sample_id(1))->lsn, Lsn{5});
  bury(2, 6);
  EXPECT_FALSE(cache(2, 6)) << "a tombstone is something";
  EXPECT_EQ(hot->evict(0, {6}), 2u);
}

// A reader took version 1 from the store; before it could cache it, version 2 was put, applied and evicted. The
// cached copy would have hidden version 2.
TEST_F(Hot, RefusesACopyThatANewerChangeMayHaveOvertaken) {
  put(1, 8);
  hot->evict(0, {8});
  EXPECT_FALSE(cache(1, 7));
  EXPECT_FALSE(holds(1));
  EXPECT_TRUE(cache(1, 8));
  EXPECT_EQ(hot->entries(), 1u);
}

TEST_F(Hot, CountsEachSpaceForItself) {
  put(1, 1);
  const std::uint64_t one = hot->bytes(kSpace);
  put(1, 2, kOther);
  const std::uint64_t other = hot->bytes(kOther);
  EXPECT_EQ(hot->bytes(kSpace), one);
  EXPECT_GT(other, 0u);
  put(2, 1);
  EXPECT_GT(hot->bytes(kSpace), one);
  EXPECT_EQ(hot->bytes(kOther), other);
  EXPECT_EQ(hot->entries(), 3u);
  EXPECT_EQ(hot->entries(kSpace), 2u);
  EXPECT_EQ(hot->entries(kOther), 1u);
  hot->drop_space(kSpace);
  EXPECT_EQ(hot->entries(kSpace), 0u);
  EXPECT_EQ(hot->bytes(kSpace), 0u);
  EXPECT_EQ(hot->bytes(kOther), other);
  EXPECT_TRUE(holds(1, kOther));
  EXPECT_EQ(hot->entries({99}), 0u);
}

std::uint64_t allocated_bytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// Whether malloc is the one that answers mallinfo2; a sanitizer brings its own.
bool allocator_can_be_asked() {
  const std::uint64_t before = allocated_bytes();
  void* volatile memory = std::malloc(kMiB);
  const bool counted = allocated_bytes() >= before + kMiB;
  std::free(memory);
  return counted;
}

TEST_F(Hot, ChargesWhatTheAllocatorGaveWithinFivePercent) {
  if (!allocator_can_be_asked()) GTEST_SKIP() << "the allocator does not say what it gave";
  for (const auto& [count, content_bytes] :
       {std::pair{20'000u, 0u}, std::pair{20'000u, 300u}, std::pair{5'000u, 4'000u}}) {
    const std::uint64_t allocated_before = allocated_bytes();
    hot = HotTier::create();
    const std::uint64_t charged_before = hot->bytes();
    for (std::uint64_t n = 0; n < count; ++n) hot->put(kSpace, sample_id(n), {record(n, content_bytes), {n}, {1}});
    for (std::uint64_t n = 0; n < count; n += 3) hot->put(kSpace, sample_id(n), {{}, {n}, {2}});
    hot->evict(hot->bytes() * 9 / 10, {1});
    const auto allocated = static_cast<double>(allocated_bytes() - allocated_before);
    const auto charged = static_cast<double>(hot->bytes() - charged_before);
    EXPECT_NEAR(charged / allocated, 1.0, 0.05) << count << " records of " << content_bytes;
    EXPECT_NEAR(static_cast<double>(hot->bytes(kSpace)) / charged, 0.9, 0.1) << "all but the buckets";
    hot.reset();
  }
}

}  // namespace
}  // namespace mneme::storage
