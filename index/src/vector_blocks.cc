#include "vector_blocks.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "mneme/base/bytes.h"

namespace mneme::index {
namespace {

constexpr std::size_t kBlockBytes = 4 * kMiB;
constexpr std::size_t kHugePage = 2 * kMiB;
constexpr std::size_t kPage = 4 * kKiB;

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
      scales_offset_(round_up(rows_per_block_ * dimension * sizeof(float), 64)) {}

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
  return blocks_.bytes_used() + full_bytes_ + touched_bytes(size_ - last * rows_per_block_, blocks_[last].page_bytes);
}

}  // namespace mneme::index
