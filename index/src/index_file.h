// IndexFile and Mapping: the files that an index saves itself to, as the system gives them.
//
// The index does not know the storage folder, and what it needs of a file is more than bytes: parts of it stand in for
// memory that readers hold pointers into.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mneme/base/bytes.h"
#include "mneme/base/result.h"

namespace mneme::index {

/// Bytes of a file in the address space, read-only. Threads: any.
class Mapping {
 public:
  Mapping() = default;
  ~Mapping();
  Mapping(Mapping&& other) noexcept : Mapping() { swap(other); }
  Mapping& operator=(Mapping&& other) noexcept {
    swap(other);
    return *this;
  }
  ByteView bytes() const { return {begin_, size_}; }
  /// Its pages are read one by one where they are touched, and leave memory again: for what is rarely needed.
  void keep_out_of_memory() const;

 private:
  friend class IndexFile;
  void swap(Mapping& other) {
    std::swap(begin_, other.begin_);
    std::swap(size_, other.size_);
  }
  const std::byte* begin_ = nullptr;
  std::size_t size_ = 0;
};

/// An open file. Errors name the file, the call and the system's words; ENOSPC and EDQUOT are NoSpace.
/// Threads: calls on disjoint ranges may run at the same time.
class IndexFile {
 public:
  static Result<std::shared_ptr<IndexFile>> create(const std::filesystem::path& path);  ///< empty; replaces
  /// @error NotFound
  static Result<std::shared_ptr<IndexFile>> open(const std::filesystem::path& path, bool writable);
  ~IndexFile();
  IndexFile(const IndexFile&) = delete;
  IndexFile& operator=(const IndexFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  Result<std::uint64_t> size() const;
  Status resize(std::uint64_t bytes) const;
  Status write(std::uint64_t offset, ByteView bytes) const;
  /// All of `into`. @error Corruption  the file ends before
  Status read(std::uint64_t offset, std::span<std::byte> into) const;
  Status sync() const;
  /// `offset` is a multiple of 4096; the range lies within the file, or touching it would end the process.
  /// @error Corruption  the file ends before
  Result<Mapping> map(std::uint64_t offset, std::uint64_t bytes) const;
  /// Puts the file's bytes in the place of the memory at `address`, which held the same: whoever reads there goes on.
  Status map_over(void* address, std::uint64_t offset, std::uint64_t bytes) const;

 private:
  IndexFile(std::filesystem::path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  Status check_end(std::uint64_t offset, std::uint64_t bytes) const;
  const std::filesystem::path path_;
  const int descriptor_;
};

Status make_directory(const std::filesystem::path& path);
Status sync_directory(const std::filesystem::path& path);
/// ok when it is not there.
Status remove_file(const std::filesystem::path& path);
/// Names in `directory` that begin with `prefix`, sorted; none where there is no such directory.
Result<std::vector<std::string>> list_files(const std::filesystem::path& directory, std::string_view prefix);

}  // namespace mneme::index
