#include "wal_reader.h"

#include <algorithm>

#include "mneme/base/checksum.h"
#include "mneme/base/limits.h"

namespace mneme::storage::wal {

namespace {

constexpr std::uint64_t kWindowBytes = kMiB;

Step bad(Step step, Found found, std::string what) {
  step.found = found;
  step.what = std::move(what);
  return step;
}

/// Why a header with a correct crc cannot be at `offset` of this segment; empty when it can.
std::string misplaced(const RecordHeader& header, std::uint64_t offset, const SegmentHeader& segment) {
  if (header.segment != static_cast<std::uint32_t>(segment.number))
    return "it belongs to segment " + std::to_string(header.segment);
  if (header.length > limits::kBatchBytesMax || offset + record_bytes(header.length) > segment.segment_bytes)
    return "its length of " + std::to_string(header.length) + " bytes reaches beyond the segment";
  if (header.kind == 0) return "it has kind 0";
  return {};
}

/// Whether header, payload and trailer agree; `record` holds all of them.
bool is_whole(ByteView record) {
  const ByteView content = record.subspan(kRecordHeaderBytes, record.size() - kRecordHeaderBytes - kRecordTrailerBytes);
  const std::byte* const trailer = content.data() + content.size();
  return load_le<std::uint32_t>(trailer + sizeof(std::uint32_t)) == kRecordEnd &&
         load_le<std::uint32_t>(trailer) == crc32c(content, load_le<std::uint32_t>(record.data()));
}

}  // namespace

SegmentReader::SegmentReader(File& file, const SegmentHeader& header, std::uint64_t end_bytes)
    : file_(file), header_(header), end_bytes_(std::min(end_bytes, header.segment_bytes)) {}

Result<ByteView> SegmentReader::view(std::uint64_t offset, std::uint64_t size) {
  if (offset >= end_bytes_) return ByteView{};
  size = std::min(size, end_bytes_ - offset);
  if (offset < window_offset_ || offset + size > window_offset_ + window_bytes_) {
    const std::uint64_t wanted = std::min(std::max(size, kWindowBytes), end_bytes_ - offset);
    if (window_.size() < wanted) window_.resize(wanted);
    window_bytes_ = 0;
    MNEME_ASSIGN(window_bytes_, file_.read_at(offset, std::span(window_).first(wanted)));
    window_offset_ = offset;
    size = std::min(size, window_bytes_);
  }
  return ByteView(window_).subspan(offset - window_offset_, size);
}

Result<Step> SegmentReader::read(std::uint64_t offset, Lsn expected) {
  Step step;
  step.offset = record_start(offset);
  if (step.offset + record_bytes(0) > header_.segment_bytes) return step;

  const std::uint64_t sector_bytes = kSectorBytes - step.offset % kSectorBytes;
  MNEME_ASSIGN(const ByteView sector, view(step.offset, sector_bytes));
  const ByteView head = sector.first(std::min<std::size_t>(sector.size(), kRecordHeaderBytes));
  if (all_zeros(head)) {
    // A sector that was never written is zeros to its end.
    if (!all_zeros(sector)) return bad(step, Found::Damaged, "its header is zeros, but the sector behind it is not");
    return step;
  }
  if (head.size() < kRecordHeaderBytes) return bad(step, Found::Torn, "the file ends within its header");

  const std::optional<RecordHeader> header = decode_record_header(head);
  if (!header) return bad(step, Found::Damaged, "the crc of its header is wrong");
  if (std::string why = misplaced(*header, step.offset, header_); !why.empty())
    return bad(step, Found::Damaged, std::move(why));
  if (header->lsn != expected)
    return bad(step, Found::Damaged, "its header says record " + std::to_string(header->lsn.value));
  step.header = *header;
  return read_body(std::move(step));
}

Result<Step> SegmentReader::read_body(Step step) {
  const std::uint64_t size = record_bytes(step.header.length);
  MNEME_ASSIGN(const ByteView record, view(step.offset, size));
  if (record.size() < size)
    return bad(step, Found::Torn,
               "the file ends after " + std::to_string(record.size()) + " of its " + std::to_string(size) + " bytes");
  if (!is_whole(record)) {
    const std::uint32_t zeros =
        count_zero_fragments(record.subspan(kRecordHeaderBytes), step.offset + kRecordHeaderBytes);
    if (zeros > step.header.zero_fragments)
      return bad(step, Found::Torn,
                 std::to_string(zeros - step.header.zero_fragments) + " of its sectors were never written");
    return bad(step, Found::Damaged,
               "the crc of its " + std::to_string(step.header.length) + " bytes of payload is wrong");
  }
  step.found = Found::Record;
  step.end = step.offset + size;
  step.payload = record.subspan(kRecordHeaderBytes, step.header.length);
  return step;
}

Result<std::uint64_t> SegmentReader::content_end(std::uint64_t from) {
  std::uint64_t end = from;
  while (from < end_bytes_) {
    MNEME_ASSIGN(const ByteView bytes, view(from, std::min(kWindowBytes, end_bytes_ - from)));
    if (bytes.empty()) break;
    if (!all_zeros(bytes)) {
      std::size_t used = bytes.size();
      while (bytes[used - 1] == std::byte{0}) --used;
      end = from + used;
    }
    from += bytes.size();
  }
  return end;
}

Result<Behind> SegmentReader::look_behind(std::uint64_t offset, Lsn bad) {
  constexpr std::uint64_t kStepBytes = 8;
  Behind behind;
  for (offset += kStepBytes; offset + record_bytes(0) <= end_bytes_;) {
    if (record_start(offset) != offset) {
      offset = record_start(offset);
      continue;
    }
    MNEME_ASSIGN(const ByteView head, view(offset, kRecordHeaderBytes));
    const bool plausible =
        head.size() == kRecordHeaderBytes && load_le<std::uint32_t>(head.data() + record_field::kSegment.offset) ==
                                                 static_cast<std::uint32_t>(header_.number);
    const std::optional<RecordHeader> header = plausible ? decode_record_header(head) : std::nullopt;
    if (header && header->lsn > bad && misplaced(*header, offset, header_).empty()) {
      const std::uint64_t size = record_bytes(header->length);
      MNEME_ASSIGN(const ByteView record, view(offset, size));
      if (record.size() == size && is_whole(record)) {
        ++behind.records;
        behind.bytes += size;
        behind.synced = std::max(behind.synced, header->synced);
        offset += size;
        continue;
      }
    }
    offset += kStepBytes;
  }
  return behind;
}

}  // namespace mneme::storage::wal
