// Products of many rows with many queries at once are those of a loop, and a large batch finds what each query finds.
#include "dense_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "mneme/index/kernels.h"

namespace mneme::index {
namespace {

// By every instruction set, and by matrix registers where there are any.
class DenseKernels : public testing::TestWithParam<std::string> {
 protected:
  static constexpr const char* kTiles = "tiles";
  void SetUp() override {
    if (GetParam() == kTiles && !DenseScope::has_tiles()) GTEST_SKIP() << "no matrix registers here";
    if (GetParam() != kTiles) {
      ASSERT_TRUE(force_kernel_target(GetParam()));
    }
  }
  void TearDown() override { force_kernel_target(""); }

  std::mt19937_64 random_{20261121};
};

TEST_P(DenseKernels, MultiplyAsALoopDoes) {
  const DenseScope scope(GetParam() == kTiles);
  for (const std::size_t dimension : {64UL, 128UL, 384UL, 4096UL})
    for (const std::size_t rows : {16UL, 32UL, 48UL, 64UL}) {
      std::vector<std::uint8_t> codes(rows * dimension);
      for (auto& code : codes) code = static_cast<std::uint8_t>(random_());
      std::vector<std::vector<std::int8_t>> queries(kDenseQueries, std::vector<std::int8_t>(dimension));
      std::vector<std::int8_t> levels(kDenseQueries * dimension);
      for (std::size_t q = 0; q < kDenseQueries; ++q)
        for (std::size_t d = 0; d < dimension; ++d)
          levels[dense_place(q, d, dimension)] = queries[q][d] = static_cast<std::int8_t>(random_() % 255 - 127);
      std::vector<std::int32_t> products(rows * kDenseQueries);
      dense_products(codes.data(), dimension, rows, levels.data(), products.data());
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t q = 0; q < kDenseQueries; ++q) {
          std::int32_t sum = 0;
          for (std::size_t d = 0; d < dimension; ++d) sum += codes[r * dimension + d] * queries[q][d];
          ASSERT_EQ(products[r * kDenseQueries + q], sum) << "row " << r << ", query " << q << " of " << dimension;
        }
    }
}

TEST_P(DenseKernels, ScoreAndTellWhatCounts) {
  constexpr std::size_t kRows = 48;
  std::uniform_real_distribution<float> real(-1, 1);
  std::vector<std::int32_t> products(kRows * kDenseQueries), biases(kDenseQueries);
  for (auto& product : products) product = static_cast<std::int32_t>(random_() % 2'000'000) - 1'000'000;
  for (auto& bias : biases) bias = static_cast<std::int32_t>(random_() % 100'000);
  std::vector<float> scales(kRows), offsets(kRows), steps(kDenseQueries), bases(kDenseQueries), least(kDenseQueries);
  for (auto* values : {&scales, &offsets, &steps, &bases})
    for (float& value : *values) value = real(random_);
  for (float& value : least) value = 1e5F * real(random_);
  least[3] = -std::numeric_limits<float>::infinity();
  least[7] = std::numeric_limits<float>::infinity();
  for (const float* const offset : {static_cast<const float*>(nullptr), static_cast<const float*>(offsets.data())}) {
    std::vector<float> scores(kRows * kDenseQueries);
    std::vector<std::uint16_t> reached(kRows);
    dense_scores(products.data(), kRows, scales.data(), offset,
                 {biases.data(), steps.data(), bases.data(), least.data()}, scores.data(), reached.data());
    for (std::size_t r = 0; r < kRows; ++r)
      for (std::size_t q = 0; q < kDenseQueries; ++q) {
        const float score = scores[r * kDenseQueries + q];
        const double want = bases[q] +
                            static_cast<double>(scales[r]) * steps[q] * (products[r * kDenseQueries + q] - biases[q]) +
                            (offset != nullptr ? offset[r] : 0);
        const bool counts = (reached[r] >> q & 1) != 0;
        if (std::abs(want - least[q]) > 1e-3 * (1 + std::abs(want))) {
          ASSERT_EQ(counts, want > least[q]);
        }
        if (counts) {
          ASSERT_NEAR(score, want, 1e-5 * (1 + std::abs(want)));
        }
      }
  }
}

std::vector<std::string> ways() {
  std::vector<std::string> all = kernel_targets();
  all.emplace_back("tiles");
  return all;
}
INSTANTIATE_TEST_SUITE_P(Ways, DenseKernels, testing::ValuesIn(ways()), [](const auto& way) { return way.param; });

}  // namespace
}  // namespace mneme::index
