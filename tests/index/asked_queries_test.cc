// The sample of what was asked is like what is asked: each query once, the unusual no more than others, the new soon.
#include "asked_queries.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace mneme::index {
namespace {

constexpr std::size_t kFull = 512;

class AskedQueriesTest : public testing::Test {
 protected:
  /// A query of two numbers: what it is called by, and what kind it is of.
  bool ask(float name, float kind, bool unusual) {
    const float values[] = {name, kind};
    return asked_.remember(values, unusual);
  }
  std::size_t of_kind(float kind) const {
    const std::vector<float> sample = asked_.sample();
    std::size_t count = 0;
    for (std::size_t at = 1; at < sample.size(); at += 2) count += sample[at] == kind ? 1 : 0;
    return count;
  }
  std::size_t size() const { return asked_.sample().size() / 2; }

  AskedQueries asked_;
  float next_ = 0;
};

TEST_F(AskedQueriesTest, HoldsAQueryOnceHoweverOftenItIsAsked) {
  for (int round = 0; round < 100; ++round)
    for (float name = 0; name < 40; ++name) ask(name, 0, false);
  EXPECT_EQ(size(), 40U);
}

TEST_F(AskedQueriesTest, IsNotMeasuredWhileTooFewDifferentQueriesWereAsked) {
  for (int i = 0; i < 10'000; ++i) ASSERT_FALSE(ask(static_cast<float>(i % 100), 0, false));
  for (std::size_t different = 101; different < EffortTable::kAskedMin; ++different) {
    for (int i = 0; i < 16; ++i) ASSERT_FALSE(ask(1000 + static_cast<float>(different), 0, false));
  }
  bool is_time = false;
  for (int i = 0; i < 16; ++i) is_time |= ask(999, 0, false);
  EXPECT_TRUE(is_time);
}

TEST_F(AskedQueriesTest, HoldsNoMoreThanItsMostAndTheNewestOfThem) {
  for (int i = 0; i < 100'000; ++i) ask(next_++, i < 50'000 ? 0 : 1, false);
  EXPECT_EQ(size(), kFull);
  EXPECT_EQ(of_kind(1), kFull);
}

TEST_F(AskedQueriesTest, HoldsUnusualQueriesByTheirShare) {
  for (int i = 0; i < 40'000; ++i) {
    const bool unusual = i % 33 == 0;
    ask(next_++, unusual ? 1 : 0, unusual);
    if (asked_.is_time_to_measure()) asked_.measured();
  }
  EXPECT_EQ(size(), kFull);
  EXPECT_GT(of_kind(1), kFull / 100);
  EXPECT_LT(of_kind(1), kFull * 8 / 100);
}

TEST_F(AskedQueriesTest, IsNewAndToBeMeasuredSoonAfterWhatIsAskedHasChanged) {
  for (int i = 0; i < 20'000; ++i) {
    ask(next_++, 0, false);
    if (asked_.is_time_to_measure()) asked_.measured();
  }
  std::size_t asked = 0;
  while (!ask(next_++, 1, ++asked % 3 == 0)) ASSERT_LT(asked, 10 * kFull);
  EXPECT_LE(asked, 3 * kFull);
  EXPECT_EQ(of_kind(1), kFull);
  asked_.measured();
  EXPECT_FALSE(asked_.is_time_to_measure());
}

TEST_F(AskedQueriesTest, IsMeasuredWhenThereAreEnoughThenWhenItIsFullThenEachTimeFourTimesLater) {
  std::vector<std::size_t> times;
  for (std::size_t i = 1; i <= 200'000; ++i) {
    if (!ask(next_++, 0, false)) continue;
    times.push_back(i);
    asked_.measured();
  }
  EXPECT_EQ(times,
            (std::vector<std::size_t>{EffortTable::kAskedMin, kFull, 4 * kFull, 16 * kFull, 64 * kFull, 256 * kFull}));
}

TEST_F(AskedQueriesTest, HasLetGoOfMostThatWasAskedFirstWhenItIsMeasuredAgain) {
  for (std::size_t i = 0; i < 4 * kFull; ++i) ask(next_++, i < kFull / 4 ? 1 : 0, false);
  EXPECT_EQ(of_kind(1), 0U);
}

}  // namespace
}  // namespace mneme::index
