#include "row_stream.h"

namespace mneme {
namespace {

constexpr std::size_t kRows = 1024;
constexpr std::uint64_t kBytes = 4 * kMiB;

}  // namespace

Result<RowId> RowStream::front() {
  if (buffer_.empty() && !ended_) MNEME_TRY(filter_.empty() ? refill() : refill_matching());
  return buffer_.empty() ? kNoRow : buffer_.front().first;
}

NodeRecordPtr RowStream::pop() {
  NodeRecordPtr record = std::move(buffer_.front().second);
  buffer_.pop_front();
  return record;
}

Status RowStream::refill() {
  std::uint64_t bytes = 0;
  bool full = false;
  MNEME_TRY(tier_.scan(space_, next_, options_, [&](RowId row, NodeRecordPtr record) {
    bytes += record->charged_bytes();
    next_ = RowId{row.value + 1};
    buffer_.emplace_back(row, std::move(record));
    full = buffer_.size() >= kRows || bytes >= kBytes;
    return !full;
  }));
  ended_ = !full;
  return {};
}

Status RowStream::refill_matching() {
  std::vector<RowId> rows;
  bool full = false;
  MNEME_TRY(tier_.scan_bodies(space_, next_, options_, [&](RowId row, ByteView body) {
    next_ = RowId{row.value + 1};
    if (filter_.matches_body(body)) rows.push_back(row);
    full = rows.size() >= kRows / 4;
    return !full;
  }));
  ended_ = !full;
  for (const RowId row : rows) {
    MNEME_ASSIGN(std::optional<NodeRecordPtr> record, tier_.get(space_, row, options_.snapshot));
    if (!record)
      return {Code::Corruption, "scan: row " + std::to_string(row.value) + " was there and is not, in one snapshot"};
    buffer_.emplace_back(row, std::move(*record));
  }
  return {};
}

}  // namespace mneme
