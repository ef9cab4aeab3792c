// Mutexes that name what they guard; Clang's -Wthread-safety checks the names.
#pragma once

#include <condition_variable>
#include <mutex>
#include <shared_mutex>

#if defined(__clang__)
#define MNEME_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define MNEME_THREAD_ANNOTATION(x)
#endif

#define MNEME_GUARDED_BY(x) MNEME_THREAD_ANNOTATION(guarded_by(x))
#define MNEME_REQUIRES(...) MNEME_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define MNEME_REQUIRES_SHARED(...) MNEME_THREAD_ANNOTATION(requires_shared_capability(__VA_ARGS__))
#define MNEME_EXCLUDES(...) MNEME_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define MNEME_NO_THREAD_SAFETY_ANALYSIS MNEME_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace mneme {

class MNEME_THREAD_ANNOTATION(capability("mutex")) Mutex {
 public:
  void lock() MNEME_THREAD_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void unlock() MNEME_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }
  bool try_lock() MNEME_THREAD_ANNOTATION(try_acquire_capability(true)) { return mutex_.try_lock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class MNEME_THREAD_ANNOTATION(capability("shared_mutex")) SharedMutex {
 public:
  void lock() MNEME_THREAD_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void unlock() MNEME_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }
  void lock_shared() MNEME_THREAD_ANNOTATION(acquire_shared_capability()) { mutex_.lock_shared(); }
  void unlock_shared() MNEME_THREAD_ANNOTATION(release_shared_capability()) { mutex_.unlock_shared(); }

 private:
  std::shared_mutex mutex_;
};

class MNEME_THREAD_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) MNEME_THREAD_ANNOTATION(acquire_capability(mutex)) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() MNEME_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

class MNEME_THREAD_ANNOTATION(scoped_lockable) WriterLock {
 public:
  explicit WriterLock(SharedMutex& mutex) MNEME_THREAD_ANNOTATION(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.lock();
  }
  ~WriterLock() MNEME_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

 private:
  SharedMutex& mutex_;
};

class MNEME_THREAD_ANNOTATION(scoped_lockable) ReaderLock {
 public:
  explicit ReaderLock(SharedMutex& mutex) MNEME_THREAD_ANNOTATION(acquire_shared_capability(mutex)) : mutex_(mutex) {
    mutex_.lock_shared();
  }
  ~ReaderLock() MNEME_THREAD_ANNOTATION(release_capability()) { mutex_.unlock_shared(); }
  ReaderLock(const ReaderLock&) = delete;
  ReaderLock& operator=(const ReaderLock&) = delete;

 private:
  SharedMutex& mutex_;
};

/// Waits with a Mutex held. Always wait in a loop, or with a predicate.
class CondVar {
 public:
  void wait(Mutex& mutex) MNEME_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  template <class Rep, class Period>
  std::cv_status wait_for(Mutex& mutex, std::chrono::duration<Rep, Period> limit) MNEME_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const std::cv_status status = condition_.wait_for(lock, limit);
    lock.release();
    return status;
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace mneme
