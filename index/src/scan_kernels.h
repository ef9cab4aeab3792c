// The scan of 1-bit codes: estimates of many rows' scores with one query, by table lookups. Compiled once per
// instruction set by Highway, chosen when the program runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mneme::index {

/// Lists of 1-bit codes are padded to kCodeRows rows and cut into blocks of kBlockRows, the last of which is as wide as
/// what is left. A block of w rows, of dimension bytes × 8:
///
///   signs[bytes][w]:u8   bit d % 8 of signs[d / 8][lane(i)] = sign of dimension d of row i (1: not negative)
///   slope[w]:f32         ‖r‖² / ‖r‖₁ of the row's residual r
///   offset[w]:f32        what the row adds to its score whatever the query; squared L2 only
///
/// with lane(i) = 2i for i < w / 2, else 2 (i − w / 2) + 1: sums of even and of odd lanes are then rows in order.
/// All parts are whole cache lines.
inline constexpr std::size_t kCodeRows = 16;
inline constexpr std::size_t kBlockRows = 64;
inline constexpr std::size_t kCacheLine = 64;

/// What a row of `bytes` bytes of signs takes in a block.
constexpr std::size_t row_bytes(std::size_t bytes, bool with_offsets) {
  return bytes + (with_offsets ? 2 : 1) * sizeof(float);
}
constexpr std::size_t lane_of(std::size_t row, std::size_t width) {
  return row < width / 2 ? 2 * row : 2 * (row - width / 2) + 1;
}

/// Rows of a list with those that pad it.
constexpr std::size_t padded_rows(std::size_t rows) { return (rows + kCodeRows - 1) / kCodeRows * kCodeRows; }
struct PlaceInList {
  std::size_t first;  ///< row of the block
  std::size_t width;  ///< of the block
  std::size_t row;    ///< in the block
};
constexpr PlaceInList place_in_list(std::size_t row, std::size_t rows) {
  const std::size_t first = row / kBlockRows * kBlockRows, left = padded_rows(rows) - first;
  return {first, left < kBlockRows ? left : kBlockRows, row - first};
}

struct ResidualSums {
  double sizes = 0, squares = 0;  ///< Σ |r[d]|, Σ r[d]²
};
/// The standard error of the estimate of a residual of `dimension` values for a query of length 1, whose direction is a
/// random one.
double one_bit_error(const ResidualSums& residual, std::size_t dimension);
/// Signs and slope of a residual of `bytes` × 8 values, into its place of a block.
ResidualSums put_one_bit(const float* residual, std::size_t bytes, std::byte* block, const PlaceInList& place);

/// A rotated query as sums of its values' sizes for all signs of a few dimensions, in levels of step / 2.
struct OneBitQuery {
  std::vector<std::uint8_t> tables;  ///< in the order that the instruction set looks them up
  std::size_t bytes = 0;             ///< of a row's signs
  float step = 0;
  float sum_of_sizes = 0;     ///< Σ |q[d]|
  bool with_offsets = false;  ///< what the blocks have
};

/// The tables of `query`, of `bytes` × 8 values, in levels so large that no sum of a row's reaches 2^16.
void make_tables(const float* query, std::size_t bytes, OneBitQuery& out);

/// The rows of one list.
struct OneBitList {
  const std::byte* blocks;
  std::size_t rows;
  std::uint32_t position;  ///< the first row's
  float base;              ///< what the query scores with the list's centroid
  /// Which rows are wanted, a mask per kCodeRows of them, the lowest bit the first; null: all.
  const std::uint16_t* wanted = nullptr;
  const std::byte* ahead = nullptr;  ///< blocks that are read next, and fetched meanwhile; any address
};

/// Rows that may be among the best, by three arrays. Kernels that append write whole vectors: kSpare places after the
/// last row are theirs to spoil.
struct Candidates {
  static constexpr std::size_t kSpare = 16;
  float* scores;             ///< estimates, the higher the better
  float* bases;              ///< what the query scores with the centroid of the row's list
  std::uint32_t* positions;  ///< in the segment
};

/// How the estimates of some rows lie around the score of their centroid.
struct Spread {
  float sum = 0, squares = 0;  ///< of the differences
  std::size_t rows = 0;
};

/// Estimates query · row for the wanted rows of a list and appends those of more than `threshold` from out's arrays' `count`
/// on. @param spread  the wanted rows are added, whatever they score
/// @return how many there are then
/// Source: RaBitQ, arXiv:2405.12497, section 3.3: base + slope × Σ sign[d] × query[d]; the lookups, Quick ADC,
/// arXiv:1704.07355, with 64 entries a table where the processor has them.
std::size_t scan_one_bit(const OneBitQuery& query, const OneBitList& list, float threshold, const Candidates& out,
                         std::size_t count, Spread* spread = nullptr);

}  // namespace mneme::index
