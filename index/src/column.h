// Column<T>: an array that is made in memory, or lies in a file that is mapped.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace mneme::index {

/// Whoever maps it keeps the mapping alive. Threads: any, once it is made.
template <class T>
class Column {
 public:
  void resize(std::size_t size) {
    own_.resize(size);
    all_ = own_;
  }
  void assign(std::size_t size, const T& value) {
    own_.assign(size, value);
    all_ = own_;
  }
  void copy(std::span<const T> values) {
    own_.assign(values.begin(), values.end());
    all_ = own_;
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
  std::size_t bytes_used() const { return own_.capacity() * sizeof(T); }

 private:
  std::vector<T> own_;
  std::span<const T> all_;
};

}  // namespace mneme::index
