#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "mneme/storage/file_system.h"

namespace mneme::storage {

namespace {

Code code_of(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return Code::NoSpace;
    case ENOENT:
      return Code::NotFound;
    case EEXIST:
      return Code::AlreadyExists;
    case EWOULDBLOCK:
      return Code::Busy;
    default:
      return Code::IoError;
  }
}

Status failure(const Path& path, std::string_view call, int error) {
  return {code_of(error), path.string() + ": " + std::string(call) + ": " + std::system_category().message(error)};
}

std::string call_at(std::string_view call, std::uint64_t bytes, std::uint64_t offset) {
  return std::string(call) + " of " + std::to_string(bytes) + " bytes at byte " + std::to_string(offset);
}

/// Calls until it is not interrupted; -1 with errno set on failure.
template <class Call>
auto uninterrupted(Call&& call) {
  while (true) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

class PosixFile final : public File {
 public:
  PosixFile(Path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  ~PosixFile() override {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) override {
    std::size_t done = 0;
    while (done < into.size()) {
      const ssize_t got = uninterrupted([&] {
        return ::pread(descriptor_, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
      });
      if (got < 0) return failure(path_, call_at("read", into.size() - done, offset + done), errno);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  Status write_at(std::uint64_t offset, ByteView bytes) override {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t put = uninterrupted([&] {
        return ::pwrite(descriptor_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
      });
      // A write of nothing would be repeated forever.
      if (put <= 0) return failure(path_, call_at("write", bytes.size() - done, offset + done), put < 0 ? errno : EIO);
      done += static_cast<std::size_t>(put);
    }
    return {};
  }

  Status sync() override {
    if (::fdatasync(descriptor_) != 0) return failure(path_, "fdatasync", errno);
    return {};
  }

  Status truncate(std::uint64_t size) override {
    if (uninterrupted([&] { return ::ftruncate(descriptor_, static_cast<off_t>(size)); }) != 0)
      return failure(path_, "truncate to " + std::to_string(size) + " bytes", errno);
    return {};
  }

  Result<std::uint64_t> size() override {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) return failure(path_, "stat", errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

  Status close() override {
    if (descriptor_ < 0) return {};
    // The descriptor is gone whatever close() returns, so EINTR is not repeated.
    if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) return failure(path_, "close", errno);
    return {};
  }

 private:
  const Path path_;
  int descriptor_;
};

/// flock() belongs to the open file, so a second open in the same process is refused as well.
class PosixLock final : public FileLock {
 public:
  explicit PosixLock(int descriptor) : descriptor_(descriptor) {}
  ~PosixLock() override { ::close(descriptor_); }
  PosixLock(const PosixLock&) = delete;
  PosixLock& operator=(const PosixLock&) = delete;

 private:
  const int descriptor_;
};

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::Read:
      return O_RDONLY | O_CLOEXEC;
    case OpenMode::ReadWrite:
      return O_RDWR | O_CLOEXEC;
    case OpenMode::CreateOrTruncate:
      return O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC;
    case OpenMode::CreateNew:
      return O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
  }
  return O_RDONLY | O_CLOEXEC;
}

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const Path& path, OpenMode mode) override {
    const int descriptor = uninterrupted([&] { return ::open(path.c_str(), flags_of(mode), 0600); });
    if (descriptor < 0) return failure(path, "open", errno);
    return std::unique_ptr<File>(std::make_unique<PosixFile>(path, descriptor));
  }

  Status rename(const Path& from, const Path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return failure(from, "rename to " + to.string(), errno);
    return {};
  }

  Status remove(const Path& path) override {
    if (::unlink(path.c_str()) != 0) return failure(path, "remove", errno);
    return {};
  }

  Result<bool> exists(const Path& path) override {
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return failure(path, "stat", errno);
  }

  Result<std::vector<std::string>> list(const Path& directory) override {
    DIR* const stream = ::opendir(directory.c_str());
    if (stream == nullptr) return failure(directory, "list", errno);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    const int error = errno;
    ::closedir(stream);
    if (error != 0) return failure(directory, "list", error);
    std::sort(names.begin(), names.end());
    return names;
  }

  Status make_directory(const Path& directory) override {
    if (::mkdir(directory.c_str(), 0700) == 0) return {};
    const int error = errno;
    struct stat status {};
    if (error == EEXIST && ::stat(directory.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
    return failure(directory, "make directory", error);
  }

  Status remove_all(const Path& directory) override {
    std::error_code error;
    std::filesystem::remove_all(directory, error);
    if (error) return failure(directory, "remove with everything in it", error.value());
    return {};
  }

  Status sync_directory(const Path& directory) override {
    const int descriptor = uninterrupted([&] { return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
    if (descriptor < 0) return failure(directory, "open for sync", errno);
    Status synced;
    if (::fsync(descriptor) != 0) synced = failure(directory, "fsync of the directory", errno);
    ::close(descriptor);
    return synced;
  }

  Result<std::unique_ptr<FileLock>> lock(const Path& path) override {
    const int descriptor = uninterrupted([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600); });
    if (descriptor < 0) return failure(path, "open for lock", errno);
    if (uninterrupted([&] { return ::flock(descriptor, LOCK_EX | LOCK_NB); }) != 0) {
      const int error = errno;
      ::close(descriptor);
      if (error == EWOULDBLOCK) return {Code::Busy, path.string() + ": lock: held by another opener"};
      return failure(path, "lock", error);
    }
    return std::unique_ptr<FileLock>(std::make_unique<PosixLock>(descriptor));
  }

  Result<std::uint64_t> available_bytes(const Path& directory) override {
    struct statvfs status {};
    if (uninterrupted([&] { return ::statvfs(directory.c_str(), &status); }) != 0)
      return failure(directory, "statvfs", errno);
    return std::uint64_t{status.f_bavail} * status.f_frsize;
  }
};

}  // namespace

FileSystem& posix_file_system() {
  static PosixFileSystem instance;
  return instance;
}

}  // namespace mneme::storage
