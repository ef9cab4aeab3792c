// Arrays in NumPy's .npy files: two dimensions, little-endian, row-major.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mneme::bench {

/// A file mapped read-only for as long as this lives. Ends the program when the file is not such an array.
class MappedNpy {
 public:
  MappedNpy() = default;
  explicit MappedNpy(const std::string& path);
  ~MappedNpy();
  MappedNpy(MappedNpy&& other) noexcept;
  MappedNpy& operator=(MappedNpy&& other) noexcept;

  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_; }
  const std::string& type() const { return type_; }  ///< "<f4", "<f2", "<i4"
  template <class T>
  std::span<const T> values() const {
    return {reinterpret_cast<const T*>(data_), rows_ * columns_};
  }

 private:
  void* map_ = nullptr;
  std::size_t map_bytes_ = 0, rows_ = 0, columns_ = 0;
  const std::byte* data_ = nullptr;
  std::string type_;
};

/// Writes the file under another name and renames it, so that a file that is there is whole.
class NpyWriter {
 public:
  NpyWriter(std::string path, std::size_t rows, std::size_t columns, const std::string& type);
  void append(std::span<const std::byte> bytes);
  void finish();

 private:
  std::string path_;
  int fd_;
};

void write_npy(const std::string& path, std::span<const float> values, std::size_t columns);
void write_npy(const std::string& path, std::span<const std::int32_t> values, std::size_t columns);

/// IEEE 754 half precision to single, exactly.
float widen(std::uint16_t half);

}  // namespace mneme::bench
