#include "mneme/storage/wal.h"

#include <algorithm>
#include <array>
#include <thread>
#include <utility>

#include "mneme/base/limits.h"
#include "wal_recovery.h"
#include "wal_writer.h"

namespace mneme::storage {

namespace {

using namespace wal;  // NOLINT(google-build-using-namespace): this file is the log's front

/// Syncs within an interval of the first unsynced write, in a thread that starts with it.
class IntervalSyncer {
 public:
  IntervalSyncer(GroupWriter& writer, std::chrono::milliseconds interval) : writer_(writer), interval_(interval) {}
  ~IntervalSyncer() { stop(); }
  IntervalSyncer(const IntervalSyncer&) = delete;
  IntervalSyncer& operator=(const IntervalSyncer&) = delete;

  void note_unsynced() {
    if (unsynced_.exchange(true)) return;
    MutexLock lock(mutex_);
    if (!thread_.joinable() && !stop_) thread_ = std::thread([this] { run(); });
    changed_.notify_all();
  }

  void stop() {
    std::thread thread;
    {
      MutexLock lock(mutex_);
      stop_ = true;
      changed_.notify_all();
      thread = std::move(thread_);
    }
    if (thread.joinable()) thread.join();
  }

 private:
  void run() {
    while (true) {
      {
        MutexLock lock(mutex_);
        while (!stop_ && !unsynced_) changed_.wait(mutex_);
        if (!stop_) changed_.wait_for(mutex_, interval_);
        if (stop_) return;
      }
      unsynced_ = false;
      Request request;
      request.needs_sync = true;
      writer_.run(request);  // a failure poisons the log, which every later append reports
    }
  }

  GroupWriter& writer_;
  const std::chrono::milliseconds interval_;
  std::atomic<bool> unsynced_{false};
  Mutex mutex_;
  CondVar changed_;
  bool stop_ MNEME_GUARDED_BY(mutex_) = false;
  std::thread thread_ MNEME_GUARDED_BY(mutex_);
};

/// Where reads stopped, so that a tail goes on there instead of at the segment's beginning.
class ReadPositions {
 public:
  struct Position {
    Lsn after;
    std::uint64_t segment = 0;
    std::uint64_t offset = 0;
  };

  void remember(const Position& position) {
    MutexLock lock(mutex_);
    positions_[oldest_++ % positions_.size()] = position;
  }
  std::uint64_t find(Lsn after, std::uint64_t segment) {
    MutexLock lock(mutex_);
    for (const Position& p : positions_)
      if (p.after == after && p.segment == segment && p.offset != 0) return p.offset;
    return 0;
  }

 private:
  Mutex mutex_;
  std::array<Position, 8> positions_ MNEME_GUARDED_BY(mutex_);
  std::size_t oldest_ MNEME_GUARDED_BY(mutex_) = 0;
};

class OpenWal final : public Wal {
 public:
  OpenWal(FileSystem& fs, const Path& directory, const DatabaseId& database, const WalOptions& options,
          RecoveredLog log)
      : read_only_(options.read_only),
        segments_(fs, directory, database, options, std::move(log.segments)),
        options_(options),
        last_(log.last),
        ends_in_mark_(log.ends_in_mark) {}

  Status start(std::uint64_t next_number) {
    if (!read_only_ && !segments_.active()) MNEME_TRY(segments_.create_first(next_number, Lsn{last_.value + 1}));
    writer_.emplace(segments_, options_, last_, ends_in_mark_);
    syncer_.emplace(*writer_, options_.sync_interval);
    return {};
  }

  Result<Lsn> append(RecordKind kind, std::span<const ByteView> parts, Durability durability,
                     const CommitFn& on_commit) override {
    MNEME_TRY(writable());
    if (kind == 0 || kind == kMarkRecord)
      return {Code::InvalidArgument, "log record kind " + std::to_string(kind) + " is the log's own"};
    std::uint64_t bytes = 0;
    for (const ByteView part : parts) bytes += part.size();
    if (bytes > limits::kBatchBytesMax)
      return {Code::InvalidArgument,
              "log record of " + std::to_string(bytes) + " bytes, at most " + std::to_string(limits::kBatchBytesMax)};
    Request request;
    request.kind = kind;
    request.parts = parts;
    request.payload_bytes = bytes;
    request.needs_sync = durability == Durability::Sync;
    request.on_commit = &on_commit;
    writer_->run(request);
    MNEME_TRY(request.status);
    if (durability == Durability::Interval) syncer_->note_unsynced();
    return request.lsn;
  }

  Status sync() override {
    MNEME_TRY(writable());
    return sync_now();
  }

  Lsn last() const override { return writer_->last(); }
  Lsn synced() const override { return writer_->synced(); }
  Status health() const override { return writer_->health(); }

  Status read(Lsn after, const std::function<bool(const WalRecord&)>& visit) override;
  std::shared_ptr<void> pin(Lsn lsn) override { return segments_.pin(lsn); }
  Status drop_through(Lsn lsn) override {
    MNEME_TRY(writable());
    return segments_.drop_through(std::min(lsn, last()));
  }

  std::uint64_t bytes_on_disk() const override { return segments_.bytes_on_disk(); }
  std::uint64_t live_bytes() const override { return segments_.live_bytes(); }
  Status close() override;

 private:
  Status writable() const {
    if (read_only_) return {Code::FailedPrecondition, "the log is opened read-only"};
    if (closed_.load(std::memory_order_acquire)) return {Code::FailedPrecondition, "the log is closed"};
    return {};
  }
  Status sync_now() {
    Request request;
    request.needs_sync = true;
    writer_->run(request);
    return request.status;
  }
  Status write_mark();

