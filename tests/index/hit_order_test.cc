// The order of many hits against that of a sort.
#include "hit_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <random>

#include "top_k.h"

namespace mneme::index {
namespace {

class HitOrders : public testing::Test {
 protected:
  void SetUp() override { random_.seed(seed_ = std::random_device{}()); }
  void TearDown() override {
    if (HasFailure()) std::printf("seed %u\n", seed_);
  }
  /// Of scores that `score` makes; every row once, in any order.
  template <class Score>
  std::vector<Hit> hits(std::size_t count, const Score& score) {
    std::vector<Hit> made(count);
    for (std::size_t i = 0; i < count; ++i) made[i] = {static_cast<Slot>(i), RowId{i * 7919 % 100'003}, score(i)};
    std::shuffle(made.begin(), made.end(), random_);
    return made;
  }
  static void expect_best(std::vector<Hit> of, std::size_t k) {
    std::vector<Hit> want = of;
    std::sort(want.begin(), want.end(), better);
    want.resize(std::min(k, want.size()));
    HitOrder order;
    for (int again = 0; again < 2; ++again) {  // its memory is used again
      std::vector<Hit> found = of;
      order.keep_best(found, k);
      ASSERT_EQ(found.size(), want.size());
      for (std::size_t i = 0; i < want.size(); ++i) {
        ASSERT_EQ(found[i].row, want[i].row) << "place " << i << " of " << of.size() << ", k " << k;
        ASSERT_EQ(found[i].slot, want[i].slot);
        ASSERT_EQ(found[i].score, want[i].score);
      }
    }
  }

  unsigned seed_ = 0;
  std::mt19937_64 random_;
};

TEST_F(HitOrders, AreThoseOfASortForEveryKindOfScores) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (const std::size_t count : {0UL, 1UL, 2UL, 95UL, 96UL, 97UL, 1000UL, 5000UL})
    for (const std::size_t k : {1UL, 10UL, 96UL, 800UL, 10'000UL}) {
      expect_best(hits(count, [&](std::size_t) { return uniform(random_); }), k);
      expect_best(hits(count, [&](std::size_t) { return 1 + uniform(random_) * 1e-6F; }), k);  // many are equal
      expect_best(hits(count, [&](std::size_t) { return 0.0F; }), k);
      expect_best(hits(count, [&](std::size_t i) { return i % 3 == 0 ? -kLargest : i % 3 == 1 ? kLargest : 0; }), k);
      expect_best(hits(count, [&](std::size_t i) { return uniform(random_) * (i % 2 == 0 ? 1e-40F : 1e30F); }), k);
    }
}

}  // namespace
}  // namespace mneme::index
