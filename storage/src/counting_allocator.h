// An allocator that adds up what it holds, at the size the system's allocator really gave.
#pragma once

#include <malloc.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>

namespace mneme::storage {

/// Threads: any; the counter outlives every copy.
template <class T>
class CountingAllocator {
 public:
  using value_type = T;

  explicit CountingAllocator(std::atomic<std::uint64_t>& bytes) : bytes_(&bytes) {}
  template <class U>
  CountingAllocator(const CountingAllocator<U>& other) : bytes_(other.counter()) {}  // NOLINT: a rebind converts

  T* allocate(std::size_t n) {
    static_assert(alignof(T) <= alignof(std::max_align_t));
    if (n > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_array_new_length();
    void* const memory = std::malloc(n * sizeof(T));
    if (!memory) throw std::bad_alloc();
    bytes_->fetch_add(chunk_bytes(memory), std::memory_order_relaxed);
    return static_cast<T*>(memory);
  }

  void deallocate(T* memory, std::size_t) {
    bytes_->fetch_sub(chunk_bytes(memory), std::memory_order_relaxed);
    std::free(memory);
  }

  std::atomic<std::uint64_t>* counter() const { return bytes_; }
  friend bool operator==(const CountingAllocator& a, const CountingAllocator& b) { return a.bytes_ == b.bytes_; }

 private:
  // glibc keeps one size word before each chunk.
  static std::uint64_t chunk_bytes(void* memory) { return ::malloc_usable_size(memory) + sizeof(std::size_t); }

  std::atomic<std::uint64_t>* bytes_;
};

}  // namespace mneme::storage
