#include "rocks_status.h"

#include <cerrno>
#include <cstring>

namespace mneme::storage {
namespace {

bool speaks_of(const std::string& text, int error_number) {
  return text.find(std::strerror(error_number)) != std::string::npos;
}

// RocksDB marks ENOSPC by a subcode where the file layer reports it, but hands it on as plain text from a write
// that bailed out of a stall; EDQUOT it does not know.
bool is_no_space(const rocksdb::Status& status, const std::string& text) {
  return status.IsNoSpace() || speaks_of(text, ENOSPC) || speaks_of(text, EDQUOT);
}

Code code_of(const rocksdb::Status& status, const std::string& text) {
  if (is_no_space(status, text)) return Code::NoSpace;
  if (status.IsCorruption()) return Code::Corruption;
  if (status.IsIOError()) return Code::IoError;
  if (status.IsNotFound()) return Code::NotFound;
  if (status.IsInvalidArgument()) return Code::InvalidArgument;
  if (status.IsNotSupported()) return Code::Unsupported;
  if (status.IsBusy() || status.IsTryAgain() || status.IsIncomplete() || status.IsMemoryLimit()) return Code::Busy;
  if (status.IsShutdownInProgress() || status.IsAborted()) return Code::FailedPrecondition;
  return Code::Internal;
}

}  // namespace

Status from_rocks(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return ok_status();
  const std::string text = status.ToString();
  return {code_of(status, text), std::string(what) + ": " + text};
}

}  // namespace mneme::storage
