#include "search/npy.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "core/report.h"

namespace mneme::bench {
namespace {

// Version 1.0: magic 6, version 2, header length 2 (little-endian), header: a Python dictionary, padded to 64 bytes.
constexpr char kMagic[] = "\x93NUMPY";
constexpr std::size_t kPrefixBytes = 10;

std::string text_behind(const std::string& header, const std::string& key) {
  const std::size_t at = header.find("'" + key + "':");
  require(at != std::string::npos, "npy: no " + key);
  return header.substr(at + key.size() + 3);
}

}  // namespace

MappedNpy::MappedNpy(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  require(fd >= 0, "open " + path + ": " + std::strerror(errno));
  struct stat status {};
  require(::fstat(fd, &status) == 0 && status.st_size >= 64, path + ": too short for an array");
  map_bytes_ = static_cast<std::size_t>(status.st_size);
  map_ = ::mmap(nullptr, map_bytes_, PROT_READ, MAP_SHARED, fd, 0);
  ::close(fd);
  require(map_ != MAP_FAILED, "map " + path + ": " + std::strerror(errno));
  const char* bytes = static_cast<const char*>(map_);
  require(std::memcmp(bytes, kMagic, 6) == 0 && bytes[6] == 1, path + ": not a .npy of version 1");
  const std::size_t header_bytes = static_cast<unsigned char>(bytes[8]) + 256U * static_cast<unsigned char>(bytes[9]);
  require(kPrefixBytes + header_bytes <= map_bytes_, path + ": header beyond the end");
  const std::string header(bytes + kPrefixBytes, header_bytes);
  const std::string descr = text_behind(header, "descr");
  type_ = descr.substr(descr.find('\'') + 1, 3);
  require(text_behind(header, "fortran_order").find("False") < 3, path + ": not row-major");
  const std::string shape = text_behind(header, "shape");
  char* end = nullptr;
  rows_ = std::strtoull(shape.c_str() + shape.find('(') + 1, &end, 10);
  columns_ = std::strtoull(end + 1, nullptr, 10);
  data_ = static_cast<const std::byte*>(map_) + kPrefixBytes + header_bytes;
  const std::size_t item = type_ == "<f2" ? 2 : 4;
  require(rows_ > 0 && columns_ > 0 && kPrefixBytes + header_bytes + rows_ * columns_ * item <= map_bytes_,
          path + ": shorter than its shape");
}

MappedNpy::~MappedNpy() {
  if (map_ != nullptr) ::munmap(map_, map_bytes_);
}

MappedNpy::MappedNpy(MappedNpy&& other) noexcept { *this = std::move(other); }

MappedNpy& MappedNpy::operator=(MappedNpy&& other) noexcept {
  std::swap(map_, other.map_);
  std::swap(map_bytes_, other.map_bytes_);
  std::swap(rows_, other.rows_);
  std::swap(columns_, other.columns_);
  std::swap(data_, other.data_);
  std::swap(type_, other.type_);
  return *this;
}

NpyWriter::NpyWriter(std::string path, std::size_t rows, std::size_t columns, const std::string& type)
    : path_(std::move(path)), fd_(::open((path_ + ".part").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
  require(fd_ >= 0, "create " + path_ + ": " + std::strerror(errno));
  std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
                       std::to_string(columns) + "), }";
  while ((kPrefixBytes + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string prefix(kMagic, 6);
  for (const std::size_t byte : {std::size_t{1}, std::size_t{0}, header.size() % 256, header.size() / 256})
    prefix += static_cast<char>(byte);
  prefix += header;
  append(std::as_bytes(std::span(prefix)));
}

void NpyWriter::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    require(written > 0, "write " + path_ + ": " + std::strerror(errno));
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void NpyWriter::finish() {
  require(::close(fd_) == 0, "close " + path_ + ": " + std::strerror(errno));
  std::filesystem::rename(path_ + ".part", path_);
}

void write_npy(const std::string& path, std::span<const float> values, std::size_t columns) {
  NpyWriter writer(path, values.size() / columns, columns, "<f4");
  writer.append(std::as_bytes(values));
  writer.finish();
}

void write_npy(const std::string& path, std::span<const std::int32_t> values, std::size_t columns) {
  NpyWriter writer(path, values.size() / columns, columns, "<i4");
  writer.append(std::as_bytes(values));
  writer.finish();
}

float widen(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1FU, fraction = half & 0x3FFU;
  if (exponent == 0) {  // zero and denormals: fraction × 2⁻²⁴
    const float value = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -value : value;
  }
  const std::uint32_t wide = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | (wide << 23) | (fraction << 13));
}

}  // namespace mneme::bench
