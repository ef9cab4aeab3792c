// Standard output and standard error, and the two shapes of results: facts and rows.
#include "output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "mneme/base/json.h"
#include "text.h"

namespace mneme::tools {

namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;
constexpr std::size_t kColumnsWithoutTerminal = 160;
constexpr std::size_t kLastColumnMin = 20;
constexpr std::size_t kOtherColumnMax = 48;

// Writes everything. @return 0 or errno
int write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

}  // namespace

void Output::raw(std::string_view bytes) {
  if (error_ != 0) return;
  buffer_ += bytes;
  if (buffer_.size() < kBufferBytes) return;
  error_ = write_all(STDOUT_FILENO, buffer_);
  buffer_.clear();
}

void Output::line(std::string_view text) {
  raw(text);
  raw("\n");
}

void Output::object(const Value& value) {
  std::string text;
  append_json(value, text);
  line(text);
}

Status Output::flush() {
  if (error_ == 0) error_ = write_all(STDOUT_FILENO, buffer_);
  buffer_.clear();
  if (error_ == 0) return {};
  const std::string message = std::string("standard output: write: ") + std::strerror(error_);
  if (error_ == EPIPE) return {Code::Cancelled, message};
  return {error_ == ENOSPC || error_ == EDQUOT ? Code::NoSpace : Code::IoError, message};
}

std::size_t Output::terminal_columns() {
  if (::isatty(STDOUT_FILENO) == 0) return 0;
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

void print_error_line(std::string_view text) {
  const std::string whole = std::string(text) + "\n";
  // Where standard error itself fails there is nowhere left to say so.
  static_cast<void>(write_all(STDERR_FILENO, whole));
}

Facts& Facts::add(std::string_view name, Value value, std::string_view label, std::string text) {
  object_.set(name, std::move(value));
  if (!label.empty() && !text.empty()) remark(label, std::move(text));
  return *this;
}

Facts& Facts::text(std::string_view name, std::string_view label, std::string_view value) {
  const std::string valid = as_utf8(value);
  return add(name, valid, label, valid);
}

Facts& Facts::count(std::string_view name, std::string_view label, std::uint64_t value) {
  return add(name, value, label, grouped(value));
}

Facts& Facts::bytes(std::string_view name, std::string_view label, std::uint64_t value) {
  return add(name, value, label, human_bytes(value));
}

Facts& Facts::seconds(std::string_view name, std::string_view label, double value) {
  return add(name, value, label, human_seconds(value));
}

Facts& Facts::remark(std::string_view label, std::string text) {
  lines_.push_back({std::string(label), std::move(text)});
  return *this;
}

std::vector<std::string> Facts::lines() const {
  std::size_t width = 0;
  for (const Line& line : lines_) width = std::max(width, display_width(line.label));
  std::vector<std::string> result;
  for (const Line& line : lines_)
    result.push_back(line.label + std::string(width - display_width(line.label) + 2, ' ') + printable(line.text));
  return result;
}

void Facts::print(Output& out) const {
  if (out.json()) return out.object(object_);
  for (const std::string& line : lines()) out.line(line);
}

void Table::row(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = printable(cell);
  if (settled_) return print(cells);
  waiting_.push_back(std::move(cells));
  if (waiting_.size() >= kRowsMeasured) settle();
}

void Table::finish() {
  if (!settled_ && !waiting_.empty()) settle();
}

void Table::settle() {
  settled_ = true;
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  waiting_.insert(waiting_.begin(), titles);
  widths_.assign(columns_.size(), 0);
  for (const auto& cells : waiting_)
    for (std::size_t i = 0; i < columns_.size(); ++i)
      widths_[i] = std::max(widths_[i], std::min(display_width(cells[i]), kOtherColumnMax));

  const std::size_t terminal = Output::terminal_columns();
  std::size_t taken = 0;
  for (std::size_t i = 0; i + 1 < columns_.size(); ++i) taken += widths_[i] + 2;
  const std::size_t line = terminal == 0 ? kColumnsWithoutTerminal : terminal;
  columns_of_last_ = std::max(kLastColumnMin, line > taken ? line - taken : 0);
  for (const auto& cells : waiting_) print(cells);
  waiting_.clear();
}

void Table::print(const std::vector<std::string>& cells) {
  std::string line;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const bool last = i + 1 == columns_.size();
    // A cell that is wider than its column is an id or a name that someone will copy: it stays whole.
    const std::string cell = last && columns_[i].align == Align::Left ? fitted(cells[i], columns_of_last_) : cells[i];
    const std::size_t width = display_width(cell);
    const std::string padding(widths_[i] > width ? widths_[i] - width : 0, ' ');
    if (columns_[i].align == Align::Right)
      line += padding + cell;
    else
      line += last ? cell : cell + padding;
    if (!last) line += "  ";
  }
  while (line.ends_with(' ')) line.pop_back();
  out_.line(line);
}

Value shortest(float value) {
  std::string text;
  append_json_float(value, text);
  double number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return text == "null" ? Value() : Value(number);
}

}  // namespace mneme::tools
