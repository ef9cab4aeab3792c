// Kernels over compressed rows: a random rotation's butterflies, 1-bit codes against a query of four bits, and 8-bit
// codes against an 8-bit query. Compiled once per instruction set by Highway, chosen when the program runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mneme::index {

/// Rows of 1-bit codes come eight to a block, so that one vector holds the same word of eight codes.
///
///   block := word[words][8]:u64   bit d % 64 of word[d / 64][i] = sign of dimension d of row i (1: not negative)
///            slope[8]:f32         ‖r‖² / ‖r‖₁ of the row's residual r
///            ones[8]:f32          slope × (2 × bits set − dimension)
///            offset[8]:f32        what the row adds to its score whatever the query; squared L2 only
inline constexpr std::size_t kBlockRows = 8;

/// Bytes of one block for a dimension of words × 64.
constexpr std::size_t block_bytes(std::size_t words, bool with_offsets) {
  return words * 64 + (with_offsets ? 3 : 2) * kBlockRows * sizeof(float);
}

/// A rotated query as four bit planes: q[d] ≈ lowest + step × Σ 2^p plane[p] bit d.
struct OneBitQuery {
  const std::uint64_t* planes;  ///< planes[word × 4 + p]
  std::size_t words;
  float step, lowest;
  float sum_of_levels;  ///< Σ over d of the four-bit levels
  bool with_offsets;    ///< what the blocks have
};

/// A row that may be among the best.
struct Candidate {
  float score;  ///< estimate, the higher the better
  float base;   ///< what the query scores with the centroid of its list
  std::uint32_t position;
};

/// Estimates query · row for `rows` rows from `blocks` on, and appends those of more than `threshold`. `position` is the
/// first row's. @return the end of `out`, which has room for all
/// Source: RaBitQ, arXiv:2405.12497, section 3.3: base + slope × Σ sign[d] × query[d].
Candidate* scan_one_bit(const OneBitQuery& query, const std::byte* blocks, std::size_t rows, std::uint32_t position,
                        float base, float threshold, Candidate* out);

/// out[i] = Σ codes[positions[i] × stride + d] × query[d] for i < count; codes are unsigned, the query signed, and
/// |query| ≤ 127. `stride` is a multiple of 64. Prefetches ahead: positions may jump.
void eight_bit_products(const std::int8_t* query, const std::uint8_t* codes, std::size_t stride,
                        std::span<const Candidate> rows, std::int32_t* out);

/// In place: for each i < half, (a[i], b[i]) becomes (a[i] + b[i], a[i] − b[i]) / √2.
void butterfly(float* a, float* b, std::size_t half);

}  // namespace mneme::index
