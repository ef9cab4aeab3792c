// A growing array whose elements never move: one writer appends, any number of readers index what was published.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace mneme {

/// Chunk i holds kFirst·2^i elements, so that a small array is small and 2^32 elements need 23 chunks. The writer must
/// publish an element (by an atomic store that readers load) before a reader asks for it.
template <class T>
class ChunkedArray {
 public:
  static constexpr std::size_t kFirst = 1024;

  ChunkedArray() = default;
  ~ChunkedArray() {
    for (std::size_t i = 0; i < chunks_.size(); ++i) delete[] chunks_[i].load(std::memory_order_relaxed);
  }
  ChunkedArray(const ChunkedArray&) = delete;
  ChunkedArray& operator=(const ChunkedArray&) = delete;

  /// The element at `index`, made with its chunk when absent. Writer only.
  T& grow_to(std::size_t index) {
    const auto [chunk, offset] = locate(index);
    T* base = chunks_[chunk].load(std::memory_order_relaxed);
    if (base == nullptr) {
      base = new T[kFirst << chunk]();
      chunks_[chunk].store(base, std::memory_order_release);
      bytes_.fetch_add((kFirst << chunk) * sizeof(T), std::memory_order_relaxed);
    }
    return base[offset];
  }
  const T& operator[](std::size_t index) const {
    const auto [chunk, offset] = locate(index);
    return chunks_[chunk].load(std::memory_order_acquire)[offset];
  }
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  struct Place {
    std::size_t chunk, offset;
  };
  static Place locate(std::size_t index) {
    const std::size_t scaled = index / kFirst + 1;
    const auto chunk = static_cast<std::size_t>(std::bit_width(scaled)) - 1;
    return {chunk, index - kFirst * ((std::size_t{1} << chunk) - 1)};
  }
  std::array<std::atomic<T*>, 24> chunks_{};
  std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace mneme
