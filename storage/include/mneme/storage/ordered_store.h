// An ordered key-value store in families, with one number, applied_lsn, that moves in the same atomic step as the
// data. RocksDB stands behind it; nothing of RocksDB shows here.
//
// There is no log in this store: what is not flushed is gone after a crash, and applied_lsn says exactly how far
// it had come. The owner replays its own log from there.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mneme/base/ids.h"
#include "mneme/storage/file_system.h"

namespace mneme::storage {

/// A family is named by its index in OrderedStoreOptions::families. Family 0 is the meta family and also
/// holds applied_lsn under a reserved key ("\0applied"), which a scan from the first key meets. Families may be added
/// at the end, never removed or moved.
using Family = std::uint8_t;

enum class Compression : std::uint8_t { None, Lz4, Zstd };

struct FamilyOptions {
  std::string name;  ///< on disk; stable (of family 0 it is not kept)
  Compression compression = Compression::Lz4;
  bool blob_values = false;     ///< values of 1 KiB and more go to blob files
  std::size_t bloom_bits = 10;  ///< 0 = no filter
  std::uint64_t write_buffer_bytes = 32 * kMiB;
};

struct OrderedStoreOptions {
  std::vector<FamilyOptions> families;
  std::uint64_t block_cache_bytes = 256 * kMiB;
  unsigned background_threads = 2;
  bool read_only = false;  ///< sees what was flushed when it was opened; takes no lock
  bool create_if_missing = true;
  /// Background errors and warnings, one line a call, no content; may be empty. Called from background threads, one
  /// call at a time; must not call the store.
  std::function<void(std::string_view)> log;
};

/// A set of changes that is applied whole. Threads: one.
class WriteSet {
 public:
  WriteSet();
  ~WriteSet();
  WriteSet(WriteSet&&) noexcept;
  WriteSet& operator=(WriteSet&&) noexcept;
  void put(Family family, std::string_view key, ByteView value);
  /// The value is the parts one after the other.
  void put_parts(Family family, std::string_view key, std::span<const ByteView> parts);
  void erase(Family family, std::string_view key);
  /// Erases [begin, end); nothing where begin >= end. An empty `end` makes apply() refuse the set.
  void erase_range(Family family, std::string_view begin, std::string_view end);
  std::uint64_t bytes() const;
  std::size_t count() const;
  void clear();

 private:
  friend class OrderedStore;
  friend class RocksOrderedStore;
  struct Rep;
  std::unique_ptr<Rep> rep_;
};

/// A value read from the store, pinned where it lies; valid while this object lives.
class PinnedValue {
 public:
  PinnedValue();
  ~PinnedValue();
  PinnedValue(PinnedValue&&) noexcept;
  PinnedValue& operator=(PinnedValue&&) noexcept;
  ByteView bytes() const;

 private:
  friend class RocksOrderedStore;
  struct Rep;
  std::unique_ptr<Rep> rep_;
};

/// A consistent state of all families. Threads: any. Release before the store closes.
class StoreSnapshot {
 public:
  virtual ~StoreSnapshot() = default;
  virtual Lsn lsn() const = 0;  ///< applied_lsn of this state
};
using StoreSnapshotPtr = std::shared_ptr<const StoreSnapshot>;

/// A walk over keys in [begin, end), ascending; an empty end is open. It starts at the first key. Check status() when
/// valid() turns false. Keys and values are valid until the next move. Release before the store closes. Threads: one.
class StoreIterator {
 public:
  virtual ~StoreIterator() = default;
  virtual bool valid() const = 0;
  virtual void next() = 0;
  virtual void seek(std::string_view key) = 0;
  virtual std::string_view key() const = 0;
  virtual ByteView value() const = 0;
  virtual Status status() const = 0;
};

/// Writes one sorted file outside the store, to be ingested. Keys must ascend strictly.
class SortedFileWriter {
 public:
  virtual ~SortedFileWriter() = default;  ///< removes an unfinished file
  /// @error InvalidArgument  the key is not behind the last one. A failed write may show only in finish().
  virtual Status put(std::string_view key, ByteView value) = 0;
  /// Finishes and syncs the file. @return its bytes. @error InvalidArgument  when it is empty
  virtual Result<std::uint64_t> finish() = 0;
  virtual std::uint64_t bytes() const = 0;
};

struct IngestFile {
  Family family = 0;
  Path path;
};

struct ScanOptions {
  StoreSnapshotPtr snapshot;  ///< null = the state at the call
  bool fill_cache = true;
  std::uint64_t readahead_bytes = 0;
};

/// Pressure as RocksDB reports it.
struct StorePressure {
  bool write_stopped = false;
  std::uint64_t delayed_write_rate = 0;  ///< bytes per second, 0 = not delayed
  std::uint64_t pending_compaction_bytes = 0;
  std::uint64_t memtable_bytes = 0;
  std::uint64_t level0_files = 0;
};

/// Threads: any, but apply() and ingest() by one thread at a time (the owner's applier).
class OrderedStore {
 public:
  /// @error Busy  another process holds it   @error Corruption, IoError, NoSpace
  static Result<std::unique_ptr<OrderedStore>> open(const Path& directory, const OrderedStoreOptions& options);
  virtual ~OrderedStore() = default;  ///< does not flush