  const bool read_only_;
  mutable SegmentSet segments_;
  const WalOptions options_;
  const Lsn last_;  // when it was opened
  const bool ends_in_mark_;
  ReadPositions positions_;
  std::optional<GroupWriter> writer_;
  std::optional<IntervalSyncer> syncer_;
  std::atomic<bool> closed_{false};
};

Status OpenWal::read(Lsn after, const std::function<bool(const WalRecord&)>& visit) {
  if (closed_.load(std::memory_order_acquire)) return {Code::FailedPrecondition, "the log is closed"};
  const std::shared_ptr<void> pinned = segments_.pin(after);
  const Lsn until = last();  // everything up to here is written whole
  if (after >= until) return {};
  MNEME_ASSIGN(const std::vector<SegmentPtr> segments, segments_.above(after));
  for (const SegmentPtr& segment : segments) {
    SegmentReader reader(*segment->file, segment->header, segment->end.load(std::memory_order_acquire));
    std::uint64_t offset = positions_.find(after, segment->header.number);
    Lsn expected = offset != 0 ? Lsn{after.value + 1} : segment->header.first_lsn;
    if (offset == 0) offset = kSegmentHeaderBytes;
    for (; expected <= until; ++expected.value) {
      MNEME_ASSIGN(const Step step, reader.read(offset, expected));
      if (step.found == Found::Unwritten && segment != segments.back()) break;
      if (step.found != Found::Record)
        return {Code::Corruption, segment->path.string() + ": record " + std::to_string(expected.value) + " at byte " +
                                      std::to_string(step.offset) + ": " +
                                      (step.found == Found::Unwritten ? "zeros where it should begin" : step.what)};
      offset = step.end;
      if (expected <= after) continue;
      after = expected;
      const bool wanted = step.header.kind == kMarkRecord ||
                          visit({.lsn = expected, .kind = step.header.kind, .payload = step.payload});
      if (!wanted || expected == until) {
        positions_.remember({.after = after, .segment = segment->header.number, .offset = offset});
        return {};
      }
    }
  }
  return {};
}

Status OpenWal::close() {
  if (closed_.exchange(true)) return {};
  syncer_->stop();
  Status status = read_only_ ? Status() : write_mark();
  Status files = segments_.close_files();
  return status ? files : status;
}

// The mark tells the next open that every record before it was synced, so that any damage to them shows. The log
// does not grow by being opened and closed: a mark is not followed by a mark.
Status OpenWal::write_mark() {
  MNEME_TRY(sync_now());
  if (last().value == 0 || writer_->ends_in_mark()) return {};
  Request request;
  request.kind = kMarkRecord;
  request.needs_sync = true;
  writer_->run(request);
  // Everything is durable without the mark; only its protection is missing.
  return request.status.code() == Code::NoSpace ? Status() : request.status;
}

}  // namespace

Status WalOptions::validate() const {
  constexpr std::uint64_t kSegmentBytesLeast = 8 * kKiB, kSegmentBytesMost = 4 * kGiB;
  const auto wrong = [](std::string_view field, std::string_view rule) {
    return Status(Code::InvalidArgument, "WalOptions::" + std::string(field) + " " + std::string(rule));
  };
  if (segment_bytes_min < kSegmentBytesLeast || segment_bytes_min % kSegmentHeaderBytes != 0)
    return wrong("segment_bytes_min", "must be a multiple of 4096, at least 8 KiB");
  if (segment_bytes_max < segment_bytes_min || segment_bytes_max > kSegmentBytesMost ||
      segment_bytes_max % kSegmentHeaderBytes != 0)
    return wrong("segment_bytes_max", "must be a multiple of 4096 from segment_bytes_min to 4 GiB");
  if (group_wait_max.count() < 0 || group_wait_max > std::chrono::seconds(1))
    return wrong("group_wait_max", "must be from 0 to 1 s");
  if (sync_interval.count() < 1 || sync_interval > std::chrono::hours(1))
    return wrong("sync_interval", "must be from 1 ms to 1 h");
  if (group_bytes_max == 0 || group_bytes_max > kGiB) return wrong("group_bytes_max", "must be from 1 byte to 1 GiB");
  if (read_only && accept_data_loss) return wrong("accept_data_loss", "needs a log that is not read_only");
  return {};
}

Result<std::unique_ptr<Wal>> Wal::open(FileSystem& fs, const Clock& /*clock*/, const Path& directory,
                                       const DatabaseId& database, const WalOptions& options, Lsn replay_after,
                                       const std::function<Status(const WalRecord&)>& replay, WalRecovery* recovery) {
  MNEME_TRY(options.validate());
  if (!options.read_only) {
    MNEME_TRY(fs.make_directory(directory));
    // Also when it was there: whoever made it may have crashed before its name was durable.
    MNEME_TRY(fs.sync_directory(directory.has_parent_path() ? directory.parent_path() : Path(".")));
  }
  Recovery recover(fs, directory, database, options, replay_after, replay);
  MNEME_ASSIGN(RecoveredLog log, recover.run());
  if (recovery != nullptr) *recovery = log.report;
  const std::uint64_t next_number = log.next_number;
  auto wal = std::make_unique<OpenWal>(fs, directory, database, options, std::move(log));
  MNEME_TRY(wal->start(next_number));
  return std::unique_ptr<Wal>(std::move(wal));
}

}  // namespace mneme::storage
