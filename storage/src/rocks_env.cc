#include "rocks_env.h"

#include <rocksdb/file_system.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <string>

#include "mneme/base/mutex.h"

namespace mneme::storage {
namespace {

using rocksdb::FileOptions;
using rocksdb::FileSystemWrapper;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

thread_local bool thread_compacts = false;

IOStatus put_off(IOStatus status) {
  if (!status.IsNoSpace()) return status;
  status = IOStatus::IOError(status.ToString());
  status.SetRetryable(true);
  return status;
}

// A table of a compaction; see set_thread_compacts().
class CompactionTable final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  using FSWritableFileOwnerWrapper::FSWritableFileOwnerWrapper;

  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options, IODebugContext* debug) override {
    return put_off(FSWritableFileOwnerWrapper::Append(data, options, debug));
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo& check,
                  IODebugContext* debug) override {
    return put_off(FSWritableFileOwnerWrapper::Append(data, options, check, debug));
  }
  IOStatus Flush(const IOOptions& options, IODebugContext* debug) override {
    return put_off(FSWritableFileOwnerWrapper::Flush(options, debug));
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    return put_off(FSWritableFileOwnerWrapper::Sync(options, debug));
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return put_off(FSWritableFileOwnerWrapper::Fsync(options, debug));
  }
  IOStatus RangeSync(std::uint64_t offset, std::uint64_t bytes, const IOOptions& options,
                     IODebugContext* debug) override {
    return put_off(FSWritableFileOwnerWrapper::RangeSync(offset, bytes, options, debug));
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    return put_off(FSWritableFileOwnerWrapper::Close(options, debug));
  }
};

bool is_table(std::string_view name) { return name.ends_with(".sst") || name.ends_with(".blob"); }

// RocksDB makes files 0644. It has a switch for that, but on the one environment that the whole process shares, and
// an application that embeds Mneme may use RocksDB for itself.
class OwnerOnlyFileSystem final : public FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "MnemeOwnerOnly"; }

  IOStatus NewWritableFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* debug) override {
    const bool may_wait = thread_compacts && is_table(name);
    IOStatus opened = target()->NewWritableFile(name, options, file, debug);
    if (opened.ok()) opened = restrict_to_owner(name);
    if (!may_wait) return opened;
    if (opened.ok()) *file = std::make_unique<CompactionTable>(std::move(*file));
    return put_off(std::move(opened));
  }

  IOStatus NewRandomRWFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSRandomRWFile>* file, IODebugContext* debug) override {
    const IOStatus opened = target()->NewRandomRWFile(name, options, file, debug);
    return opened.ok() ? restrict_to_owner(name) : opened;
  }

  IOStatus LockFile(const std::string& name, const IOOptions& options, rocksdb::FileLock** lock,
                    IODebugContext* debug) override {
    const IOStatus locked = target()->LockFile(name, options, lock, debug);
    return locked.ok() ? restrict_to_owner(name) : locked;
  }

  IOStatus CreateDir(const std::string& name, const IOOptions&, IODebugContext*) override {
    return ::mkdir(name.c_str(), 0700) == 0 ? IOStatus::OK() : failed("mkdir", name);
  }

  IOStatus CreateDirIfMissing(const std::string& name, const IOOptions& options, IODebugContext* debug) override {
    if (::mkdir(name.c_str(), 0700) == 0) return IOStatus::OK();
    return errno == EEXIST ? target()->CreateDirIfMissing(name, options, debug) : failed("mkdir", name);
  }

 private:
  static IOStatus failed(const char* call, const std::string& name) {
    const int error = errno;
    const std::string text = std::string(call) + ": " + std::strerror(error);
    return error == ENOSPC ? IOStatus::NoSpace(text, name) : IOStatus::IOError(text, name);
  }

  static IOStatus restrict_to_owner(const std::string& name) {
    return ::chmod(name.c_str(), 0600) == 0 ? IOStatus::OK() : failed("chmod 0600", name);
  }
};

// An ingested file carries no unique id in this release of RocksDB, which warns of it at every open.
constexpr std::string_view kExpectedWarning = "without unique ID to verify";

class ForwardingLogger final : public rocksdb::Logger {
 public:
  explicit ForwardingLogger(std::function<void(std::string_view)> log)
      : Logger(rocksdb::InfoLogLevel::WARN_LEVEL), log_(std::move(log)) {}

  using Logger::Logv;
  void LogHeader(const char*, va_list) override {}
  void Logv(const char* format, va_list arguments) override { forward(format, arguments); }
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    const bool wanted = level >= rocksdb::InfoLogLevel::WARN_LEVEL && level < rocksdb::InfoLogLevel::HEADER_LEVEL;
    if (wanted) forward(format, arguments);
  }

 private:
  __attribute__((format(printf, 2, 0))) void forward(const char* format, va_list arguments) {
    if (!log_ || std::string_view(format).find(kExpectedWarning) != std::string_view::npos) return;
    std::array<char, 1024> line;  // longer messages are cut: they are lists of files
    const int length = std::vsnprintf(line.data(), line.size(), format, arguments);
    if (length <= 0) return;
    const std::size_t kept = std::min(static_cast<std::size_t>(length), line.size() - 1);
    try {
      const MutexLock lock(one_at_a_time_);
      log_(std::string_view(line.data(), kept));
    } catch (...) {  // a listener's failure is not the store's
    }
  }

  const std::function<void(std::string_view)> log_;
  Mutex one_at_a_time_;  // RocksDB logs from several threads; the owner's function need not be ready for that
};

}  // namespace

rocksdb::Env* owner_only_env() {
  // Never destroyed: RocksDB's background threads may outlive static destructors.
  static rocksdb::Env* const env =
      rocksdb::NewCompositeEnv(std::make_shared<OwnerOnlyFileSystem>(rocksdb::FileSystem::Default())).release();
  return env;
}

void set_thread_compacts(bool compacts) { thread_compacts = compacts; }

std::shared_ptr<rocksdb::Logger> make_rocks_logger(std::function<void(std::string_view)> log) {
  return std::make_shared<ForwardingLogger>(std::move(log));
}

}  // namespace mneme::storage
