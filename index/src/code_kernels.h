// Kernels over compressed rows: a random rotation's butterflies, 1-bit codes against a query of four bits, and 8-bit
// codes against an 8-bit query. Compiled once per instruction set by Highway, chosen when the program runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mneme::index {

/// Rows of 1-bit codes come sixteen to a block, so that vectors hold the same word of several codes.
///
///   block := word[words][16]:u64   bit d % 64 of word[d / 64][i] = sign of dimension d of row i (1: not negative)
///            slope[16]:f32         ‖r‖² / ‖r‖₁ of the row's residual r
///            offset[16]:f32        what the row adds to its score whatever the query; squared L2 only
///
/// All parts are whole cache lines.
inline constexpr std::size_t kBlockRows = 16;
inline constexpr std::size_t kCacheLine = 64;

/// Bytes of one block for a dimension of words × 64.
constexpr std::size_t block_bytes(std::size_t words, bool with_offsets) {
  return words * kBlockRows * sizeof(std::uint64_t) + (with_offsets ? 2 : 1) * kBlockRows * sizeof(float);
}

/// A rotated query as four bit planes of a number in two's complement: q[d] ≈ step × (Σ p < 3: 2^p plane[p] bit d, less
/// 8 × plane[3] bit d).
struct OneBitQuery {
  const std::uint64_t* planes;  ///< planes[word × 4 + p]
  std::size_t words;
  float step;
  float sum_of_levels;  ///< Σ over d of the levels, −8 … 7 each
  bool with_offsets;    ///< what the blocks have
};

/// The rows of one list, and where the next that will be scanned begins (null: none), for what is fetched ahead.
struct OneBitList {
  const std::byte* blocks;
  std::size_t rows;
  std::uint32_t position;  ///< the first row's
  float base;              ///< what the query scores with the list's centroid
  const std::byte* next_blocks;
  std::size_t next_rows;
};

/// Rows that may be among the best, by three arrays. Kernels that append write whole vectors: kSpare places after the
/// last row are theirs to spoil.
struct Candidates {
  static constexpr std::size_t kSpare = 16;
  float* scores;             ///< estimates, the higher the better
  float* bases;              ///< what the query scores with the centroid of the row's list
  std::uint32_t* positions;  ///< in the segment
};

/// Estimates query · row for the rows of a list and appends those of more than `threshold` from out's arrays' `count`
/// on. @return how many there are then
/// Source: RaBitQ, arXiv:2405.12497, section 3.3: base + slope × Σ sign[d] × query[d].
std::size_t scan_one_bit(const OneBitQuery& query, const OneBitList& list, float threshold, const Candidates& out,
                         std::size_t count);

/// out[i] = Σ codes[positions[i] × stride + d] × query[d] for i < count; codes are unsigned, the query signed, and
/// |query| ≤ 127. `stride` is a multiple of 64. Prefetches ahead: positions may jump.
void eight_bit_products(const std::int8_t* query, const std::uint8_t* codes, std::size_t stride,
                        std::span<const std::uint32_t> positions, std::int32_t* out);

/// out[i] = Σ rows[i × stride + d] × query[d] for i < count. `stride` is a multiple of 64, and no sum of the products'
/// sizes reaches 2^31.
void sixteen_bit_products(const std::int16_t* query, const std::int16_t* rows, std::size_t count, std::size_t stride,
                          std::int32_t* out);

/// The k-th largest of `count` values, 1 ≤ k ≤ count; a value that is no number is the least of all. Spoils `values`,
/// which has room for Candidates::kSpare more, and as many of `scratch`. Cost: O(count), a few passes.
float kth_largest(float* values, std::size_t count, std::size_t k, float* scratch);

/// Drops the candidates that score less than `threshold`, or nothing that can be compared. @return how many are left
std::size_t keep_at_least(float threshold, const Candidates& rows, std::size_t count);

/// In place: for each i < half, (a[i], b[i]) becomes (a[i] + b[i], a[i] − b[i]) / √2.
void butterfly(float* a, float* b, std::size_t half);

}  // namespace mneme::index
