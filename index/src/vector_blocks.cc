#include "vector_blocks.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string>

#include "mneme/base/bytes.h"
#include "mneme/base/checksum.h"
#include "section_file.h"

namespace mneme::index {
namespace {

constexpr std::size_t kBlockBytes = 4 * kMiB;
constexpr std::size_t kHugePage = 2 * kMiB;
constexpr std::size_t kPage = 4 * kKiB;
constexpr std::size_t kPieceBytes = 64 * kKiB;

std::size_t round_up(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

// kBlockBytes at a kHugePage boundary: maps more and gives back both ends. MAP_FAILED on failure.
void* map_block() {
  const std::size_t mapped = kBlockBytes + kHugePage;
  void* memory = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return memory;
  char* const begin = static_cast<char*>(memory);
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  const std::size_t front = round_up(address, kHugePage) - address;
  if (front > 0) ::munmap(begin, front);
  if (front < kHugePage) ::munmap(begin + front + kBlockBytes, kHugePage - front);
  return begin + front;
}

// The first block of an index keeps small pages, for most indexes of many small tenants never fill it. Later ones
// ask for huge pages, which save a TLB miss per row and a half; without them the block works all the same.
std::size_t choose_pages([[maybe_unused]] void* block, [[maybe_unused]] bool is_first) {
#ifdef MADV_HUGEPAGE
  if (is_first) {
    ::madvise(block, kBlockBytes, MADV_NOHUGEPAGE);
    return kPage;
  }
  if (::madvise(block, kBlockBytes, MADV_HUGEPAGE) == 0) return kHugePage;
#endif
  return kPage;
}

}  // namespace

VectorBlocks::VectorBlocks(std::size_t dimension)
    : dimension_(dimension),
      rows_per_block_((kBlockBytes - 64) / (dimension * sizeof(float) + sizeof(double))),
      scales_offset_(round_up(rows_per_block_ * dimension * sizeof(float), 64)),
      rows_per_piece_(std::clamp<std::size_t>(kPieceBytes / (dimension * sizeof(float)), 1, rows_per_block_)),
      pieces_per_block_((rows_per_block_ + rows_per_piece_ - 1) / rows_per_piece_) {}

VectorBlocks::~VectorBlocks() {
  for (std::size_t b = 0; b < blocks_.size(); ++b) ::munmap(blocks_[b].memory, kBlockBytes);
}

Status VectorBlocks::reserve_one() {
  if (size_ < blocks_.size() * rows_per_block_) return ok_status();
  void* memory = blocks_.reserve_one() ? map_block() : MAP_FAILED;
  if (memory == MAP_FAILED)
    return {Code::Busy, "exact index: mapping block " + std::to_string(blocks_.size()) + " of " +
                            std::to_string(kBlockBytes) + " bytes for vectors: " + std::strerror(ENOMEM)};
  if (blocks_.size() > 0) full_bytes_ += touched_bytes(rows_per_block_, blocks_[blocks_.size() - 1].page_bytes);
  const std::size_t page_bytes = choose_pages(memory, blocks_.size() == 0);
  blocks_.append(static_cast<float*>(memory), page_bytes);
  return ok_status();
}

void VectorBlocks::append(std::span<const float> values, double scale) {
  const std::size_t block = size_ / rows_per_block_;
  const std::size_t row = size_ % rows_per_block_;
  std::memcpy(blocks_[block].memory + row * dimension_, values.data(), values.size_bytes());
  const_cast<double*>(scales(block, 0))[row] = scale;
  ++size_;
}

std::uint64_t VectorBlocks::touched_bytes(std::size_t rows, std::size_t page_bytes) const {
  if (rows == 0) return 0;
  const std::size_t back_begin = scales_offset_ / page_bytes * page_bytes;
  const std::size_t back = round_up(scales_offset_ + rows * sizeof(double), page_bytes) - back_begin;
  return std::min(round_up(rows * dimension_ * sizeof(float), page_bytes), back_begin) + back;
}

std::uint64_t VectorBlocks::bytes_used() const {
  if (blocks_.size() == 0) return 0;
  const std::size_t last = blocks_.size() - 1;
  const std::uint64_t all =
      blocks_.bytes_used() + full_bytes_ + touched_bytes(size_ - last * rows_per_block_, blocks_[last].page_bytes);
  return all - std::min(all, file_bytes());
}

Status VectorBlocks::save(const IndexFile& file, std::size_t first, std::size_t end) const {
  const std::size_t blocks = (end + rows_per_block_ - 1) / rows_per_block_;
  const std::uint64_t bytes = kFilePage + blocks * kBlockBytes;
  MNEME_ASSIGN(const std::uint64_t size, file.size());
  if (size < bytes) MNEME_TRY(file.resize(bytes));
  while (first < end) {
    const std::size_t block = first / rows_per_block_, at = first % rows_per_block_;
    const std::size_t n = std::min(rows_per_block_ - at, end - first);
    const std::uint64_t begin = kFilePage + block * kBlockBytes;
    MNEME_TRY(
        file.write(begin + at * dimension_ * sizeof(float), std::as_bytes(std::span(rows(block, at), n * dimension_))));
    MNEME_TRY(file.write(begin + scales_offset_ + at * sizeof(double), std::as_bytes(std::span(scales(block, at), n))));
    first += n;
  }
  return ok_status();
}

Status VectorBlocks::lie_in_file(const IndexFile& file, std::size_t blocks) {
  for (; blocks_in_file_ < blocks; ++blocks_in_file_) {
    const Block& block = blocks_[blocks_in_file_];
    MNEME_TRY(file.map_over(block.memory, kFilePage + blocks_in_file_ * kBlockBytes, kBlockBytes));
    file_bytes_.fetch_add(touched_bytes(rows_per_block_, block.page_bytes), std::memory_order_relaxed);
  }
  return ok_status();
}

void VectorBlocks::keep_out_of_memory() const {
  for (std::size_t block = 0; block < blocks_in_file_; ++block) {
    ::madvise(blocks_[block].memory, kBlockBytes, MADV_RANDOM);
    ::madvise(blocks_[block].memory, kBlockBytes, MADV_DONTNEED);
  }
}

Status VectorBlocks::restore(const IndexFile& file, std::size_t rows, std::vector<std::uint64_t> sums,
                             std::uint64_t seed) {
  MNEME_ASSIGN(const std::uint64_t size, file.size());
  const std::size_t blocks = (rows + rows_per_block_ - 1) / rows_per_block_;
  if (size < kFilePage + blocks * kBlockBytes || sums.size() != pieces(rows))
    return {Code::Corruption, file.path().string() + ": " + std::to_string(size) + " bytes and " +
                                  std::to_string(sums.size()) + " checksums, " +
                                  std::to_string(kFilePage + blocks * kBlockBytes) + " and " +
                                  std::to_string(pieces(rows)) + " are expected of " + std::to_string(rows) + " rows"};
  file_ = file.path().string();
  sums_ = std::move(sums);
  seed_ = seed;
  const std::size_t full = rows / rows_per_block_;
  // Memory first, then the file over it, block by block: a block has the same address and the same end either way.
  for (std::size_t block = 0; block < blocks; ++block) {
    size_ = block * rows_per_block_;
    MNEME_TRY(reserve_one());
    if (block >= full) continue;
    MNEME_TRY(lie_in_file(file, block + 1));
  }
  size_ = rows;
  restored_pieces_ = full * pieces_per_block_;
  verified_ = std::make_unique<std::atomic<std::uint64_t>[]>((restored_pieces_ + 63) / 64);
  unverified_ = restored_pieces_;
  if (full == blocks) return ok_status();
  auto* const memory = reinterpret_cast<std::byte*>(blocks_[full].memory);
  const std::size_t n = rows - full * rows_per_block_;
  const std::uint64_t begin = kFilePage + full * kBlockBytes;
  MNEME_TRY(file.read(begin, {memory, n * dimension_ * sizeof(float)}));
  MNEME_TRY(file.read(begin + scales_offset_, {memory + scales_offset_, n * sizeof(double)}));
  for (std::size_t piece = restored_pieces_; piece < pieces(rows); ++piece) MNEME_TRY(verify_piece(piece));
  return ok_status();
}

std::size_t VectorBlocks::pieces(std::size_t rows) const { return rows == 0 ? 0 : piece_of(rows - 1) + 1; }

std::size_t VectorBlocks::first_row_of(std::size_t piece) const {
  return piece / pieces_per_block_ * rows_per_block_ + piece % pieces_per_block_ * rows_per_piece_;
}

std::uint64_t VectorBlocks::sum_of_piece(std::size_t piece, std::size_t rows, std::uint64_t seed) const {
  const std::size_t first = first_row_of(piece);
  const std::size_t block = first / rows_per_block_, at = first % rows_per_block_;
  const std::size_t n = std::min({rows_per_piece_, rows_per_block_ - at, rows - first});
  // The piece's number is part of it: one in the place of another is damage.
  const std::uint64_t values =
      xxh3_64(std::as_bytes(std::span(this->rows(block, at), n * dimension_)), seed ^ (piece * 0x9E3779B97F4A7C15ULL));
  return xxh3_64(std::as_bytes(std::span(scales(block, at), n)), values);
}

Status VectorBlocks::verify_piece(std::size_t piece) const {
  const std::size_t rows = piece < restored_pieces_ ? SIZE_MAX : size_;
  const std::uint64_t computed = sum_of_piece(piece, rows, seed_);
  if (computed != sums_[piece]) {
    const std::size_t first = first_row_of(piece);
    const std::uint64_t at =
        kFilePage + first / rows_per_block_ * kBlockBytes + first % rows_per_block_ * dimension_ * sizeof(float);
    return {Code::Corruption, file_ + ": piece " + std::to_string(piece) + " at byte " + std::to_string(at) + ": " +
                                  two_sums(sums_[piece], computed)};
  }
  if (piece >= restored_pieces_) return ok_status();
  const std::uint64_t bit = std::uint64_t{1} << (piece & 63);
  if ((verified_[piece >> 6].fetch_or(bit, std::memory_order_acq_rel) & bit) == 0) unverified_.fetch_sub(1);
  return ok_status();
}

Status VectorBlocks::verify(std::size_t first, std::size_t end) const {
  if (is_verified() || first >= end) return ok_status();
  const std::size_t last = std::min(piece_of(end - 1) + 1, restored_pieces_);
  for (std::size_t piece = piece_of(first); piece < last; ++piece)
    if ((verified_[piece >> 6].load(std::memory_order_acquire) >> (piece & 63) & 1) == 0)
      MNEME_TRY(verify_piece(piece));
  return ok_status();
}

Status VectorBlocks::verify(std::span<const std::uint32_t> rows) const {
  if (is_verified()) return ok_status();
  for (const std::uint32_t row : rows) MNEME_TRY(verify(row, std::size_t{row} + 1));
  return ok_status();
}

}  // namespace mneme::index
