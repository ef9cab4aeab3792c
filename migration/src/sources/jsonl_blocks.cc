#include "sources/jsonl_blocks.h"

#include "mneme/base/limits.h"

namespace mneme::migration {
namespace {

constexpr std::size_t kReadBytes = 1 * kMiB;

}  // namespace

Status line_error(const std::string& file, std::uint64_t line, const Status& what) {
  return what.with_context(file + ":" + std::to_string(line));
}

Result<std::unique_ptr<JsonlBlockReader>> JsonlBlockReader::open(storage::FileSystem& fs,
                                                                 const std::filesystem::path& path,
                                                                 std::uint64_t records_max) {
  MNEME_ASSIGN(auto file, fs.open(path, storage::OpenMode::Read));
  MNEME_ASSIGN(const std::uint64_t bytes, file->size());
  return std::unique_ptr<JsonlBlockReader>(new JsonlBlockReader(path.string(), std::move(file), bytes, records_max));
}

// Reads until a whole line is pending, or the end of the file.
Status JsonlBlockReader::fill() {
  std::size_t searched = 0;
  while (!at_end_ && pending_.find('\n', searched) == std::string::npos) {
    searched = pending_.size();
    if (searched > limits::kJsonLineBytesMax)
      return line_error(
          name_, line_,
          Status(Code::InvalidArgument, "line of more than " + std::to_string(limits::kJsonLineBytesMax) + " bytes"));
    pending_.resize(searched + kReadBytes);
    MNEME_ASSIGN(const std::size_t read,
                 file_->read_at(offset_, std::as_writable_bytes(std::span(pending_).subspan(searched))));
    pending_.resize(searched + read);
    offset_ += read;
    at_end_ = read < kReadBytes;
  }
  return {};
}

// Counts the lines and records of the block at the front of what is pending, and returns its length.
Result<std::size_t> JsonlBlockReader::measure(JsonlBlock& block) const {
  std::string_view rest = pending_;
  while (!rest.empty() && block.records < records_max_) {
    if (!at_end_ && rest.find('\n') == std::string_view::npos) break;
    const std::string_view line = take_line(rest);
    if (line.size() > limits::kJsonLineBytesMax)
      return line_error(name_, line_ + block.lines,
                        Status(Code::InvalidArgument, "line of " + std::to_string(line.size()) + " bytes, at most " +
                                                          std::to_string(limits::kJsonLineBytesMax)));
    ++block.lines;
    if (!is_empty_line(line)) ++block.records;
  }
  return pending_.size() - rest.size();
}

Result<std::optional<JsonlBlock>> JsonlBlockReader::next() {
  MNEME_TRY(fill());
  if (pending_.empty()) return std::optional<JsonlBlock>();
  JsonlBlock block;
  block.first_line = line_;
  block.first_record = record_;
  MNEME_ASSIGN(const std::size_t bytes, measure(block));
  std::string rest = pending_.substr(bytes);
  pending_.resize(bytes);
  block.text = std::exchange(pending_, std::move(rest));
  line_ += block.lines;
  record_ += block.records;
  return std::optional<JsonlBlock>(std::move(block));
}

}  // namespace mneme::migration
