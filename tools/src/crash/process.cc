#include "process.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace mneme::crash {

namespace {

constexpr char kReadyByte = 'r';

[[noreturn]] void fail(const char* call) { throw std::runtime_error(std::string(call) + ": " + std::strerror(errno)); }

}  // namespace

Child::Child(const std::function<int(const std::function<void()>&)>& body) {
  int ends[2];
  if (::pipe(ends) != 0) fail("pipe");
  std::fflush(nullptr);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) fail("fork");
  if (pid_ > 0) {
    ::close(ends[1]);
    pipe_ = ends[0];
    return;
  }
  ::close(ends[0]);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  int code = 1;
  try {
    code = body([&] {
      if (::write(ends[1], &kReadyByte, 1) != 1) ::_exit(1);
    });
  } catch (const std::exception& error) {
    std::fprintf(stderr, "child: %s\n", error.what());
  }
  std::fflush(nullptr);
  ::_exit(code);
}

Child::~Child() {
  if (pid_ > 0) static_cast<void>(kill());
  ::close(pipe_);
}

Child::Event Child::wait_ready(std::chrono::microseconds limit) { return poll(limit, true); }

bool Child::ends_within(std::chrono::microseconds limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::microseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    const Event event = poll(left, true);
    if (event != Event::Ready) return event == Event::Ended;
  }
}

// The pipe tells all: a byte when the child is ready, its end when the child has ended.
Child::Event Child::poll(std::chrono::microseconds limit, bool take_ready) {
  const timespec time{limit.count() / 1'000'000, (limit.count() % 1'000'000) * 1'000};
  pollfd watched{pipe_, POLLIN, 0};
  const int events = ::ppoll(&watched, 1, &time, nullptr);
  if (events < 0 && errno != EINTR) fail("ppoll");
  if (events <= 0) return Event::Timeout;
  if (!take_ready) return Event::Timeout;
  char byte;
  return ::read(pipe_, &byte, 1) == 1 ? Event::Ready : Event::Ended;
}

Child::End Child::kill() {
  if (::kill(pid_, SIGKILL) == 0) killed_ = true;
  return reap();
}

Child::End Child::join() { return reap(); }

Child::End Child::reap() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0)
    if (errno != EINTR) fail("waitpid");
  pid_ = -1;
  End end;
  if (WIFEXITED(status)) end.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  end.killed_by_us = killed_ && end.signal == SIGKILL;
  return end;
}

std::string Child::End::to_string() const {
  if (exit_code) return "exited with " + std::to_string(*exit_code);
  return "died of signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
}

}  // namespace mneme::crash
