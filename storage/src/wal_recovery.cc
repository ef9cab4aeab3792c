#include "wal_recovery.h"

#include <algorithm>

namespace mneme::storage::wal {

namespace {

std::string text(Lsn lsn) { return std::to_string(lsn.value); }

Lsn before(Lsn lsn) { return Lsn{lsn.value - 1}; }
Lsn next(Lsn lsn) { return Lsn{lsn.value + 1}; }

}  // namespace

Result<RecoveredLog> Recovery::run() {
  MNEME_TRY(find_segments());
  MNEME_TRY(walk());
  if (options_.read_only) return result();
  if (!report_.damage.ok()) {
    if (!options_.accept_data_loss) return report_.damage;
    MNEME_TRY(give_up_damaged());
  }
  MNEME_TRY(remove_spares());
  MNEME_TRY(repair_tail());
  return result();
}

Status Recovery::find_segments() {
  MNEME_ASSIGN(const std::vector<std::string> names, fs_.list(directory_));
  for (const std::string& name : names) {
    if (name.ends_with(kSpareSuffix)) spares_.push_back(directory_ / name);
    const std::optional<std::uint64_t> number = segment_number(name);
    if (!number) continue;
    MNEME_ASSIGN(Candidate candidate, open_segment(name, *number));
    candidates_.push_back(std::move(candidate));
    next_number_ = *number + 1;
  }
  return {};
}

Result<Recovery::Candidate> Recovery::open_segment(const std::string& name, std::uint64_t number) {
  Candidate candidate;
  candidate.segment = std::make_shared<Segment>();
  Segment& segment = *candidate.segment;
  segment.path = directory_ / name;
  segment.header.number = number;
  MNEME_ASSIGN(segment.file, fs_.open(segment.path, options_.read_only ? OpenMode::Read : OpenMode::ReadWrite));
  MNEME_ASSIGN(segment.file_bytes, segment.file->size());
  Bytes block(kSegmentHeaderBytes);
  MNEME_ASSIGN(const std::size_t got, segment.file->read_at(0, block));
  const Result<SegmentHeader> header = decode_segment_header(ByteView(block).first(got));
  if (!header) {
    candidate.header = header.status().with_context(segment.path.string());
    if (header.status().code() == Code::VersionMismatch) return candidate.header;
    return candidate;
  }
  if (header->database != database_)
    return {Code::Mismatch, segment.path.string() + ": belongs to database " + header->database.to_string() +
                                ", opened for " + database_.to_string()};
  if (header->number != number)
    candidate.header = {Code::Corruption,
                        segment.path.string() + ": its header says segment " + segment_name(header->number)};
  segment.header = *header;
  return candidate;
}

Status Recovery::walk() {
  if (!candidates_.empty() && candidates_.front().header.ok())
    last_ = before(candidates_.front().segment->header.first_lsn);
  report_.synced = last_;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    if (const Status place = check_place(i); !place) {
      stop_at(i, 0, place.message() + lies_behind(i, 0, 0));
      return {};
    }
    const Segment& segment = *candidates_[i].segment;
    // The segment before was synced before this one was made.
    report_.synced = std::max(report_.synced, before(segment.header.first_lsn));
    above_mark_.clear();
    MNEME_TRY(walk_segment(i));
    if (!report_.damage.ok()) return {};
  }
  if (last_ < replay_after_)
    stop_at(candidates_.size(), 0,
            directory_.string() + ": the log ends at record " + text(last_) + ", but record " + text(replay_after_) +
                " is already applied: its end is missing");
  return {};
}

Status Recovery::check_place(std::size_t index) const {
  const Candidate& candidate = candidates_[index];
  MNEME_TRY(candidate.header);
  const SegmentHeader& header = candidate.segment->header;
  const std::string path = candidate.segment->path.string();
  if (index == 0) {
    if (header.first_lsn > next(replay_after_))
      return {Code::DataLoss, path + ": the log begins at record " + text(header.first_lsn) + ", needed from " +
                                  text(next(replay_after_))};
    return {};
  }
  if (header.number != candidates_[index - 1].segment->header.number + 1)
    return {Code::DataLoss, path + ": the segment before it, " + segment_name(header.number - 1) + ", is missing"};
  if (header.first_lsn != next(last_))
    return {Code::DataLoss,
            path + ": begins at record " + text(header.first_lsn) + ", the segment before it ends at " + text(last_)};
  return {};
}

