// Kernels of dense batches: 8-bit codes of many rows with many queries at once, a product of matrices in integers.
// Compiled once per instruction set by Highway, chosen when the program runs; with the matrix instructions (AMX) of
// processors that have them, where the system lets a process use them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mneme::index {

/// Rows of one call, at most, and queries. Levels of the queries lie together: of all, four dimensions at a time.
inline constexpr std::size_t kDenseRows = 64, kDenseQueries = 16;
constexpr std::size_t dense_place(std::size_t query, std::size_t d, std::size_t dimension) {
  return query / kDenseQueries * kDenseQueries * dimension + (d / 4 * kDenseQueries + query % kDenseQueries) * 4 +
         d % 4;
}

/// What the product of a row and a query costs, in 1-bit estimates of a row; infinite where there are no instructions
/// that make it cheap.
float dense_cost();

/// While it lives its thread's dense_products() use matrix registers, where there are any and `with_tiles`; it must not
/// wait for tasks that make another.
class DenseScope {
 public:
  explicit DenseScope(bool with_tiles = true);
  ~DenseScope();
  DenseScope(const DenseScope&) = delete;
  DenseScope& operator=(const DenseScope&) = delete;
  static bool has_tiles();
};

/// out[r × kDenseQueries + q] = Σ codes[r × dimension + d] × level d of query q, |level| ≤ 127. `rows` is a multiple of
/// 16 and at most kDenseRows, `dimension` a multiple of 64.
void dense_products(const std::uint8_t* codes, std::size_t dimension, std::size_t rows, const std::int8_t* levels,
                    std::int32_t* out);

/// Of kDenseQueries queries, by query.
struct DenseQueries {
  const std::int32_t* biases;  ///< what is too much in each product
  const float* steps;          ///< a level's size
  const float* bases;          ///< what the query scores with the centroid of the rows' list
  const float* least;          ///< a score that counts is higher
};
/// Scores of rows by their products, scales and offsets (null: none). Bit q of reached[r] tells that one counts; it is
/// scores[r × kDenseQueries + q] then. The others are anything.
void dense_scores(const std::int32_t* products, std::size_t rows, const float* scales, const float* offsets,
                  const DenseQueries& queries, float* scores, std::uint16_t* reached);

}  // namespace mneme::index
