// HugeArray<T>: numbers in zeroed memory of their own that lies on huge pages where it is large: what is read at random
// places, or by every query, costs few TLB misses.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace mneme::index {

/// Aligned to 4 KiB. Threads: as for a vector.
template <class T>
class HugeArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  HugeArray() = default;
  /// `size` zeros. @throws std::bad_alloc
  explicit HugeArray(std::size_t size) : size_(size) {
    if (size == 0) return;
    const std::size_t bytes = mapped_bytes();
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    if (bytes >= kHugePage) ::madvise(memory, bytes, MADV_HUGEPAGE);  // without them it works all the same
#endif
    data_ = static_cast<T*>(memory);
  }
  ~HugeArray() {
    if (data_ != nullptr) ::munmap(data_, mapped_bytes());
  }
  HugeArray(HugeArray&& from) noexcept
      : data_(std::exchange(from.data_, nullptr)), size_(std::exchange(from.size_, 0)) {}
  HugeArray& operator=(HugeArray&& from) noexcept {
    std::swap(data_, from.data_);
    std::swap(size_, from.size_);
    return *this;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  operator std::span<const T>() const { return {data_, size_}; }
  std::uint64_t bytes_used() const { return size_ == 0 ? 0 : mapped_bytes(); }

 private:
  static constexpr std::size_t kPage = 4096, kHugePage = 2u << 20;
  std::size_t mapped_bytes() const { return (size_ * sizeof(T) + kPage - 1) / kPage * kPage; }

  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace mneme::index
