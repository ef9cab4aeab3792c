// Signal handlers.
#include "signals.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace mneme::tools {

namespace {

std::atomic<bool> stop_wanted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler stores to it");

// Whoever waits for input waits for this pipe as well: a signal between a look at the flag and the wait, or in another
// thread, still ends the wait.
int wake_reader = -1, wake_writer = -1;

void on_interrupt(int) {
  const int error = errno;
  stop_wanted.store(true, std::memory_order_relaxed);
  if (::write(wake_writer, "", 1) < 0) {
    // The pipe is full: it has been written to before.
  }
  errno = error;
}

}  // namespace

void install_signal_handlers() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) {
    wake_reader = ends[0];
    wake_writer = ends[1];
  }
  struct sigaction interrupt {};
  interrupt.sa_handler = on_interrupt;
  // SA_RESETHAND: the second one finds the default, which ends the process.
  interrupt.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
  ::sigemptyset(&interrupt.sa_mask);
  ::sigaction(SIGINT, &interrupt, nullptr);
  ::sigaction(SIGTERM, &interrupt, nullptr);

  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigemptyset(&ignore.sa_mask);
  ::sigaction(SIGPIPE, &ignore, nullptr);
}

bool interrupted() { return stop_wanted.load(std::memory_order_relaxed); }

bool wait_readable(int descriptor) {
  pollfd both[] = {{descriptor, POLLIN, 0}, {wake_reader, POLLIN, 0}};
  while (!interrupted()) {
    // An error here shows itself again, with its reason, in the read that follows.
    if (::poll(both, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return true;
    }
    if (both[0].revents != 0) return true;
  }
  return false;
}

bool reader_is_gone() {
  pollfd output{STDOUT_FILENO, 0, 0};
  return ::poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

}  // namespace mneme::tools
