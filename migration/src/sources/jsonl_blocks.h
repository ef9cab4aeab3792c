// A JSONL file in blocks of whole lines.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mneme/base/result.h"
#include "mneme/storage/file_system.h"

namespace mneme::migration {

struct JsonlBlock {
  std::string text;                ///< whole lines; the file's last one may lack its line feed
  std::uint64_t first_line = 1;    ///< number of its first line in the file, from 1
  std::uint64_t first_record = 0;  ///< lines before it that are not empty
  std::uint64_t lines = 0, records = 0;
};

/// "FILE:LINE: what", the form of every complaint about a line.
Status line_error(const std::string& file, std::uint64_t line, const Status& what);

/// Whether a line holds nothing but spaces, tabs and the carriage return before its line feed.
inline bool is_empty_line(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

/// Takes the next line off the front of `text`, without its line feed.
inline std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

/// Threads: one.
class JsonlBlockReader {
 public:
  /// @param records_max  of one block, at least 1
  static Result<std::unique_ptr<JsonlBlockReader>> open(storage::FileSystem& fs, const std::filesystem::path& path,
                                                        std::uint64_t records_max);

  /// nullopt at the end. @error InvalidArgument  a line beyond limits::kJsonLineBytesMax   @error IoError
  Result<std::optional<JsonlBlock>> next();
  std::uint64_t file_bytes() const { return file_bytes_; }
  /// Of the blocks handed out so far.
  std::uint64_t lines() const { return line_ - 1; }
  std::uint64_t records() const { return record_; }

 private:
  JsonlBlockReader(std::string name, std::unique_ptr<storage::File> file, std::uint64_t file_bytes,
                   std::uint64_t records_max)
      : name_(std::move(name)), file_(std::move(file)), file_bytes_(file_bytes), records_max_(records_max) {}
  Status fill();
  Result<std::size_t> measure(JsonlBlock& block) const;

  const std::string name_;
  const std::unique_ptr<storage::File> file_;
  const std::uint64_t file_bytes_;
  const std::uint64_t records_max_;
  std::string pending_;  // read, not handed out
  std::uint64_t offset_ = 0;
  bool at_end_ = false;
  std::uint64_t line_ = 1, record_ = 0;
};

}  // namespace mneme::migration
