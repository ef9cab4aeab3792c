// CodeSegment: some slots of an index in compressed form, grouped by their nearest centroid.
//
//   list j   rows [begin(j), begin(j) + rows(j)) by position; begin(j) is a multiple of kCodeRows
//            in random order: the first rows of a list are a sample of it
//   by position: a lane of a block of 1-bit codes (code_kernels.h), 8-bit codes of the same residual, the slot
//
// A residual is the row (normalised for cosine), rotated, less its centroid. Both codes are of the residual, so that
// what they leave out is a part of its length, not of the row's.
//
// Immutable once made, in memory or from a file. There 8-bit codes are mapped and verified piece by piece, a piece being
// so many rows that it has about 64 KiB; the rest is verified and read when the file is opened. Threads: any.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "clusters.h"
#include "code_kernels.h"
#include "column.h"
#include "exact_rows.h"
#include "position_bitmap.h"
#include "rotation.h"
#include "section_file.h"

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
  /// Of the slots of [first, end) that are visible to `view`. Those that `parts`, of the same codebook, one after the
  /// other from `first` on, have codes of are copied. Uses oneTBB. @error Busy  no memory
  /// @error FailedPrecondition  `stop` became true @error Corruption  of a part
  static Result<std::shared_ptr<const CodeSegment>> encode(
      const ExactRows& rows, const CodebookPtr& codebook, Slot first, Slot end, const View& view,
      const std::atomic<bool>& stop, std::span<const std::shared_ptr<const CodeSegment>> parts = {});

  std::size_t rows() const { return rows_; }
  Slot first() const { return first_; }
  Slot end() const { return end_; }
  Lsn as_of() const { return as_of_; }
  /// Slots of the index that were dead when this was made.
  std::size_t dead_before() const { return dead_before_; }

  std::size_t lists() const { return list_rows_.size(); }
  std::size_t positions() const { return slots_.size(); }  ///< with those that pad the lists
  std::size_t list_rows(std::size_t list) const { return list_rows_[list]; }
  std::uint32_t list_begin(std::size_t list) const { return list_begin_[list]; }
  /// From its row `begin` on, a multiple of kBlockRows.
  const std::byte* list_blocks(std::size_t list, std::size_t begin = 0) const {
    return blocks_.data() + (list_begin_[list] + begin) * row_bytes_;
  }
  /// Cost: O(log lists).
  std::size_t list_of(std::uint32_t position) const;
  Slot slot(std::uint32_t position) const { return slots_[position]; }
  const std::uint8_t* eight_bit() const { return eight_bit_.data(); }
  float scale(std::uint32_t position) const { return scales_[position]; }
  const float* scales() const { return scales_.data(); }
  const float* offsets() const { return offsets_.empty() ? nullptr : offsets_.data(); }  ///< squared L2 only
  float offset(std::uint32_t position) const { return offsets_.empty() ? 0 : offsets_[position]; }

  /// Standard deviation of the 1-bit estimate of a unit query, the mean over rows.
  float one_bit_error() const { return one_bit_error_; }
  /// Of the 8-bit product with a unit query, from the codes of rows; and the mean length of a residual.
  float eight_bit_error() const { return eight_bit_error_; }
  float residual_length() const { return residual_length_; }

  /// The rows among `slots`, by position. @throws std::bad_alloc
  PositionBitmapPtr keep(const SlotBitmap& slots) const { return kept_.get(*this, slots); }

  std::uint64_t bytes_used() const;
  /// Of the 8-bit codes, where they lie in a file.
  std::uint64_t file_bytes() const { return mapping_ ? eight_bit_.size() : 0; }

  /// The 8-bit codes of these rows, or of all, may be read. @error Corruption  names file, piece and checksums
  Status verify(std::span<const std::uint32_t> positions) const;
  Status verify() const;
  /// Does not sync.
  Result<SectionsPlace> save(const IndexFile& file, const FileId& id) const;
  /// @param sign_bytes, lists  of the codebook. @error Corruption, VersionMismatch, Busy, IoError
  static Result<std::shared_ptr<const CodeSegment>> open(const SectionReader& file, std::size_t sign_bytes,
                                                         std::size_t lists, Metric metric);
  /// The 8-bit codes are read where they are touched, and leave memory again.
  void keep_out_of_memory() const {
    if (mapping_) mapping_->keep_out_of_memory();
  }

 private:
  struct Sums;
  struct Origin;
  static Result<std::vector<Origin>> origins_of(std::span<const Slot> slots,
                                                std::span<const std::shared_ptr<const CodeSegment>> parts);
  void make_room(bool with_offsets);
  CodeSegment() = default;
  std::vector<std::uint32_t> lay_out(std::span<const std::uint32_t> list_of, std::span<const Slot> slots,
                                     std::size_t lists);
  void encode_row(float* rotated, const float* centroid, std::uint32_t list, std::uint32_t position, Metric metric,
                  Sums& sums);
  void copy_row(const Origin& from, std::uint32_t position);
  std::size_t block_begin(std::uint32_t list, const PlaceInList& place) const {
    return (list_begin_[list] + place.first) * row_bytes_;
  }

  Slot first_ = 0, end_ = 0;
  Lsn as_of_;
  std::size_t rows_ = 0, dead_before_ = 0, sign_bytes_ = 0, row_bytes_ = 0;
  Column<std::uint32_t> list_begin_, list_rows_;
  Column<std::byte> blocks_;
  Column<std::uint8_t> eight_bit_;
  Column<float> scales_, offsets_;
  Column<Slot> slots_;
  float one_bit_error_ = 0, eight_bit_error_ = 0, residual_length_ = 0;

  // The arrays of a file but the 8-bit codes, by name. An array that is new belongs here and nowhere else.
  template <class Segment, class Use>
  static Status for_each_array(Segment& segment, const Use& use) {
    MNEME_TRY(use("begin", segment.list_begin_));
    MNEME_TRY(use("rows", segment.list_rows_));
    MNEME_TRY(use("onebit", segment.blocks_));
    MNEME_TRY(use("scales", segment.scales_));
    MNEME_TRY(use("offsets", segment.offsets_));
    return use("slots", segment.slots_);
  }
  std::size_t rows_per_piece() const;
  std::uint64_t sum_of_piece(std::size_t piece) const;
  Status verify_piece(std::size_t piece) const;
  Status check_shape(std::size_t lists, bool with_offsets) const;

  mutable PositionBitmapCache kept_;

  // Where the 8-bit codes are mapped.
  std::shared_ptr<Mapping> mapping_;
  std::string where_;
  std::vector<std::uint64_t> sums_;                         // of pieces of 8-bit codes
  std::unique_ptr<std::atomic<std::uint64_t>[]> verified_;  // one bit a piece
  mutable std::atomic<std::size_t> unverified_{0};
};
using CodeSegmentPtr = std::shared_ptr<const CodeSegment>;

/// The row of `slot`, as it is compressed: normalised for cosine, rotated. `scratch` and `out` have rotation.size().
void rotated_row(const ExactRows& rows, const Codebook& codebook, Slot slot, std::vector<float>& scratch, float* out);

}  // namespace mneme::index
