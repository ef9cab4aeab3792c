#include "index_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace mneme::index {
namespace {

Status failure(const std::filesystem::path& path, const std::string& call, int error) {
  Code code = Code::IoError;
  if (error == ENOSPC || error == EDQUOT) code = Code::NoSpace;
  if (error == ENOENT) code = Code::NotFound;
  if (error == ENOMEM) code = Code::Busy;
  return {code, path.string() + ": " + call + ": " + std::system_category().message(error)};
}

std::string call_at(const char* call, std::uint64_t bytes, std::uint64_t offset) {
  return std::string(call) + " of " + std::to_string(bytes) + " bytes at byte " + std::to_string(offset);
}

}  // namespace

Mapping::~Mapping() {
  if (begin_ != nullptr) ::munmap(const_cast<std::byte*>(begin_), size_);
}

void Mapping::keep_out_of_memory() const {
  if (begin_ == nullptr) return;
  ::madvise(const_cast<std::byte*>(begin_), size_, MADV_RANDOM);
  ::madvise(const_cast<std::byte*>(begin_), size_, MADV_DONTNEED);
}

IndexFile::~IndexFile() { ::close(descriptor_); }

Result<std::shared_ptr<IndexFile>> IndexFile::create(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return failure(path, "create", errno);
  return std::shared_ptr<IndexFile>(new IndexFile(path, descriptor));
}

Result<std::shared_ptr<IndexFile>> IndexFile::open(const std::filesystem::path& path, bool writable) {
  const int descriptor = ::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0) return failure(path, "open", errno);
  std::shared_ptr<IndexFile> file(new IndexFile(path, descriptor));
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return failure(path, "stat", errno);
  if (!S_ISREG(status.st_mode)) return {Code::Corruption, path.string() + ": open: it is no regular file"};
  return file;
}

Result<std::uint64_t> IndexFile::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) return failure(path_, "stat", errno);
  return static_cast<std::uint64_t>(status.st_size);
}

Status IndexFile::resize(std::uint64_t bytes) const {
  if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0)
    return failure(path_, "resize to " + std::to_string(bytes) + " bytes", errno);
  return ok_status();
}

Status IndexFile::write(std::uint64_t offset, ByteView bytes) const {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t put =
        ::pwrite(descriptor_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return failure(path_, call_at("write", bytes.size() - done, offset + done), put < 0 ? errno : EIO);
    done += static_cast<std::size_t>(put);
  }
  return ok_status();
}

Status IndexFile::read(std::uint64_t offset, std::span<std::byte> into) const {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t got = ::pread(descriptor_, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(path_, call_at("read", into.size() - done, offset + done), errno);
    if (got == 0)
      return {Code::Corruption, path_.string() + ": " + call_at("read", into.size(), offset) +
                                    ": the file ends at byte " + std::to_string(offset + done)};
    done += static_cast<std::size_t>(got);
  }
  return ok_status();
}

Status IndexFile::sync() const {
  if (::fdatasync(descriptor_) != 0) return failure(path_, "fdatasync", errno);
  return ok_status();
}

Status IndexFile::check_end(std::uint64_t offset, std::uint64_t bytes) const {
  MNEME_ASSIGN(const std::uint64_t end, size());
  if (offset <= end && bytes <= end - offset) return ok_status();
  return {Code::Corruption,
          path_.string() + ": " + call_at("map", bytes, offset) + ": the file ends at byte " + std::to_string(end)};
}

Result<Mapping> IndexFile::map(std::uint64_t offset, std::uint64_t bytes) const {
  Mapping mapping;
  if (bytes == 0) return mapping;
  MNEME_TRY(check_end(offset, bytes));
  void* const memory = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, descriptor_, static_cast<off_t>(offset));
  if (memory == MAP_FAILED) return failure(path_, call_at("map", bytes, offset), errno);
  mapping.begin_ = static_cast<const std::byte*>(memory);
  mapping.size_ = bytes;
  return mapping;
}

// The kernel exchanges the mapping under the lock that page faults wait for: no reader finds a hole. By the system call
// itself, for the thread sanitizer takes mmap() for a write of what readers hold.
Status IndexFile::map_over(void* address, std::uint64_t offset, std::uint64_t bytes) const {
  MNEME_TRY(check_end(offset, bytes));
  if (::syscall(SYS_mmap, address, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, descriptor_, static_cast<off_t>(offset)) ==
      -1)
    return failure(path_, call_at("map", bytes, offset), errno);
  return ok_status();
}

Status make_directory(const std::filesystem::path& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return failure(path, "make directory", errno);
  return ok_status();
}

Status sync_directory(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return failure(path, "open directory", errno);
  const int error = ::fsync(descriptor) != 0 ? errno : 0;
  ::close(descriptor);
  if (error != 0) return failure(path, "fsync", error);
  return ok_status();
}

Status remove_file(const std::filesystem::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failure(path, "remove", errno);
  return ok_status();
}

Result<std::vector<std::string>> list_files(const std::filesystem::path& directory, std::string_view prefix) {
  std::vector<std::string> names;
  DIR* const opened = ::opendir(directory.c_str());
  if (opened == nullptr) {
    if (errno == ENOENT) return names;
    return failure(directory, "list", errno);
  }
  while (const dirent* const entry = ::readdir(opened)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && name.substr(0, prefix.size()) == prefix) names.emplace_back(name);
  }
  ::closedir(opened);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace mneme::index
