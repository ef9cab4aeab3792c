// Files as Mneme uses them, injected so that tests can fail any call or drop what was not synced.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mneme/base/bytes.h"
#include "mneme/base/result.h"

namespace mneme::storage {

using Path = std::filesystem::path;

/// An open file. Errors carry the path, the call, the offset and the system's words; ENOSPC and EDQUOT are NoSpace.
/// Threads: reads and writes of disjoint ranges may run at the same time.
class File {
 public:
  virtual ~File() = default;  ///< closes; call close() first where its error matters
  /// Reads up to into.size() bytes; fewer only at the end of the file. Retries EINTR and short reads.
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) = 0;
  /// Writes everything or fails (part may then be on disk). Retries EINTR and short writes.
  virtual Status write_at(std::uint64_t offset, ByteView bytes) = 0;
  /// fdatasync. After an error the state of the written bytes is unknown; do not retry.
  virtual Status sync() = 0;
  virtual Status truncate(std::uint64_t size) = 0;
  virtual Result<std::uint64_t> size() = 0;
  virtual Status close() = 0;
};

enum class OpenMode { Read, ReadWrite, CreateOrTruncate, CreateNew };

/// Held for its life. Released by the system when the process dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

/// Threads: any number of callers.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<File>> open(const Path& path, OpenMode mode) = 0;  ///< new files are 0600
  virtual Status rename(const Path& from, const Path& to) = 0;                      ///< replaces `to`
  virtual Status remove(const Path& path) = 0;                                      ///< NotFound when absent
  virtual Result<bool> exists(const Path& path) = 0;
  virtual Result<std::vector<std::string>> list(const Path& directory) = 0;  ///< names, sorted, without . and ..
  virtual Status make_directory(const Path& directory) = 0;                  ///< 0700; ok when it is there
  virtual Status remove_all(const Path& directory) = 0;
  virtual Status sync_directory(const Path& directory) = 0;
  /// Exclusive lock on a file that is made when absent. @error Busy  another holder (this process or another)
  virtual Result<std::unique_ptr<FileLock>> lock(const Path& path) = 0;
  virtual Result<std::uint64_t> available_bytes(const Path& directory) = 0;
};

/// The operating system's files.
FileSystem& posix_file_system();

/// The whole file. @error InvalidArgument  larger than `bytes_max`
Result<Bytes> read_file(FileSystem& fs, const Path& path, std::uint64_t bytes_max);

/// Publishes a file so that it is there whole or not at all: temporary file, write, sync, rename, sync of the directory.
Status publish_file(FileSystem& fs, const Path& path, ByteView bytes);

}  // namespace mneme::storage
