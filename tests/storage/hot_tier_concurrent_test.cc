// The hot tier under many readers, one writer, a cacher and an evictor at once.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <iostream>
#include <thread>
#include <vector>

#include "mneme/storage/hot_tier.h"
#include "node_samples.h"

namespace mneme::storage {
namespace {

constexpr SpaceId kSpace{1};
// Few nodes and no room for clean ones, so that every role meets every other at the same entries.
constexpr std::uint64_t kNodes = 32;
// The writer goes on until the others have done this much: however the threads are scheduled, they ran side by side.
constexpr std::uint64_t kReadsMin = 10'000, kEvictedMin = 2'000, kCachedMin = 600, kLsnMax = 3'000'000;

/// Stands for the log and the store: what was put last and what is applied, by node.
struct Truth {
  std::array<std::atomic<std::uint64_t>, kNodes> last_put{};  // lsn, set before the put
  std::array<std::atomic<std::uint64_t>, kNodes> visible{};   // lsn, set after the put
  std::atomic<std::uint64_t> applied{0};
  std::atomic<bool> done{false};
};

/// A record that says of which lsn it is.
NodeRecordPtr record_of(std::uint64_t n, std::uint64_t lsn) {
  Node node = sample_node(n);
  node.version = lsn;
  return NodeRecord::from_node(node);
}
std::uint64_t version_of(const HotEntry& entry) {
  return entry.record ? entry.record->field(NodeField::Version)->integer : entry.lsn.value;
}

TEST(HotTierThreads, ReadersSeeEveryChangeThatIsNotAppliedAndNeverAnOlderOne) {
  const auto hot = HotTier::create();
  Truth truth;
  std::atomic<std::uint64_t> reads{0}, evicted{0}, cached{0};

  const auto write = [&] {
    const auto others_are_done = [&] { return reads >= kReadsMin && evicted >= kEvictedMin && cached >= kCachedMin; };
    std::uint64_t lsn = 1;
    for (; lsn <= kLsnMax && !others_are_done(); ++lsn) {
      const std::uint64_t n = (lsn * 7919) % kNodes;
      truth.last_put[n] = lsn;
      hot->put(kSpace, sample_id(n), {lsn % 11 == 0 ? NodeRecordPtr() : record_of(n, lsn), {n}, {lsn}});
      truth.visible[n] = lsn;
      if (lsn % 5 == 0) truth.applied = lsn - 3;
      if (lsn % 16 == 0) std::this_thread::yield();  // six threads share what cores there are
    }
    truth.applied = lsn;
    truth.done = true;
  };
  const auto evict = [&] {
    while (!truth.done) {
      evicted += hot->evict(0, {truth.applied.load()});
      std::this_thread::yield();
    }
  };
  const auto read = [&](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    while (!truth.done) {
      const std::uint64_t n = random() % kNodes;
      const std::uint64_t visible = truth.visible[n];
      const auto found = hot->find(kSpace, sample_id(n));
      const std::uint64_t applied = truth.applied, last = truth.last_put[n];
      if (found) {
        ASSERT_LE(version_of(*found), last);
        ASSERT_GE(version_of(*found), visible) << "an older version than one that was seen";
        if (found->record) {
          ASSERT_EQ(found->record->id(), sample_id(n));
        }
      } else {
        ASSERT_LE(visible, applied) << "a change that the store does not have is gone";
      }
      // On fewer cores than threads a reader that never lets go keeps the writer waiting for its time slice.
      if (++reads % 64 == 0) std::this_thread::yield();
    }
  };
  // Reads the store, which holds what is applied, and caches it.
  const auto cache = [&] {
    std::mt19937_64 random(5);
    while (!truth.done) {
      const std::uint64_t n = random() % kNodes, state = truth.applied, last = truth.last_put[n];
      if (last == 0 || last > state || last % 11 == 0) {
        std::this_thread::yield();  // not in the store in its last version
        continue;
      }
      const NodeRecordPtr read_from_store = record_of(n, last);
      std::this_thread::yield();  // what may overtake a reader does so here
      cached += hot->insert_clean(kSpace, sample_id(n), {read_from_store, {n}, {state}});
    }
  };

  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < 3; ++i) threads.emplace_back(read, i);
  threads.emplace_back(cache);
  threads.emplace_back(evict);
  threads.emplace_back(write);
  for (std::thread& thread : threads) thread.join();
  std::cout << reads << " reads, " << evicted << " evicted, " << cached << " cached, " << truth.applied << " changes\n";
  EXPECT_GE(reads, kReadsMin);
  EXPECT_GE(evicted, kEvictedMin);
  EXPECT_GE(cached, kCachedMin);
  hot->evict(0, {truth.applied.load()});
  EXPECT_EQ(hot->entries(), 0u);
  EXPECT_EQ(hot->bytes(kSpace), 0u);
}

}  // namespace
}  // namespace mneme::storage
