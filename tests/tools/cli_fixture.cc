// Running the command: fork, exec, files for its output.
#include "cli_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace mneme::tools {

namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  EXPECT_TRUE(stream.good()) << file;
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> result;
  for (std::string& word : words) result.push_back(word.data());
  result.push_back(nullptr);
  return result;
}

int exit_code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

// The child's side: standard files, directory, program. Only calls that are safe behind a fork.
[[noreturn]] void become(char* const* argv, char* const* environment, const char* directory, const char* in,
                         const char* out, const char* err) {
  const int input = ::open(in, O_RDONLY);
  const int output = ::open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const int error = ::open(err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const bool ready =
      ::dup2(input, 0) == 0 && ::dup2(output, 1) == 1 && ::dup2(error, 2) == 2 && ::chdir(directory) == 0;
  if (ready) ::execve(argv[0], argv, environment);
  ::_exit(126);
}

}  // namespace

Running::Running(Running&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)),
      status_(other.status_) {}

Running::~Running() {
  if (pid_ < 0 || status_) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
}

void Running::signal(int number) const { ::kill(pid_, number); }

bool Running::ended() {
  int status = 0;
  if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
  return status_.has_value();
}

Ran Running::wait() {
  int status = 0;
  if (!status_ && ::waitpid(pid_, &status, 0) == pid_) status_ = status;
  Ran ran;
  ran.exit_code = status_ ? exit_code_of(*status_) : -1;
  ran.out = read_file(out_);
  ran.err = read_file(err_);
  return ran;
}

CliTest::CliTest() {
  std::string name = (fs::temp_directory_path() / "mneme-cli-XXXXXX").string();
  EXPECT_NE(::mkdtemp(name.data()), nullptr);
  directory_ = name;
  for (char** entry = environ; *entry != nullptr; ++entry) environment_.emplace_back(*entry);
  fs::create_directory(directory_ / ".runs");
}

CliTest::~CliTest() {
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

void CliTest::environment(std::string_view name, std::string_view value) {
  const std::string prefix = std::string(name) + "=";
  std::erase_if(environment_, [&](const std::string& entry) { return entry.starts_with(prefix); });
  if (!value.empty()) environment_.push_back(prefix + std::string(value));
}

Running CliTest::start_program(const std::vector<std::string>& words) {
  const std::string base = (directory_ / ".runs" / std::to_string(++runs_)).string();
  const fs::path in = base + ".in", out = base + ".out", err = base + ".err";
  if (!fs::exists(in)) std::ofstream(in).close();
  std::vector<std::string> owned = words, variables = environment_;
  const std::vector<char*> argv = pointers(owned), envp = pointers(variables);
  const pid_t pid = ::fork();
  if (pid == 0) become(argv.data(), envp.data(), directory_.c_str(), in.c_str(), out.c_str(), err.c_str());
  EXPECT_GT(pid, 0);
  return Running(pid, out, err);
}

Running CliTest::start(const std::vector<std::string>& arguments) {
  std::vector<std::string> words{MNEME_BINARY};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return start_program(words);
}

Ran CliTest::shell(const std::string& line) {
  const std::string bin = fs::path(MNEME_BINARY).parent_path().string();
  return start_program({"/bin/bash", "-c", "PATH=" + bin + ":$PATH; " + line}).wait();
}

Ran CliTest::run(const std::vector<std::string>& arguments, std::string_view input) {
  std::ofstream(directory_ / ".runs" / (std::to_string(runs_ + 1) + ".in"), std::ios::binary) << input;
  return start(arguments).wait();
}

std::string CliTest::done_with(const std::vector<std::string>& arguments) {
  const Ran ran = run(arguments);
  std::string shown = "mneme";
  for (const std::string& argument : arguments) shown += " " + argument.substr(0, 200);
  EXPECT_EQ(ran.exit_code, 0) << shown << "\n" << ran.err;
  return ran.out;
}

void CliTest::make_mind(const std::string& dimension) {
  done("init", "mind", "--dim", dimension);
  done("space", "create", "mind", "notes");
}

void CliTest::write(std::string_view name, std::string_view content) const {
  std::ofstream stream(path(name), std::ios::binary);
  stream << content;
  ASSERT_TRUE(stream.good());
}

std::string CliTest::read(std::string_view name) const { return read_file(path(name)); }

std::vector<std::string> CliTest::listing(std::string_view name) const {
  std::vector<std::string> entries;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path(name)))
    if (entry.is_regular_file())
      entries.push_back(entry.path().string() + " " + std::to_string(entry.file_size()) + " " +
                        std::to_string(entry.last_write_time().time_since_epoch().count()));
  std::sort(entries.begin(), entries.end());
  return entries;
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::vector<Value> objects_of(std::string_view text) {
  std::vector<Value> objects;
  for (const std::string& line : lines_of(text)) {
    const auto value = parse_json(line);
    EXPECT_TRUE(value.ok() && value->is_object()) << "no JSON object: " << line.substr(0, 500);
    if (value.ok()) objects.push_back(*value);
  }
  return objects;
}

std::string member(const Value& object, std::string_view name) {
  const Value* value = object.find(name);
  if (value == nullptr) return "absent";
  const auto* text = value->get_if<std::string>();
  return text != nullptr ? *text : to_json(*value);
}

std::string error_member(const Ran& ran, std::string_view name) {
  const std::vector<Value> objects = objects_of(ran.err);
  if (objects.empty()) return "nothing on standard error";
  const Value* error = objects.back().find("error");
  return error == nullptr ? "no error in " + ran.err : member(*error, name);
}

}  // namespace mneme::tools
