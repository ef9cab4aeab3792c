// What a command prints: data on standard output, for people or as JSON, and remarks on standard error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mneme/base/result.h"
#include "mneme/base/value.h"

namespace mneme::tools {

/// Standard output, buffered. A failed write is remembered and what follows is thrown away.
/// Threads: one.
class Output {
 public:
  explicit Output(const bool& json) : json_(json) {}
  bool json() const { return json_; }

  void line(std::string_view text);  ///< adds the line's end
  void object(const Value& value);   ///< one line of JSON
  void raw(std::string_view bytes);

  /// Nobody reads any more, or the disk is full: go on without printing, or stop.
  bool failed() const { return error_ != 0; }
  /// Writes out what is buffered. @error NoSpace, IoError; Cancelled  the reader went away (a closed pipe)
  Status flush();

  /// Columns of the terminal behind standard output; 0 when it is none.
  static std::size_t terminal_columns();

 private:
  const bool& json_;
  std::string buffer_;
  int error_ = 0;
};

/// One whole line on standard error, in one write, so that lines of several threads do not mix.
void print_error_line(std::string_view text);

/// A summary: one object in JSON, one aligned line per fact for people.
class Facts {
 public:
  /// `name` for JSON, `label` for people; an empty label or text is for JSON alone.
  Facts& add(std::string_view name, Value value, std::string_view label = {}, std::string text = {});
  Facts& text(std::string_view name, std::string_view label, std::string_view value);
  Facts& count(std::string_view name, std::string_view label, std::uint64_t value);
  Facts& bytes(std::string_view name, std::string_view label, std::uint64_t value);
  Facts& seconds(std::string_view name, std::string_view label, double value);
  /// A line for people alone.
  Facts& remark(std::string_view label, std::string text);

  const Value& value() const { return object_; }
  std::vector<std::string> lines() const;
  void print(Output& out) const;

 private:
  struct Line {
    std::string label, text;
  };
  Value object_{Value::Object{}};
  std::vector<Line> lines_;
};

/// Rows for people, in aligned columns: the first rows decide the widths, the rest is printed as it comes.
/// The last column takes what is left of the terminal and is cut there.
class Table {
 public:
  enum class Align { Left, Right };
  struct Column {
    std::string title;
    Align align = Align::Left;
  };
  Table(Output& out, std::vector<Column> columns) : out_(out), columns_(std::move(columns)) {}
  void row(std::vector<std::string> cells);
  /// Prints what is still held back.
  void finish();

 private:
  static constexpr std::size_t kRowsMeasured = 64;
  void settle();
  void print(const std::vector<std::string>& cells);

  Output& out_;
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> waiting_;
  std::vector<std::size_t> widths_;
  std::size_t columns_of_last_ = 0;
  bool settled_ = false;
};

/// The double that prints as the shortest text which reads back to `value`: 0.1F → 0.1.
Value shortest(float value);

}  // namespace mneme::tools
