// Column<T>: an array that is made in memory, or lies in a file that is mapped.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "huge_array.h"

namespace mneme::index {

/// Whoever maps it keeps the mapping alive. Threads: any, once it is made.
template <class T>
class Column {
 public:
  void resize(std::size_t size) {
    own_ = HugeArray<T>(size);
    all_ = own_;
  }
  void assign(std::size_t size, const T& value) {
    resize(size);
    std::fill_n(own_.data(), size, value);
  }
  void copy(std::span<const T> values) {
    resize(values.size());
    std::copy(values.begin(), values.end(), own_.data());
  }
  void map(std::span<const T> values) { all_ = values; }

  T& operator[](std::size_t i) { return own_[i]; }  ///< of one made in memory
  const T& operator[](std::size_t i) const { return all_[i]; }
  T* data() { return own_.data(); }
  const T* data() const { return all_.data(); }
  const T* begin() const { return all_.data(); }
  const T* end() const { return all_.data() + all_.size(); }
  std::size_t size() const { return all_.size(); }
  bool empty() const { return all_.empty(); }
  std::span<const T> span() const { return all_; }
  /// In memory; what lies in a file is not counted.
  std::size_t bytes_used() const { return own_.bytes_used(); }

 private:
  HugeArray<T> own_;
  std::span<const T> all_;
};

}  // namespace mneme::index
