// VectorBlocks: rows of float32 in mapped blocks of 4 MiB that never move, with one double beside each row.
//
//   block := rows_per_block() × dimension × float, contiguous, from a 2 MiB boundary
//            padding to 64 bytes
//            rows_per_block() × double: the row's scale (what it means is the index's business)
//
// Threads: one writer; a reader may use row i once it has learned of it as stable_vector.h says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

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

  /// Memory touched, pages rounded up. Writer only. O(log rows).
  std::uint64_t bytes_used() const;

 private:
  struct Block {
    float* memory;
    std::size_t page_bytes;  // what touching one byte of it takes
  };

  std::uint64_t touched_bytes(std::size_t rows, std::size_t page_bytes) const;

  const std::size_t dimension_;
  const std::size_t rows_per_block_;
  const std::size_t scales_offset_;
  StableVector<Block> blocks_;
  std::size_t size_ = 0;
  std::uint64_t full_bytes_ = 0;  // of the blocks before the last
};

}  // namespace mneme::index
