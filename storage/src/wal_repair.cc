// What recovery writes: a torn tail becomes zeros, unsynced records become durable, damage goes to lost/.

#include <algorithm>

#include "mneme/storage/failpoint.h"
#include "wal_recovery.h"

namespace mneme::storage::wal {

namespace {

constexpr std::uint64_t kCopyBytes = kMiB;

/// Calls `sink(offset, bytes)` for [from, to) of a file, in pieces.
template <class Sink>
Status in_pieces(File& file, std::uint64_t from, std::uint64_t to, Sink&& sink) {
  Bytes piece(std::min(kCopyBytes, to - from));
  while (from < to) {
    const auto wanted = std::span(piece).first(std::min<std::uint64_t>(piece.size(), to - from));
    MNEME_ASSIGN(const std::size_t got, file.read_at(from, wanted));
    if (got == 0) return {};
    MNEME_TRY(sink(from, ByteView(piece).first(got)));
    from += got;
  }
  return {};
}

}  // namespace

Status Recovery::remove_spares() {
  for (const Path& path : spares_) MNEME_TRY(fs_.remove(path));
  return {};
}

// Records above the mark may be in the page cache alone: a crashed process leaves them there, and after a failed
// fsync the kernel forgets that they were never written. So they are written once more and synced before anybody
// builds on them.
Status Recovery::repair_tail() {
  if (candidates_.empty()) return {};
  Segment& segment = *candidates_.back().segment;
  const std::uint64_t rewrite_from = above_mark_.empty() ? segment.end.load() : above_mark_.front().second;
  if (rewrite_from == segment.end && torn_from_ == torn_to_) return {};

  MNEME_TRY(in_pieces(*segment.file, rewrite_from, segment.end,
                      [&](std::uint64_t offset, ByteView bytes) { return segment.file->write_at(offset, bytes); }));
  if (torn_from_ < torn_to_) {
    MNEME_FAILPOINT("wal.before_trim");
    MNEME_TRY(fill_zeros(*segment.file, torn_from_, torn_to_).with_context("trim the torn tail"));
    MNEME_FAILPOINT("wal.after_trim");
  }
  return segment.file->sync().with_context("recover the log");
}

// Moving begins with the newest, so that a crash on the way leaves a log without a gap before the damage.
Status Recovery::give_up_damaged() {
  MNEME_TRY(fs_.make_directory(directory_ / "lost"));
  MNEME_TRY(fs_.sync_directory(directory_));
  // Were the log to go on below what is applied, its next records would be taken for applied ones.
  const bool start_over = last_ < replay_after_;
  if (start_over) damage_ = {0, 0};
  const std::size_t kept = damage_.index + (damage_.offset != 0 ? 1 : 0);
  while (candidates_.size() > kept) {
    MNEME_TRY(move_to_lost(candidates_.back().segment->path));
    candidates_.pop_back();
  }
  MNEME_FAILPOINT("wal.lost_moved");
  if (start_over) {
    last_ = replay_after_;
    above_mark_.clear();
    ends_in_mark_ = false;
    report_.first = Lsn{};
  }
  if (candidates_.empty()) return {};
  Segment& segment = *candidates_.back().segment;
  if (damage_.offset != 0) MNEME_TRY(copy_to_lost(segment));
  SegmentReader reader(*segment.file, segment.header, segment.file_bytes);
  torn_from_ = segment.end;
  MNEME_ASSIGN(torn_to_, reader.content_end(torn_from_));
  return {};
}

Result<Path> Recovery::free_lost_path(const std::string& name) {
  for (unsigned attempt = 0;; ++attempt) {
    Path path = directory_ / "lost" / (attempt == 0 ? name : name + "." + std::to_string(attempt));
    MNEME_ASSIGN(const bool taken, fs_.exists(path));
    if (!taken) return path;
  }
}

Status Recovery::move_to_lost(const Path& path) {
  MNEME_ASSIGN(const Path to, free_lost_path(path.filename().string()));
  MNEME_TRY(fs_.rename(path, to));
  MNEME_TRY(fs_.sync_directory(directory_ / "lost"));
  return fs_.sync_directory(directory_);
}

Status Recovery::copy_to_lost(Segment& segment) {
  MNEME_ASSIGN(const Path to, free_lost_path(segment.path.filename().string()));
  MNEME_ASSIGN(const std::unique_ptr<File> copy, fs_.open(to, OpenMode::CreateNew));
  MNEME_TRY(in_pieces(*segment.file, 0, segment.file_bytes,
                      [&](std::uint64_t offset, ByteView bytes) { return copy->write_at(offset, bytes); }));
  MNEME_TRY(copy->sync());
  MNEME_TRY(copy->close());
  return fs_.sync_directory(directory_ / "lost");
}

}  // namespace mneme::storage::wal
