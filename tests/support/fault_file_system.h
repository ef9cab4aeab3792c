// A file system in memory for tests: it fails calls on demand, fills up, and loses power.
//
// The model, harsher than most disks:
//   - Written bytes reach the disk with sync() of their file, by 512-byte sectors. Until then a power cut keeps of
//     each sector, on its own, the bytes last synced or those after any later write.
//   - Names (created, renamed, removed) reach the disk with sync_directory(). Until then each such change is kept or
//     lost on its own.
//   - A sync() that fails forgets: the file reads as written, but those writes reach the disk only when they are
//     written and synced again.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "mneme/base/clock.h"
#include "mneme/storage/file_system.h"

namespace mneme::testing {

using storage::File;
using storage::FileLock;
using storage::OpenMode;
using storage::Path;

/// Threads: any.
class FaultFileSystem final : public storage::FileSystem {
 public:
  enum class Call : std::uint8_t {
    Open,
    Read,
    Write,
    Sync,
    Truncate,
    Size,
    Close,
    Rename,
    Remove,
    Exists,
    List,
    MakeDirectory,
    SyncDirectory,
    Available,
    Any,
  };

  FaultFileSystem();
  ~FaultFileSystem() override;

  /// The `nth` call of this kind from now on fails with `code`, and with `sticky` every one after it. A write that
  /// fails has written part of its bytes. Replaces the fault before it.
  void fail(Call call, std::uint64_t nth, Code code = Code::IoError, bool sticky = false);
  /// The next call of this kind in this thread fails with `code`: one of a background thread may come before it.
  void fail_my_next(Call call, Code code);
  void fail_nothing();
  /// How much a failing write writes before it fails: 0 to 8 eighths of its bytes; 4 at first.
  void set_failing_write_eighths(unsigned eighths);
  bool fault_fired() const;  ///< of the last fail()
  std::uint64_t calls(Call call) const;
  /// Runs `action` before the `nth` call of any kind from now on takes effect, in the thread that calls.
  void before_call(std::uint64_t nth, std::function<void()> action);

  /// Bytes of all files together; writes beyond are NoSpace. No limit at first.
  void set_capacity(std::uint64_t bytes);

  /// What a machine finds when power comes back. Choices are drawn from `random`.
  std::unique_ptr<FaultFileSystem> after_power_loss(Random& random) const;
  /// What a process finds that is started after another was killed: everything, and no locks.
  std::unique_ptr<FaultFileSystem> after_kill() const;

  /// Looks at and changes files beneath everything above: no fault, no count, and it is on the disk at once.
  Bytes contents(const Path& path) const;
  void set_contents(const Path& path, Bytes bytes);
  bool holds(const Path& path) const;
  void erase(const Path& path);
  std::vector<Path> files() const;

  Result<std::unique_ptr<File>> open(const Path& path, OpenMode mode) override;
  Status rename(const Path& from, const Path& to) override;
  Status remove(const Path& path) override;
  Result<bool> exists(const Path& path) override;
  Result<std::vector<std::string>> list(const Path& directory) override;
  Status make_directory(const Path& directory) override;
  Status remove_all(const Path& directory) override;
  Status sync_directory(const Path& directory) override;
  Result<std::unique_ptr<FileLock>> lock(const Path& path) override;
  Result<std::uint64_t> available_bytes(const Path& directory) override;

 private:
  class OpenFile;
  class HeldLock;
  struct Inode;
  struct Locks;
  using InodePtr = std::shared_ptr<Inode>;
  using Names = std::map<Path, InodePtr>;

  /// A change of names that is not on the disk. A null inode removes `to`.
  struct NameChange {
    Path from, to;  // `from` is empty unless it is a rename
    InodePtr inode;
  };

  Status enter(Call call, const Path& path);
  void change_name(NameChange change);
  static void apply(const NameChange& change, Names& names);
  bool directory_exists(const Path& directory) const;
  std::uint64_t used_bytes() const;
  std::unique_ptr<FaultFileSystem> copy_of(const Names& names) const;

  mutable std::recursive_mutex mutex_;
  Names names_;  // directories are names with an inode that is_directory
  Names on_disk_;
  std::vector<NameChange> unsynced_;
  std::uint64_t capacity_;
  std::shared_ptr<Locks> locks_;

  std::array<std::uint64_t, static_cast<std::size_t>(Call::Any) + 1> calls_{};
  Call fault_call_ = Call::Any;
  std::uint64_t fault_at_ = 0;  // count of calls_ at which it fires; 0: never
  Code fault_code_ = Code::IoError;
  bool fault_sticky_ = false;
  bool fault_fired_ = false;
  std::thread::id fault_thread_;  // of fail_my_next()
  unsigned failing_write_eighths_ = 4;
  std::uint64_t action_at_ = 0;
  std::function<void()> action_;
};

}  // namespace mneme::testing