Status Recovery::walk_segment(std::size_t index) {
  Segment& segment = *candidates_[index].segment;
  SegmentReader reader(*segment.file, segment.header, segment.file_bytes);
  // Once every record up to the next segment's first is there, the rest of this one does not matter.
  const bool successor_known = index + 1 < candidates_.size() && candidates_[index + 1].header.ok();
  const Lsn successor_first = successor_known ? candidates_[index + 1].segment->header.first_lsn : kMaxLsn;
  while (next(last_) != successor_first) {
    MNEME_ASSIGN(const Step step, reader.read(segment.end, next(last_)));
    if (step.found != Found::Record) return end_of_segment(index, reader, step);
    MNEME_TRY(take(step));
    segment.end = step.end;
  }
  return {};
}

Status Recovery::take(const Step& step) {
  const RecordHeader& header = step.header;
  last_ = header.lsn;
  if (report_.first.value == 0) report_.first = last_;
  report_.bytes += step.end - step.offset;
  const bool is_mark = header.kind == kMarkRecord;
  ends_in_mark_ = is_mark && next(header.synced) == last_;
  above_mark_.emplace_back(last_, step.offset);
  report_.synced = std::max(report_.synced, std::min(header.synced, last_));
  while (!above_mark_.empty() && above_mark_.front().first <= report_.synced) above_mark_.pop_front();
  if (is_mark || last_ <= replay_after_) return {};
  ++report_.records;
  return replay_ ? replay_({.lsn = last_, .kind = header.kind, .payload = step.payload}) : Status();
}

Status Recovery::end_of_segment(std::size_t index, SegmentReader& reader, const Step& step) {
  const Segment& segment = *candidates_[index].segment;
  const Lsn bad = next(last_);
  const bool is_last = index + 1 == candidates_.size();
  if (step.found == Found::Unwritten && !is_last) return {};  // the successor's place is checked next

  MNEME_ASSIGN(const std::uint64_t content_end, reader.content_end(segment.end));
  if (step.found == Found::Unwritten && content_end == segment.end) return {};

  MNEME_ASSIGN(const Behind behind, reader.look_behind(step.offset, bad));
  if (!is_last || step.found == Found::Damaged || behind.synced >= bad) {
    std::string what = step.found == Found::Unwritten ? "zeros where it should begin" : step.what;
    if (step.found != Found::Damaged)
      what += is_last ? ", but a later record says that " + text(behind.synced) + " was synced"
                      : ", but there are later segments";
    stop_at(index, segment.end,
            segment.path.string() + ": record " + text(bad) + " at byte " + std::to_string(step.offset) + ": " + what +
                lies_behind(index, behind.records, behind.bytes));
    return {};
  }
  torn_from_ = segment.end;
  torn_to_ = content_end;
  report_.trimmed_bytes = torn_to_ - torn_from_;
  report_.trimmed_records = behind.records + (step.found == Found::Torn ? 1 : 0);
  return {};
}

void Recovery::stop_at(std::size_t index, std::uint64_t offset, const std::string& what) {
  damage_ = {index, offset};
  report_.damage = Status(Code::DataLoss, what);
}

std::string Recovery::lies_behind(std::size_t index, std::uint64_t records, std::uint64_t bytes) const {
  std::string said = "; behind it " + std::to_string(records) + " whole records in " + std::to_string(bytes) + " bytes";
  if (index + 1 < candidates_.size()) said += " and " + std::to_string(candidates_.size() - index - 1) + " segments";
  return said;
}

RecoveredLog Recovery::result() {
  RecoveredLog log;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    const bool readable = report_.damage.ok() || i < damage_.index || (i == damage_.index && damage_.offset != 0);
    if (!readable) break;
    log.segments.push_back(candidates_[i].segment);
  }
  report_.last = last_;
  log.next_number = next_number_;
  log.last = last_;
  log.ends_in_mark = ends_in_mark_;
  log.report = report_;
  return log;
}

}  // namespace mneme::storage::wal
