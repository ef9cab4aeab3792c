// Reads one segment record by record and says what lies where a record was expected.
#pragma once

#include <string>

#include "mneme/storage/wal_format.h"

namespace mneme::storage::wal {

enum class Found : std::uint8_t {
  Record,     ///< whole, checked, and the one expected
  Unwritten,  ///< zeros, or nothing, where its header would be
  Torn,       ///< cut short by the end of the file, or sectors of it were never written
  Damaged,    ///< anything else: no interrupted write leaves this
};

struct Step {
  Found found = Found::Unwritten;
  std::uint64_t offset = 0;  ///< where the record begins, or would
  std::uint64_t end = 0;     ///< behind it (Record)
  RecordHeader header;       ///< (Record)
  ByteView payload;          ///< (Record) valid until the next call
  std::string what;          ///< (Torn, Damaged) what was found
};

/// What lies behind a bad record.
struct Behind {
  std::uint64_t records = 0;  ///< whole records of this segment with a higher LSN
  std::uint64_t bytes = 0;    ///< of them
  Lsn synced;                 ///< highest mark they carry
};

/// Threads: one. Memory: a window of 1 MiB, or the largest record.
class SegmentReader {
 public:
  /// Nothing at or behind `end_bytes` of the file is read.
  SegmentReader(File& file, const SegmentHeader& header, std::uint64_t end_bytes);

  /// What follows `offset`, the end of the record before (or of the segment's header). @error the file's
  Result<Step> read(std::uint64_t offset, Lsn expected);

  /// The position behind the last byte that is not zero; `from` when there is none.
  Result<std::uint64_t> content_end(std::uint64_t from);

  /// Looks at every place behind `offset` where a record may begin.
  Result<Behind> look_behind(std::uint64_t offset, Lsn bad);

 private:
  /// `size` bytes at `offset`, fewer at the end.
  Result<ByteView> view(std::uint64_t offset, std::uint64_t size);
  Result<Step> read_body(Step step);

  File& file_;
  const SegmentHeader header_;
  const std::uint64_t end_bytes_;
  Bytes window_;
  std::uint64_t window_offset_ = 0;
  std::uint64_t window_bytes_ = 0;
};

}  // namespace mneme::storage::wal
