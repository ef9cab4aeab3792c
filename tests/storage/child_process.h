// Work in a child process that is killed at a random moment, or that reports by its exit code.
//
// A store's background threads do not survive a fork: a process that forks must not have opened one itself.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <iostream>
#include <memory>
#include <new>
#include <string>

#include "mneme/base/result.h"

namespace mneme::storage {

/// A T that parent and children see alike, zeroed at first.
template <class T>
class SharedMemory {
 public:
  SharedMemory() {
    void* memory = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    value_ = new (memory) T();
  }
  ~SharedMemory() { ::munmap(value_, sizeof(T)); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  T& operator*() const { return *value_; }
  T* operator->() const { return value_; }

 private:
  T* value_;
};

/// In a child: ends it with words on standard error.
[[noreturn]] inline void fail_child(const std::string& what) {
  std::cerr << "child: " << what << std::endl;
  ::_exit(1);
}
inline void check_in_child(const Status& status, const std::string& what) {
  if (!status) fail_child(what + ": " + status.to_string());
}
inline void check_in_child(bool holds, const std::string& what) {
  if (!holds) fail_child(what);
}

/// The system sends SIGKILL to this process after `delay`.
inline void kill_this_process_after(std::chrono::microseconds delay) {
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGKILL;
  timer_t timer;
  itimerspec when{};
  when.it_value.tv_sec = delay.count() / 1'000'000;
  when.it_value.tv_nsec = delay.count() % 1'000'000 * 1000 + 1;
  if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || ::timer_settime(timer, 0, &when, nullptr) != 0)
    fail_child("no timer to kill by");
}

/// Runs `work` in a child and returns its wait status.
inline int run_in_child(const std::function<void()>& work) {
  std::cout.flush();
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    ::_exit(0);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return -1;
  return status;
}

/// `work` runs until it is killed, by a clock that it starts itself; it must not end by itself.
inline void run_until_killed(const std::function<void()>& work) {
  const int status = run_in_child(work);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "wait status " << status;
}
/// The same, by a clock that starts with it.
inline void run_until_killed(std::chrono::microseconds delay, const std::function<void()>& work) {
  run_until_killed([&] {
    kill_this_process_after(delay);
    work();
  });
}

inline void expect_success_in_child(const std::function<void()>& work) {
  const int status = run_in_child(work);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "wait status " << status;
}

}  // namespace mneme::storage
