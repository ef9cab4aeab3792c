// Products of many rows with many queries at once are those of a loop, and a large batch finds what each query finds.
#include "dense_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace mneme::index {
namespace {

class DenseKernels : public testing::Test {
 protected:
  std::mt19937_64 random_{20261121};
};

TEST_F(DenseKernels, MultiplyAsALoopDoes) {
  const DenseScope scope;
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

TEST_F(DenseKernels, ScoreAndTellWhatCounts) {
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

}  // namespace
}  // namespace mneme::index
