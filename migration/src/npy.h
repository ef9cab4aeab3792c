// Matrices of floats in NumPy's .npy files.
//
//   offset  size  field
//        0     6  "\x93NUMPY"
//        6     2  version: major, minor (1.0, 2.0 or 3.0)
//        8   2|4  header length, little-endian (2 bytes in version 1)
//        -     -  header: a Python dict {'descr': '<f4', 'fortran_order': False, 'shape': (n, d), } and spaces
//        -     -  n × d values, row by row
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mneme/storage/file_system.h"

namespace mneme::migration {

/// Reads a matrix: '<f2', '<f4' or '<f8', C order, two dimensions. f2 widens exactly; f8 is rounded to the nearest f4.
/// Threads: any number of readers.
class NpyReader {
 public:
  /// @error InvalidArgument  not such a file, or its length is not what the header says; names the file
  static Result<std::unique_ptr<NpyReader>> open(storage::FileSystem& fs, const std::filesystem::path& path);

  std::uint64_t rows() const { return rows_; }
  std::uint64_t columns() const { return columns_; }
  /// Rows [first, first + count), row by row; they must be there.
  Result<std::vector<float>> read(std::uint64_t first, std::uint64_t count) const;

 private:
  enum class Scalar : std::uint8_t { Half, Single, Double };
  NpyReader(std::string name, std::unique_ptr<storage::File> file) : name_(std::move(name)), file_(std::move(file)) {}
  Status read_header();
  Status parse_header(std::string_view header);
  Status refuse(const std::string& what) const;
  std::uint64_t scalar_bytes() const;

  const std::string name_;
  const std::unique_ptr<storage::File> file_;
  std::uint64_t rows_ = 0, columns_ = 0, data_offset_ = 0;
  Scalar scalar_ = Scalar::Single;
};

/// The float of a half's bits; NaN payloads are kept.
float float_of_half(std::uint16_t half);

/// The 128 bytes in front of the rows of a '<f4' matrix, whatever its size.
std::string npy_header(std::uint64_t rows, std::uint64_t columns);
inline constexpr std::size_t kNpyHeaderBytes = 128;

}  // namespace mneme::migration
