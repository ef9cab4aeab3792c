// Child processes that are killed, and memory that outlives them.
#pragma once

#include <sys/mman.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>

#include "mneme/base/result.h"

namespace mneme::crash {

/// One T in memory that the parent owns and its children share. T's constructor runs in the parent; its members must be
/// usable by a reader after a writer was killed between any two instructions.
template <class T>
class SharedMemory {
 public:
  SharedMemory() {
    void* at = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    value_ = new (at) T();
  }
  ~SharedMemory() { ::munmap(value_, sizeof(T)); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  T* operator->() const { return value_; }
  T& operator*() const { return *value_; }

 private:
  T* value_;
};

/// A forked process that runs `body` and exits with its value. It dies with its parent.
/// The parent must have one thread only.
class Child {
 public:
  /// `body` gets a function that tells the parent that the interesting part begins.
  explicit Child(const std::function<int(const std::function<void()>& ready)>& body);
  ~Child();  ///< kills it when it still runs
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  enum class Event { Ready, Ended, Timeout };
  /// Waits until the child says it is ready, ends, or the time is over.
  Event wait_ready(std::chrono::microseconds limit);
  /// Lets it run on. True when it ended by itself meanwhile.
  bool ends_within(std::chrono::microseconds limit);

  struct End {
    std::optional<int> exit_code;
    int signal = 0;
    bool killed_by_us = false;
    std::string to_string() const;
  };
  /// SIGKILL, then the end it came to (it may have ended by itself just before).
  End kill();
  /// Waits for its own end.
  End join();

 private:
  Event poll(std::chrono::microseconds limit, bool take_ready);
  End reap();
  pid_t pid_ = -1;
  int pipe_ = -1;
  bool killed_ = false;
};

}  // namespace mneme::crash