  /// Applies `set` and moves applied_lsn to `applied` in one atomic step; `set` is cleared.
  /// @error NoSpace, IoError  nothing of it was applied: applied_lsn did not move, and `set` is as it was
  /// @error InvalidArgument   `applied` is below applied_lsn, or the set names a family that is not there
  virtual Status apply(WriteSet& set, Lsn applied) = 0;

  virtual Lsn applied_lsn() const = 0;  ///< of the state in memory
  virtual Lsn flushed_lsn() const = 0;  ///< what a reopened store would show
  /// Writes all families to disk together; afterwards flushed_lsn() >= applied_lsn() at the call.
  virtual Status flush() = 0;
  /// Clears a background error once its cause is gone. ok when there was none. After a full disk apply() and
  /// flush() do this by themselves as soon as there is room for what is in memory.
  virtual Status resume() = 0;

  virtual Result<std::optional<PinnedValue>> get(Family family, std::string_view key,
                                                 const StoreSnapshotPtr& snapshot = nullptr) const = 0;
  /// False when the filters and memtables prove the key absent; true means maybe.
  virtual bool may_exist(Family family, std::string_view key) const = 0;
  virtual std::unique_ptr<StoreIterator> scan(Family family, std::string_view begin, std::string_view end,
                                              const ScanOptions& options = {}) const = 0;
  /// Pins the state; its lsn is exactly the applied_lsn of what it shows.
  virtual StoreSnapshotPtr snapshot() const = 0;

  virtual Result<std::unique_ptr<SortedFileWriter>> new_sorted_file(Family family, const Path& path) = 0;
  /// Takes all files in, or none (one atomic step over all families), durably. Ranges must hold no live keys.
  /// Flushes first, so that everything applied before is durable too; applied_lsn does not move.
  /// The files are moved into the store; `path`s must be on its file system.
  /// @error Unsupported  they are on another one   @error Corruption, IoError, NoSpace  the files stay where they are
  virtual Status ingest(std::span<const IngestFile> files) = 0;

  /// Up to `n` - 1 keys that cut [begin, end) into pieces of about equal bytes; ascending, distinct, inside the range.
  /// Values in blob files count as what their references take.
  /// Cost: a walk over the range up to 4 MiB or where much of it is in memory; else about n × 20 seeks.
  virtual Result<std::vector<std::string>> split_points(Family family, std::string_view begin, std::string_view end,
                                                        std::size_t n) const = 0;
  /// Estimate of [begin, end) on disk and in memory, compressed; to about one block (4 to 16 KiB, more with blobs).
  virtual std::uint64_t approximate_bytes(Family family, std::string_view begin, std::string_view end) const = 0;
  virtual std::uint64_t bytes_on_disk() const = 0;
  virtual StorePressure pressure() const = 0;
  /// Reads every block and checks its checksum. @error Corruption  names the file
  virtual Status verify_checksums() const = 0;
  virtual Status compact(Family family, std::string_view begin, std::string_view end) = 0;
};

}  // namespace mneme::storage
