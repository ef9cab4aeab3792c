// The real command in a directory of its own: mneme("put", …) runs it and hands back what it printed.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mneme/base/json.h"
#include "mneme/base/value.h"

namespace mneme::tools {

/// How a run of the command ended.
struct Ran {
  int exit_code = -1;  ///< 128 + signal where a signal ended it
  std::string out, err;
};

/// Every line parsed; a line that is no JSON object fails the test.
std::vector<Value> objects_of(std::string_view text);
std::vector<std::string> lines_of(std::string_view text);
/// A member's text, number or JSON; "absent" when it is not there.
std::string member(const Value& object, std::string_view name);
/// {"error": {...}} of the last line on standard error. `name`: code, message or hint.
std::string error_member(const Ran& ran, std::string_view name);

/// A command that is still running.
class Running {
 public:
  Running(pid_t pid, std::filesystem::path out, std::filesystem::path err)
      : pid_(pid), out_(std::move(out)), err_(std::move(err)) {}
  Running(Running&& other) noexcept;
  ~Running();  ///< kills it when nobody waited
  void signal(int number) const;
  Ran wait();
  pid_t pid() const { return pid_; }
  bool ended();

 private:
  pid_t pid_;
  std::filesystem::path out_, err_;
  std::optional<int> status_;
};

class CliTest : public ::testing::Test {
 protected:
  CliTest();
  ~CliTest() override;

  /// From now on the command runs with NAME=VALUE in its environment; an empty value takes it away.
  void environment(std::string_view name, std::string_view value);
  /// Runs `mneme ARGUMENTS` in the test's directory, standard input from `input`.
  Ran run(const std::vector<std::string>& arguments, std::string_view input = {});
  Running start(const std::vector<std::string>& arguments);
  /// Runs a line of bash that finds the command as `mneme`.
  Ran shell(const std::string& line);
  template <class... Arguments>
  Ran mneme(Arguments&&... arguments) {
    return run({std::string(std::forward<Arguments>(arguments))...});
  }
  /// Standard output of a run that must succeed.
  template <class... Arguments>
  std::string done(Arguments&&... arguments) {
    return done_with({std::string(std::forward<Arguments>(arguments))...});
  }
  std::string done_with(const std::vector<std::string>& arguments);
  /// One object per line of a command with --json before it, which must succeed.
  template <class... Arguments>
  std::vector<Value> objects(Arguments&&... arguments) {
    return objects_of(done_with({"--json", std::string(std::forward<Arguments>(arguments))...}));
  }
  /// The one object of such a command.
  template <class... Arguments>
  Value object(Arguments&&... arguments) {
    std::vector<Value> all = objects(std::forward<Arguments>(arguments)...);
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? Value() : all.front();
  }

  /// A database "mind" of dimension 3 with the space "notes".
  void make_mind(const std::string& dimension = "3");

  std::filesystem::path path(std::string_view name) const { return directory_ / name; }
  void write(std::string_view name, std::string_view content) const;
  std::string read(std::string_view name) const;
  /// Every file below `name` with its size and modification time.
  std::vector<std::string> listing(std::string_view name) const;

 private:
  std::filesystem::path directory_;
  int runs_ = 0;
  Running start_program(const std::vector<std::string>& words);
  std::vector<std::string> environment_;
};

}  // namespace mneme::tools
