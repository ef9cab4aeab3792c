// Kernels around compressed rows: a random rotation's butterflies, 8-bit codes against an 8-bit query, centroids of 16
// bits, and the choice among candidates. Compiled once per instruction set by Highway, chosen when the program runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "scan_kernels.h"

namespace mneme::index {

/// The largest level of a query: 127, or 63 where the instructions that there are add pairs of products in sixteen bits.
int eight_bit_levels_max();
/// out[i] = Σ codes[positions[i] × stride + d] × query[d] for i < count; codes are unsigned, the query signed, and
/// |query| ≤ eight_bit_levels_max(). `stride` is a multiple of 64. Prefetches ahead: positions may jump.
void eight_bit_products(const std::int8_t* query, const std::uint8_t* codes, std::size_t stride,
                        std::span<const std::uint32_t> positions, std::int32_t* out);

/// out[i] = Σ rows[i × stride + d] × query[d] for i < count. `stride` is a multiple of 64, and no sum of the products'
/// sizes reaches 2^31.
void sixteen_bit_products(const std::int16_t* query, const std::int16_t* rows, std::size_t count, std::size_t stride,
                          std::int32_t* out);

/// The largest size of a value.
float largest_of(const float* values, std::size_t count);
/// out[i] = values[i] / step, rounded, no larger than `most`, which is at most 127. @return step
float to_eight_bit(const float* values, std::size_t count, int most, std::int8_t* out);
/// out[i] = values[i] × inverse, rounded; no product is above 32,767.
void to_sixteen_bit(const float* values, std::size_t count, float inverse, std::int16_t* out);

/// Whether a batch of 8-bit products costs well less than one of floats: where the processor has instructions for them.
bool eight_bit_batches_are_quick();
/// Levels of kCentroidBlock centroids lie together, each 128 too high: of all, four dimensions at a time.
inline constexpr std::size_t kCentroidBlock = 64;
constexpr std::size_t level_place(std::size_t centroid, std::size_t d, std::size_t dimension) {
  const std::size_t in_block = centroid % kCentroidBlock;
  return centroid / kCentroidBlock * kCentroidBlock * dimension + (d / 4 * kCentroidBlock + in_block) * 4 + d % 4;
}
/// out[r × blocks × kCentroidBlock + c] = Σ rows[r × dimension + d] × level d of centroid c, as it lies. `dimension` is a
/// multiple of 64, and |rows| ≤ 127.
void eight_bit_products_batch(const std::int8_t* rows, std::size_t row_count, const std::uint8_t* levels,
                              std::size_t blocks, std::size_t dimension, std::int32_t* out);

/// What a row may score at most with each centroid, by such products, and the most that it scores at least with one.
struct CentroidScores {
  const float* steps;          ///< by centroid, a level's size
  const float* less;           ///< what a score has less than the product
  const float* error_of_norm;  ///< how far a score may be off: so much for the row's norm …
  const float* error_of_step;  ///< … and so much for its step
};
/// @param bias  what is too much in each product @param most  by centroid; `count` is a multiple of 16
float bound_scores(const CentroidScores& of, const std::int32_t* products, std::size_t count, std::int32_t bias,
                   float step, float norm, float* most);

/// The k-th largest of `count` values, 1 ≤ k ≤ count; a value that is no number is the least of all. Spoils `values`,
/// which has room for Candidates::kSpare more, and as many of `scratch`. Cost: O(count), a few passes.
float kth_largest(float* values, std::size_t count, std::size_t k, float* scratch);

/// Drops the candidates that score less than `threshold`, or nothing that can be compared. @return how many are left
std::size_t keep_at_least(float threshold, const Candidates& rows, std::size_t count);

/// In place, for half = size / 2, size / 4, … 16, in each part of 2 × half values: the values a of its first half and b of
/// its second become (a + b) / √2 and (a − b) / √2. `size` is a power of two.
void butterflies(float* values, std::size_t size);

}  // namespace mneme::index
