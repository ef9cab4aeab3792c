// Opening a log: which records are there, whether what ends it is a torn write or damage, and making it whole again.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "wal_reader.h"
#include "wal_segments.h"

namespace mneme::storage::wal {

/// A log after recovery. `segments` is empty when the directory holds none (any more).
struct RecoveredLog {
  std::vector<SegmentPtr> segments;
  std::uint64_t next_number = 1;  ///< above every segment seen
  Lsn last;                       ///< of the newest record, or what the log begins after
  bool ends_in_mark = false;      ///< the newest record is a mark
  WalRecovery report;
};

/// One pass over a log's directory. Used once.
///
/// Where the first record that is not whole lies decides:
///   - in a segment that has a successor: damage, for a segment is synced before the next one begins
///   - Damaged as SegmentReader says: damage
///   - Torn or Unwritten, and a record behind it says that its LSN was synced: damage
///   - otherwise: the torn tail of a write that nobody was told of; it is overwritten with zeros
/// A missing segment, a first record above replay_after + 1 and a last one below replay_after are damage too.
class Recovery {
 public:
  using Replay = std::function<Status(const WalRecord&)>;

  Recovery(FileSystem& fs, Path directory, const DatabaseId& database, const WalOptions& options, Lsn replay_after,
           const Replay& replay)
      : fs_(fs),
        directory_(std::move(directory)),
        database_(database),
        options_(options),
        replay_after_(replay_after),
        replay_(replay) {}

  /// @error DataLoss  damage, unless options say how to go on; and as Wal::open
  Result<RecoveredLog> run();

 private:
  struct Candidate {
    SegmentPtr segment;
    Status header;  // why the header cannot be used
  };
  /// Where reading stopped at damage: candidate `index`, in it from `offset` on (0: all of it).
  struct Damage {
    std::size_t index = 0;
    std::uint64_t offset = 0;
  };

  Status find_segments();
  Result<Candidate> open_segment(const std::string& name, std::uint64_t number);
  Status walk();
  Status check_place(std::size_t index) const;
  Status walk_segment(std::size_t index);
  Status take(const Step& step);
  Status end_of_segment(std::size_t index, SegmentReader& reader, const Step& step);
  void stop_at(std::size_t index, std::uint64_t offset, const std::string& what);
  std::string lies_behind(std::size_t index, std::uint64_t records, std::uint64_t bytes) const;

  Status give_up_damaged();
  Status move_to_lost(const Path& path);
  Status copy_to_lost(Segment& segment);
  Result<Path> free_lost_path(const std::string& name);
  Status remove_spares();
  Status repair_tail();
  RecoveredLog result();

  FileSystem& fs_;
  const Path directory_;
  const DatabaseId database_;
  const WalOptions options_;
  const Lsn replay_after_;
  const Replay& replay_;

  std::vector<Candidate> candidates_;
  std::vector<Path> spares_;
  std::uint64_t next_number_ = 1;
  Lsn last_;
  bool ends_in_mark_ = false;
  Damage damage_;
  WalRecovery report_;
  std::uint64_t torn_from_ = 0, torn_to_ = 0;             // of the last segment, to be zeroed
  std::deque<std::pair<Lsn, std::uint64_t>> above_mark_;  // records of the last segment and where they begin
};

}  // namespace mneme::storage::wal
