// CodeSegment: some slots of an index in compressed form, grouped by their nearest centroid.
//
//   list j   rows [begin(j), begin(j) + rows(j)) by position; begin(j) is a multiple of kBlockRows
//   by position: a lane of a block of 1-bit codes (code_kernels.h), 8-bit codes of the same residual, the slot
//
// A residual is the row (normalised for cosine), rotated, less its centroid. Both codes are of the residual, so that
// what they leave out is a part of its length, not of the row's.
//
// Immutable once made. Threads: any.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "clusters.h"
#include "code_kernels.h"
#include "exact_rows.h"
#include "huge_array.h"
#include "rotation.h"

namespace mneme::index {

/// How the rows of an index are compressed; segments that share one share lists.
struct Codebook {
  Metric metric;
  Rotation rotation;
  Clusters clusters;  // of rotated rows
};
using CodebookPtr = std::shared_ptr<const Codebook>;

class CodeSegment {
 public:
  /// Of the slots of [first, end) that are visible to `view`. Uses oneTBB. @error Busy  no memory
  /// @error FailedPrecondition  `stop` became true
  static Result<std::shared_ptr<const CodeSegment>> encode(const ExactRows& rows, const CodebookPtr& codebook,
                                                           Slot first, Slot end, const View& view,
                                                           const std::atomic<bool>& stop);

  std::size_t rows() const { return rows_; }
  Slot first() const { return first_; }
  Slot end() const { return end_; }
  Lsn as_of() const { return as_of_; }
  /// Slots of the index that were dead when this was made.
  std::size_t dead_before() const { return dead_before_; }

  std::size_t list_rows(std::size_t list) const { return list_rows_[list]; }
  std::uint32_t list_begin(std::size_t list) const { return list_begin_[list]; }
  const std::byte* list_blocks(std::size_t list) const { return blocks_.data() + list_begin_[list] * row_bytes_; }
  /// Cost: O(log lists).
  std::size_t list_of(std::uint32_t position) const;
  Slot slot(std::uint32_t position) const { return slots_[position]; }
  const std::uint8_t* eight_bit() const { return eight_bit_.data(); }
  float scale(std::uint32_t position) const { return scales_[position]; }
  float offset(std::uint32_t position) const { return offsets_.empty() ? 0 : offsets_[position]; }

  /// Standard deviation of the 1-bit estimate of a unit query, the mean over rows.
  float one_bit_error() const { return one_bit_error_; }
  /// Of the 8-bit product with a unit query, from the codes of rows; and the mean length of a residual.
  float eight_bit_error() const { return eight_bit_error_; }
  float residual_length() const { return residual_length_; }

  std::uint64_t bytes_used() const;

 private:
  struct Sums;
  CodeSegment() = default;
  void lay_out(std::span<const std::uint32_t> list_of, std::span<const Slot> slots, std::size_t lists);
  void encode_row(const float* rotated, const float* centroid, std::uint32_t list, std::uint32_t position,
                  Metric metric, Sums& sums);

  Slot first_ = 0, end_ = 0;
  Lsn as_of_;
  std::size_t rows_ = 0, dead_before_ = 0, sign_bytes_ = 0, row_bytes_ = 0;
  std::vector<std::uint32_t> list_begin_, list_rows_;
  HugeArray<std::byte> blocks_;
  HugeArray<std::uint8_t> eight_bit_;
  HugeArray<float> scales_, offsets_;
  HugeArray<Slot> slots_;
  float one_bit_error_ = 0, eight_bit_error_ = 0, residual_length_ = 0;
};
using CodeSegmentPtr = std::shared_ptr<const CodeSegment>;

/// The row of `slot`, as it is compressed: normalised for cosine, rotated. `scratch` and `out` have rotation.size().
void rotated_row(const ExactRows& rows, const Codebook& codebook, Slot slot, std::vector<float>& scratch, float* out);

}  // namespace mneme::index
