// The segments of an open log: the files, the one being written, the next one prepared, pins and dropping.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "mneme/base/mutex.h"
#include "mneme/storage/wal_format.h"

namespace mneme::storage::wal {

/// One segment file, open.
struct Segment {
  SegmentHeader header;
  Path path;
  std::unique_ptr<File> file;
  std::atomic<std::uint64_t> end{kSegmentHeaderBytes};  ///< behind the last committed record
  std::atomic<std::uint64_t> file_bytes{0};             ///< zeros up to here are on disk
};
using SegmentPtr = std::shared_ptr<Segment>;

/// Writes zeros to [from, to) in pieces, so that memory stays small and no single sync takes long.
Status fill_zeros(File& file, std::uint64_t from, std::uint64_t to);

/// A file of zeros that will become a segment, known by a name that recovery ignores and removes.
struct Spare {
  Path path;
  std::unique_ptr<File> file;
  std::uint64_t bytes = 0;
};

inline constexpr std::string_view kSpareSuffix = ".spare";

/// Prepares one spare ahead, in a thread of its own that starts with the first wish.
/// An error drops the wish: the segment then grows as it is written, and the next wish tries again.
class SparePreparer {
 public:
  SparePreparer(FileSystem& fs, Path directory);
  ~SparePreparer();  ///< stops, and removes what was prepared
  SparePreparer(const SparePreparer&) = delete;
  SparePreparer& operator=(const SparePreparer&) = delete;

  /// Asks for a spare of `bytes`, unless one is there or in work.
  void want(std::uint64_t bytes);
  /// The prepared spare; a smaller one than `bytes_min` is thrown away.
  std::optional<Spare> take(std::uint64_t bytes_min);
  /// A new file of no bytes, at once.
  Result<Spare> make_empty();
  /// Whether a recycled file of `bytes` would be used.
  bool has_use_for(std::uint64_t bytes);
  /// Takes a dropped segment's file, already renamed to `spare.path` durably, to be filled with zeros.
  void recycle(Spare spare);
  Path new_path();

  std::uint64_t bytes_on_disk();
  /// Waits until nothing is in work, for tests and for a full disk.
  void settle();

 private:
  void run();
  Result<Spare> prepare(std::uint64_t bytes, std::optional<Spare> recycled);

  FileSystem& fs_;
  const Path directory_;
  std::atomic<std::uint64_t> names_{0};
  Mutex mutex_;
  CondVar changed_;
  std::uint64_t wanted_bytes_ MNEME_GUARDED_BY(mutex_) = 0;  // 0: no wish
  bool working_ MNEME_GUARDED_BY(mutex_) = false;
  bool stop_ MNEME_GUARDED_BY(mutex_) = false;
  std::optional<Spare> ready_ MNEME_GUARDED_BY(mutex_);
  std::optional<Spare> recycled_ MNEME_GUARDED_BY(mutex_);
  std::uint64_t working_bytes_ MNEME_GUARDED_BY(mutex_) = 0;
  std::thread thread_ MNEME_GUARDED_BY(mutex_);
};

/// LSNs above which the log is kept. Shared with the pins, which may outlive the log.
class PinTable : public std::enable_shared_from_this<PinTable> {
 public:
  std::shared_ptr<void> pin(Lsn lsn);
  Lsn lowest();  ///< kMaxLsn when nothing is pinned

 private:
  Mutex mutex_;
  std::multiset<Lsn> pins_ MNEME_GUARDED_BY(mutex_);
};

/// Threads: roll() by the group's leader alone, the rest from any thread.
class SegmentSet {
 public:
  SegmentSet(FileSystem& fs, Path directory, const DatabaseId& database, const WalOptions& options,
             std::vector<SegmentPtr> recovered);

  /// The segment being written; null only in a log opened read-only that has none.
  SegmentPtr active();

  /// Publishes the next segment, with room for a record of `record_bytes`, whose first LSN is `first`. The caller
  /// has synced the active one.
  /// @error Indeterminate  the name may or may not be durable: the log must be reopened
  /// @error NoSpace, IoError  nothing has changed
  Status roll(Lsn first, std::uint64_t record_bytes);

  /// Publishes the first segment of a new log, filled with zeros.
  Status create_first(std::uint64_t number, Lsn first);

  /// Has the next segment prepared when the active one is filling up.
  void prepare_ahead();

  /// Segments with records above `after`, which the caller has pinned. @error NotFound  `after` + 1 was dropped
  Result<std::vector<SegmentPtr>> above(Lsn after);
  std::shared_ptr<void> pin(Lsn lsn) { return pins_->pin(lsn); }
  Status drop_through(Lsn lsn);

  std::uint64_t bytes_on_disk();
  std::uint64_t live_bytes();
  Status close_files();

 private:
  Status publish(Spare spare, const SegmentHeader& header);
  Status retire(Segment& segment);
  std::uint64_t next_segment_bytes();

  FileSystem& fs_;
  const Path directory_;
  const DatabaseId database_;
  const WalOptions options_;
  SparePreparer spares_;
  const std::shared_ptr<PinTable> pins_ = std::make_shared<PinTable>();
  Mutex dropping_;  // held for a whole drop_through, around mutex_
  Mutex mutex_;
  std::vector<SegmentPtr> segments_ MNEME_GUARDED_BY(mutex_);  // ascending, the last one is active
  Lsn first_kept_ MNEME_GUARDED_BY(mutex_);
};

}  // namespace mneme::storage::wal
