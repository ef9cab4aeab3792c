#include "wal_segments.h"

#include <algorithm>
#include <utility>

#include "mneme/storage/failpoint.h"

namespace mneme::storage::wal {

namespace {

constexpr std::uint64_t kBlockBytes = 4096;

std::uint64_t round_up(std::uint64_t bytes) { return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes; }

}  // namespace

std::shared_ptr<void> PinTable::pin(Lsn lsn) {
  {
    MutexLock lock(mutex_);
    pins_.insert(lsn);
  }
  const auto unpin = [table = shared_from_this()](Lsn* pinned) {
    {
      MutexLock lock(table->mutex_);
      table->pins_.erase(table->pins_.find(*pinned));
    }
    delete pinned;
  };
  return std::shared_ptr<Lsn>(new Lsn(lsn), unpin);
}

Lsn PinTable::lowest() {
  MutexLock lock(mutex_);
  return pins_.empty() ? kMaxLsn : *pins_.begin();
}

SegmentSet::SegmentSet(FileSystem& fs, Path directory, const DatabaseId& database, const WalOptions& options,
                       std::vector<SegmentPtr> recovered)
    : fs_(fs),
      directory_(std::move(directory)),
      database_(database),
      options_(options),
      spares_(fs, directory_),
      segments_(std::move(recovered)) {
  if (!segments_.empty()) first_kept_ = segments_.front()->header.first_lsn;
}

SegmentPtr SegmentSet::active() {
  MutexLock lock(mutex_);
  return segments_.empty() ? nullptr : segments_.back();
}

std::uint64_t SegmentSet::next_segment_bytes() {
  MutexLock lock(mutex_);
  if (segments_.empty()) return options_.segment_bytes_min;
  return std::clamp(segments_.back()->header.segment_bytes * 2, options_.segment_bytes_min, options_.segment_bytes_max);
}

Status SegmentSet::roll(Lsn first, std::uint64_t record_bytes) {
  const std::uint64_t needed = round_up(kSegmentHeaderBytes + record_bytes);
  const std::uint64_t usual = next_segment_bytes();
  std::optional<Spare> spare = spares_.take(std::max(needed, usual));
  SegmentHeader header{.database = database_, .number = active()->header.number + 1, .first_lsn = first};
  if (spare) {
    header.segment_bytes = spare->bytes;
  } else {
    header.segment_bytes = std::max(needed, usual);
    MNEME_ASSIGN(spare, spares_.make_empty());
  }
  return publish(std::move(*spare), header);
}

Status SegmentSet::create_first(std::uint64_t number, Lsn first) {
  MNEME_ASSIGN(Spare spare, spares_.make_empty());
  spare.bytes = options_.segment_bytes_min;
  if (Status filled = fill_zeros(*spare.file, 0, spare.bytes); !filled) {
    static_cast<void>(fs_.remove(spare.path));
    return filled;
  }
  const SegmentHeader header{.database = database_, .number = number, .first_lsn = first, .segment_bytes = spare.bytes};
  return publish(std::move(spare), header);
}

// The header is durable before the name is, so a published segment always has one.
Status SegmentSet::publish(Spare spare, const SegmentHeader& header) {
  Status written = spare.file->write_at(0, encode_segment_header(header));
  if (written) written = spare.file->sync();
  MNEME_FAILPOINT("wal.segment_written");
  const Path path = directory_ / segment_name(header.number);
  if (written) written = fs_.rename(spare.path, path);
  if (!written) {
    static_cast<void>(fs_.remove(spare.path));
    return written.with_context("new log segment");
  }
  MNEME_FAILPOINT("wal.segment_renamed");
  if (const Status synced = fs_.sync_directory(directory_); !synced)
    return {Code::Indeterminate, "new log segment " + path.string() + ": " + synced.to_string()};

  auto segment = std::make_shared<Segment>();
  segment->header = header;
  segment->path = path;
  segment->file = std::move(spare.file);
  segment->file_bytes = std::max(spare.bytes, kSegmentHeaderBytes);
  MutexLock lock(mutex_);
  if (segments_.empty()) first_kept_ = header.first_lsn;
  segments_.push_back(std::move(segment));
  return {};
}

void SegmentSet::prepare_ahead() { spares_.want(next_segment_bytes()); }

Result<std::vector<SegmentPtr>> SegmentSet::above(Lsn after) {
  MutexLock lock(mutex_);
  if (after.value + 1 < first_kept_.value)
    return {Code::NotFound, directory_.string() + ": record " + std::to_string(after.value + 1) +
                                " is dropped; the log begins at " + std::to_string(first_kept_.value)};
  // The last segment that begins at or below after + 1 holds it.
  auto first = segments_.begin();
  for (auto next = first; next != segments_.end() && (*next)->header.first_lsn.value <= after.value + 1; ++next)
    first = next;
  return std::vector<SegmentPtr>(first, segments_.end());
}

// Segments go one by one, oldest first, and each is gone durably before the next: what is left never has a gap.
Status SegmentSet::drop_through(Lsn lsn) {
  MutexLock one_at_a_time(dropping_);
  while (true) {
    SegmentPtr oldest;
    {
      MutexLock lock(mutex_);
      if (segments_.size() < 2) return {};
      const Lsn next_first = segments_[1]->header.first_lsn;
      if (next_first.value - 1 > std::min(lsn, pins_->lowest()).value) return {};
      first_kept_ = std::max(first_kept_, next_first);
      oldest = segments_.front();
    }
    MNEME_TRY(retire(*oldest));
    MutexLock lock(mutex_);
    segments_.erase(segments_.begin());
  }
}

// The old name must be gone from the disk before its bytes are overwritten.
Status SegmentSet::retire(Segment& segment) {
  const std::uint64_t bytes = segment.file_bytes;
  const bool recycled = bytes == next_segment_bytes() && spares_.has_use_for(bytes);
  Spare spare;
  if (recycled) {
    spare = {.path = spares_.new_path(), .file = nullptr, .bytes = bytes};
    MNEME_TRY(fs_.rename(segment.path, spare.path));
    segment.path = spare.path;  // where a later attempt finds it, should the sync below fail
  } else if (const Status removed = fs_.remove(segment.path); !removed && removed.code() != Code::NotFound) {
    return removed;
  }
  MNEME_FAILPOINT("wal.segment_dropped");
  MNEME_TRY(fs_.sync_directory(directory_));
  if (recycled) {
    spare.file = std::move(segment.file);
    spares_.recycle(std::move(spare));
  }
  return {};
}

std::uint64_t SegmentSet::bytes_on_disk() {
  std::uint64_t bytes = spares_.bytes_on_disk();
  MutexLock lock(mutex_);
  for (const SegmentPtr& segment : segments_) bytes += std::max(segment->file_bytes.load(), segment->end.load());
  return bytes;
}

std::uint64_t SegmentSet::live_bytes() {
  MutexLock lock(mutex_);
  std::uint64_t bytes = 0;
  for (const SegmentPtr& segment : segments_)
    if (segment == segments_.back() || segment->header.first_lsn >= first_kept_)
      bytes += segment->end.load() - kSegmentHeaderBytes;
  return bytes;
}

Status SegmentSet::close_files() {
  MutexLock lock(mutex_);
  Status first_error;
  for (const SegmentPtr& segment : segments_)
    if (Status closed = segment->file->close(); !closed && first_error.ok()) first_error = closed;
  return first_error;
}

}  // namespace mneme::storage::wal
