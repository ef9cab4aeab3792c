// VectorBlocks: rows of float32 in mapped blocks of 4 MiB that never move, with one double beside each row.
//
//   block := rows_per_block() × dimension × float, contiguous, from a 2 MiB boundary
//            padding to 64 bytes
//            rows_per_block() × double: the row's scale (what it means is the index's business)
//
// A block that is full can be saved to a file and then lie there: the file's pages take the place of the memory, at the
// same address. Block b is at byte kFilePage + b × 4 MiB of the file.
//
//   piece := rows_per_piece() rows of a block with their scales, about 64 KiB; the last of a block may be shorter
//
// What was restored from a file is verified piece by piece before it is used for the first time: whoever reads rows
// asks verify() first. It costs one load once everything has been verified.
//
// Threads: one writer; a reader may use row i once it has learned of it as stable_vector.h says. save() and
// lie_in_file() from one thread at a time, beside both.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "index_file.h"
#include "mneme/base/result.h"
#include "stable_vector.h"

namespace mneme::index {

class VectorBlocks {
 public:
  explicit VectorBlocks(std::size_t dimension);
  ~VectorBlocks();
  VectorBlocks(const VectorBlocks&) = delete;
  VectorBlocks& operator=(const VectorBlocks&) = delete;

  /// Makes room for one more row. @error Busy  the system has no memory to map
  Status reserve_one();
  /// Appends; reserve_one() has succeeded.
  void append(std::span<const float> values, double scale);

  std::size_t rows_per_block() const { return rows_per_block_; }
  /// The rows of a block from row `first_row` (of the block) on, contiguous up to the block's end.
  const float* rows(std::size_t block, std::size_t first_row) const {
    return blocks_[block].memory + first_row * dimension_;
  }
  const double* scales(std::size_t block, std::size_t first_row) const {
    return reinterpret_cast<const double*>(reinterpret_cast<const char*>(blocks_[block].memory) + scales_offset_) +
           first_row;
  }
  const float* row(std::size_t i) const { return rows(i / rows_per_block_, i % rows_per_block_); }
  double scale(std::size_t i) const { return *scales(i / rows_per_block_, i % rows_per_block_); }

  /// Memory touched, pages rounded up, without what lies in a file. Writer only. O(log rows).
  std::uint64_t bytes_used() const;
  /// Of blocks that lie in a file. Threads: any.
  std::uint64_t file_bytes() const { return file_bytes_.load(std::memory_order_relaxed); }

  /// Writes rows [first, end) and their scales. Does not sync.
  Status save(const IndexFile& file, std::size_t first, std::size_t end) const;
  /// The pages of `file` take the place of the memory of the full blocks below `blocks`, which were saved and synced.
  Status lie_in_file(const IndexFile& file, std::size_t blocks);
  /// Pages of blocks that lie in a file are read one by one where they are touched, and leave memory now.
  void keep_out_of_memory() const;
  /// Takes `rows` rows from a file, in an empty object. `sums` are of their pieces, made with `seed`. Rows of a last
  /// block that is not full are read and verified at once. @error Corruption, Busy, IoError
  Status restore(const IndexFile& file, std::size_t rows, std::vector<std::uint64_t> sums, std::uint64_t seed);

  std::size_t rows_per_piece() const { return rows_per_piece_; }
  /// Of the first `rows` rows: a full block counts all of its pieces.
  std::size_t pieces(std::size_t rows) const;
  std::size_t piece_of(std::size_t row) const {
    return row / rows_per_block_ * pieces_per_block_ + row % rows_per_block_ / rows_per_piece_;
  }
  /// The checksum of a piece, of as much of it as lies below row `rows`.
  std::uint64_t sum_of_piece(std::size_t piece, std::size_t rows, std::uint64_t seed) const;

  /// Rows [first, end), or those in `rows`, may be read. @error Corruption  names file, piece and checksums
  Status verify(std::size_t first, std::size_t end) const;
  Status verify(std::span<const std::uint32_t> rows) const;
  bool is_verified() const { return unverified_.load(std::memory_order_acquire) == 0; }

 private:
  struct Block {
    float* memory;
    std::size_t page_bytes;  // what touching one byte of it takes
  };

  std::uint64_t touched_bytes(std::size_t rows, std::size_t page_bytes) const;
  std::size_t first_row_of(std::size_t piece) const;
  Status verify_piece(std::size_t piece) const;

  const std::size_t dimension_;
  const std::size_t rows_per_block_;
  const std::size_t scales_offset_;
  const std::size_t rows_per_piece_, pieces_per_block_;
  StableVector<Block> blocks_;
  std::size_t size_ = 0;
  std::uint64_t full_bytes_ = 0;  // of the blocks before the last
  std::size_t blocks_in_file_ = 0;
  std::atomic<std::uint64_t> file_bytes_{0};

  // Of what was restored. Immutable but for the marks.
  std::string file_;                 // its name
  std::size_t restored_pieces_ = 0;  // those in blocks that lie in the file
  std::vector<std::uint64_t> sums_;
  std::uint64_t seed_ = 0;
  std::unique_ptr<std::atomic<std::uint64_t>[]> verified_;  // one bit a piece
  mutable std::atomic<std::size_t> unverified_{0};
};

}  // namespace mneme::index
