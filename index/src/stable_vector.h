// StableVector<T>: grows at the end, never moves an element, and lets readers in while the writer appends.
//
// Elements lie in segments of doubling size: 256, 256, 512, 1024, … A reader may use element i once it has learned of
// it by an acquire load of something the writer stored, with release, after append() returned.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

namespace mneme::index {

template <class T>
class StableVector {
  static_assert(std::is_trivially_destructible_v<T>, "segments are given back without running destructors");

 public:
  StableVector() = default;
  StableVector(const StableVector&) = delete;
  StableVector& operator=(const StableVector&) = delete;
  ~StableVector() {
    for (std::size_t s = 0; s < kSegments; ++s)
      if (T* memory = segments_[s].load(std::memory_order_relaxed)) give_back(memory, s);
  }

  /// Makes room for one more. Writer only. @return false when the system has no memory; nothing has changed then
  bool reserve_one() {
    const std::size_t s = segment_of(size_);
    if (segments_[s].load(std::memory_order_relaxed) != nullptr) return true;
    T* memory = take(s);
    if (memory == nullptr) return false;
    segments_[s].store(memory, std::memory_order_release);
    return true;
  }

  /// Appends; reserve_one() has succeeded. Writer only.
  template <class... Args>
  T& append(Args&&... args) {
    T* place = address(size_);
    ++size_;
    return *::new (static_cast<void*>(place)) T{std::forward<Args>(args)...};
  }

  T& operator[](std::size_t i) { return *address(i); }
  const T& operator[](std::size_t i) const { return *address(i); }

  /// Elements appended. Writer only.
  std::size_t size() const { return size_; }

  /// Memory in use: whole small segments, and of mapped ones the pages that were touched. Writer only.
  std::uint64_t bytes_used() const {
    std::uint64_t bytes = 0;
    for (std::size_t s = 0; s < kSegments && begin_of(s) < size_; ++s) {
      const std::uint64_t touched = std::min(size_ - begin_of(s), count_of(s)) * sizeof(T);
      bytes += is_mapped(s) ? (touched + kPage - 1) / kPage * kPage : bytes_of(s);
    }
    return bytes;
  }

 private:
  static constexpr std::size_t kFirst = 256;
  static constexpr std::size_t kSegments = 56;  // more than any address space holds
  static constexpr std::size_t kMappedFrom = 64 * 1024;
  static constexpr std::size_t kPage = 4096;

  static std::size_t segment_of(std::size_t i) { return static_cast<std::size_t>(std::bit_width(i / kFirst)); }
  static std::size_t begin_of(std::size_t s) { return s == 0 ? 0 : kFirst << (s - 1); }
  static std::size_t count_of(std::size_t s) { return s == 0 ? kFirst : kFirst << (s - 1); }
  static std::size_t bytes_of(std::size_t s) { return count_of(s) * sizeof(T); }
  static bool is_mapped(std::size_t s) { return bytes_of(s) >= kMappedFrom; }

  T* address(std::size_t i) const {
    const std::size_t s = segment_of(i);
    return segments_[s].load(std::memory_order_acquire) + (i - begin_of(s));
  }

  // Large segments are mapped, so that the part not yet written takes no memory.
  static T* take(std::size_t s) {
    if (!is_mapped(s)) return static_cast<T*>(::operator new (bytes_of(s), std::align_val_t{alignof(T)}, std::nothrow));
    void* memory = ::mmap(nullptr, bytes_of(s), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? nullptr : static_cast<T*>(memory);
  }
  static void give_back(T* memory, std::size_t s) {
    if (is_mapped(s))
      ::munmap(memory, bytes_of(s));
    else
      ::operator delete (static_cast<void*>(memory), std::align_val_t{alignof(T)});
  }

  std::array<std::atomic<T*>, kSegments> segments_{};
  std::size_t size_ = 0;
};

}  // namespace mneme::index
