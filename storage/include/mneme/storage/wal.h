// The write-ahead log: the only order of changes and the only durability on the write path.
//
// Bytes: wal_format.h. Protocol: storage/README.md, "The log".
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "mneme/base/clock.h"
#include "mneme/base/ids.h"
#include "mneme/storage/file_system.h"

namespace mneme::storage {

/// When an append is acknowledged, and what a power cut can take back.
enum class Durability : std::uint8_t {
  Sync = 0,      ///< after the group's fdatasync; nothing acknowledged is lost
  Interval = 1,  ///< after the write; a background sync follows within WalOptions::sync_interval
  Memory = 2,    ///< after the write to the page cache; survives kill -9, a power cut may take any unsynced suffix
};

/// One record as written and replayed. Kinds are the owner's business; 0 and 255 are the log's own.
using RecordKind = std::uint8_t;
inline constexpr RecordKind kMarkRecord = 255;  ///< no payload: carries the synced mark on a clean close

struct WalRecord {
  Lsn lsn;
  RecordKind kind = 0;
  ByteView payload;
};

struct WalOptions {
  /// Segments start at the lower size and double up to the upper one; a larger record gets a segment of its own.
  std::uint64_t segment_bytes_min = 1 * kMiB;
  std::uint64_t segment_bytes_max = 64 * kMiB;

  /// The longest that a leader waits for the writers of the last two groups to join again.
  std::chrono::microseconds group_wait_max{100};

  /// Time between background syncs while Interval writes are unsynced.
  std::chrono::milliseconds sync_interval{50};

  /// One group's bytes; what waits beyond goes into the next group.
  std::uint64_t group_bytes_max = 8 * kMiB;

  /// Go on past damage: what lies behind the first damaged record is moved to `lost/` in the log's
  /// directory and given up. Never set without a person's decision.
  bool accept_data_loss = false;

  /// Read what is there; change nothing on disk, take no appends, and stop before damage instead of refusing.
  bool read_only = false;

  Status validate() const;
};

/// What opening found.
struct WalRecovery {
  Lsn first;                          ///< oldest record still kept; 0 when there is none
  Lsn last;                           ///< newest good record, or what the log begins after; 0 in a new log
  Lsn synced;                         ///< highest mark seen
  std::uint64_t records = 0;          ///< replayed
  std::uint64_t bytes = 0;            ///< of records read
  std::uint64_t trimmed_bytes = 0;    ///< torn tail that was dropped
  std::uint64_t trimmed_records = 0;  ///< at least this many records began in it
  Status damage;                      ///< not ok when read_only or accept_data_loss stopped at damage
};

/// Threads: append, sync, tail and drop_through from any thread.
class Wal {
 public:
  /// Called by the group's leader for each record once its group is as durable as asked for, in LSN order,
  /// one record at a time, before append() returns. It must not append or sync.
  using CommitFn = std::function<void(Lsn)>;

  /// Opens the log in `directory` (made when absent) and replays every record with lsn > `replay_after`, in order.
  ///
  /// @param replay_after    what the caller has already applied and flushed
  /// @param database        goes into each segment's header; another database's segment is refused
  /// @error DataLoss        damage at or below the synced mark, a whole record whose checksum is wrong, a gap between
  ///                        segments, or a log that ends before `replay_after`; says segment, record, byte
  /// @error VersionMismatch a newer format
  /// @error Mismatch        a segment of another database
  /// @error the error of `replay`, which stops the open
  /// Cost: reads each kept segment once; nothing that grows with the data.
  static Result<std::unique_ptr<Wal>> open(FileSystem& fs, const Clock& clock, const Path& directory,
                                           const DatabaseId& database, const WalOptions& options, Lsn replay_after,
                                           const std::function<Status(const WalRecord&)>& replay,
                                           WalRecovery* recovery);
  virtual ~Wal() = default;

  /// Appends one record made of `parts`, in order, and waits for `durability`.
  ///
  /// @param on_commit  may be empty; see CommitFn
  /// @return its LSN, one more than the record before it
  /// @error NoSpace        nothing of the record will be replayed; a later append may succeed
  /// @error Indeterminate  an fsync failed: the log takes no more appends until it is opened again
  /// @error InvalidArgument  larger than limits::kBatchBytesMax
  virtual Result<Lsn> append(RecordKind kind, std::span<const ByteView> parts, Durability durability,
                             const CommitFn& on_commit) = 0;

  /// Makes everything appended so far durable.
  virtual Status sync() = 0;

  virtual Lsn last() const = 0;       ///< last record committed (its CommitFn has run)
  virtual Lsn synced() const = 0;     ///< last record known durable
  virtual Status health() const = 0;  ///< ok, or why the log takes no more appends

  /// Reads records with lsn in (after, last()], in order, from disk; `visit` returns false to stop.
  /// Marks are passed over, here as in replay: LSNs ascend, but may skip one.
  /// Works beside appends. @error NotFound  `after` + 1 is already dropped
  virtual Status read(Lsn after, const std::function<bool(const WalRecord&)>& visit) = 0;

  /// Keeps everything above `lsn` until the returned pin is destroyed.
  virtual std::shared_ptr<void> pin(Lsn lsn) = 0;

  /// Drops segments whose every record is at or below `lsn` and pinned by nobody; recycles some as spares.
  virtual Status drop_through(Lsn lsn) = 0;

  virtual std::uint64_t bytes_on_disk() const = 0;
  virtual std::uint64_t live_bytes() const = 0;  ///< records not yet dropped

  /// Writes a mark so that everything is below it, syncs and closes. The destructor closes without the mark.
  virtual Status close() = 0;
};

}  // namespace mneme::storage
