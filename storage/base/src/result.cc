#include "mneme/base/result.h"

#include "quote.h"

namespace mneme {

std::string quoted(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text.substr(0, kQuotedBytesMax)) {
    if (c >= 0x20 && c < 0x7f) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out.append("\\x").append({kDigits[byte >> 4], kDigits[byte & 0xf]});
  }
  if (text.size() > kQuotedBytesMax) out.append("...");
  return out.append("\"");
}

std::string_view name_of(Code code) {
  switch (code) {
    case Code::Ok:
      return "Ok";
    case Code::InvalidArgument:
      return "InvalidArgument";
    case Code::NotFound:
      return "NotFound";
    case Code::AlreadyExists:
      return "AlreadyExists";
    case Code::Busy:
      return "Busy";
    case Code::NoSpace:
      return "NoSpace";
    case Code::IoError:
      return "IoError";
    case Code::Corruption:
      return "Corruption";
    case Code::DataLoss:
      return "DataLoss";
    case Code::VersionMismatch:
      return "VersionMismatch";
    case Code::Indeterminate:
      return "Indeterminate";
    case Code::FailedPrecondition:
      return "FailedPrecondition";
    case Code::Unsupported:
      return "Unsupported";
    case Code::Cancelled:
      return "Cancelled";
    case Code::Mismatch:
      return "Mismatch";
    case Code::Internal:
      return "Internal";
  }
  return "Unknown";
}

Status::Status(Code code, std::string message) : code_(code), message_(std::move(message)) { assert(code != Code::Ok); }

std::string Status::to_string() const {
  std::string text(name_of(code_));
  if (!message_.empty()) text.append(": ").append(message_);
  return text;
}

Status Status::with_context(std::string_view what) const {
  if (ok()) return *this;
  std::string message(what);
  message.append(": ").append(message_);
  return Status(code_, std::move(message));
}

}  // namespace mneme
