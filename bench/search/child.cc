#include "search/child.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "core/report.h"

namespace mneme::bench {
namespace {

pid_t spawn(const std::vector<std::string>& command, const posix_spawn_file_actions_t* actions) {
  std::vector<std::string> words = command;
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t process = 0;
  return posix_spawn(&process, arguments[0], actions, nullptr, arguments.data(), environ) == 0 ? process : -1;
}

int wait_for(pid_t process) {
  int status = 0;
  if (process <= 0 || waitpid(process, &status, 0) != process) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

Child::Child(const std::vector<std::string>& command) {
  std::signal(SIGPIPE, SIG_IGN);  // a program that has ended shows by its missing answer
  int to[2], from[2];
  require(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0, "pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to[0], 0);
  posix_spawn_file_actions_adddup2(&actions, from[1], 1);
  process_ = spawn(command, &actions);
  posix_spawn_file_actions_destroy(&actions);
  ::close(to[0]);
  ::close(from[1]);
  requests_ = fdopen(to[1], "w");
  answers_ = fdopen(from[0], "r");
  require(requests_ != nullptr && answers_ != nullptr, "pipe");
}

Child::~Child() {
  std::fclose(requests_);  // end of input ends the program
  std::fclose(answers_);
  wait_for(process_);
}

std::string Child::ask(const std::string& line) {
  std::fprintf(requests_, "%s\n", line.c_str());
  std::fflush(requests_);
  char* answer = nullptr;
  std::size_t capacity = 0;
  const ssize_t length = ::getline(&answer, &capacity, answers_);
  std::string text = length > 0 ? std::string(answer, static_cast<std::size_t>(length)) : std::string();
  std::free(answer);
  return text;
}

int run(const std::vector<std::string>& command) { return wait_for(spawn(command, nullptr)); }

}  // namespace mneme::bench
