// The order of lists against that of a sort, as far as it is asked for.
#include "list_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "mneme/index/kernels.h"

namespace mneme::index {
namespace {

constexpr float kLargest = std::numeric_limits<float>::max();

class ListOrders : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(force_kernel_target(GetParam()));
    random_.seed(seed_ = std::random_device{}());
  }
  void TearDown() override {
    force_kernel_target("");
    if (HasFailure()) std::printf("seed %u\n", seed_);
  }
  // Bases fall from rank to rank, and each list comes once.
  void expect_order(const std::vector<float>& bases, std::size_t ranks) {
    std::vector<float> sorted = bases;
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    order_.begin(bases);
    ASSERT_EQ(order_.size(), bases.size());
    std::set<std::uint32_t> seen;
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      const std::uint32_t list = order_.at(rank);
      ASSERT_LT(list, bases.size());
      ASSERT_EQ(bases[list], sorted[rank]) << "rank " << rank << " of " << bases.size();
      ASSERT_TRUE(seen.insert(list).second) << "list " << list << " again";
    }
  }

  unsigned seed_ = 0;
  std::mt19937_64 random_;
  ListOrder order_;  // its memory is used again
};

TEST_P(ListOrders, AreThoseOfASortForEveryKindOfBases) {
  std::normal_distribution<float> normal;
  const std::vector<std::function<float(std::size_t)>> kinds = {
      [&](std::size_t) { return normal(random_); },
      [&](std::size_t) { return 1 + normal(random_) * 1e-7F; },  // many are equal
      [&](std::size_t) { return 0.0F; },
      [&](std::size_t i) { return i % 3 == 0   ? -kLargest
                                  : i % 3 == 1 ? kLargest
                                               : 0; },
      [&](std::size_t i) { return i % 3 == 0 ? -kLargest : normal(random_); },
      [&](std::size_t) { return normal(random_) * 1e-42F; },
      [&](std::size_t i) { return i == 1 ? 1000 : normal(random_); },  // the others share a bucket
  };
  for (const std::size_t count : {1UL, 2UL, 15UL, 16UL, 17UL, 63UL, 64UL, 65UL, 514UL, 4099UL})
    for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
      SCOPED_TRACE("kind " + std::to_string(kind));
      std::vector<float> bases(count);
      for (std::size_t i = 0; i < count; ++i) bases[i] = kinds[kind](i);
      expect_order(bases, count);
      expect_order(bases, 1 + random_() % count);
    }
}

INSTANTIATE_TEST_SUITE_P(Targets, ListOrders, testing::ValuesIn(kernel_targets()),
                         [](const auto& target) { return target.param; });

}  // namespace
}  // namespace mneme::index
