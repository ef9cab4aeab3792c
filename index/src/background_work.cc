#include "background_work.h"

#include <sys/resource.h>
#include <tbb/info.h>
#include <tbb/task_arena.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "mneme/base/mutex.h"

namespace mneme::index {
namespace {

constexpr int kNiceOfLongOnes = 10;  // searches and writers that want a processor have it

// Of the machine, not of the arena in which somebody happens to ask first.
int processors() { return std::max(1, tbb::info::default_concurrency()); }
int half_the_processors() { return std::max(1, processors() / 2); }
int a_quarter_of_the_processors() { return std::max(1, processors() / 4); }

// What is made once is never destroyed: a thread may still be in it while the process ends.
tbb::task_arena& made(int threads) { return *new tbb::task_arena(threads, 1, tbb::task_arena::priority::low); }

// Searches keep the other half.
tbb::task_arena& half() {
  static tbb::task_arena& arena = made(half_the_processors());
  return arena;
}

tbb::task_arena& quarter() {
  static tbb::task_arena& arena = made(a_quarter_of_the_processors());
  return arena;
}

tbb::task_arena& whole() {
  static tbb::task_arena& arena = made(processors());
  return arena;
}

// Threads that end when there is nothing to do. Not workers of oneTBB: it has one less than there are processors, for it
// counts on the thread that asks, and a worker that asks would work alone on a machine with two.
class Jobs {
 public:
  Jobs(int threads_max, tbb::task_arena& arena, int nice) : threads_max_(threads_max), arena_(arena), nice_(nice) {}
  static Jobs& long_ones() {
    static Jobs& jobs = *new Jobs(half_the_processors(), half(), kNiceOfLongOnes);
    return jobs;
  }
  static Jobs& short_ones() {
    static Jobs& jobs = *new Jobs(a_quarter_of_the_processors(), quarter(), 0);
    return jobs;
  }

  Status add(std::function<void()> job) try {
    MutexLock lock(mutex_);
    waiting_.push_back(std::move(job));
    if (threads_ >= threads_max_) return ok_status();
    try {
      std::thread([this] { run(); }).detach();
      ++threads_;
    } catch (const std::system_error& failure) {
      if (threads_ > 0) return ok_status();
      waiting_.pop_back();
      return {Code::Busy, std::string("index: no thread for work in the background: ") + failure.what()};
    }
    return ok_status();
  } catch (const std::bad_alloc&) {
    return {Code::Busy, "index: no memory for work in the background"};
  }

 private:
  void run() {
    // Of this thread alone. Where that is refused, it competes as any other.
    if (nice_ != 0) static_cast<void>(setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), nice_));
    while (const std::function<void()> job = next()) arena_.execute(job);
  }
  // Nothing: this thread ends.
  std::function<void()> next() {
    MutexLock lock(mutex_);
    if (waiting_.empty()) {
      --threads_;
      return {};
    }
    std::function<void()> job = std::move(waiting_.front());
    waiting_.pop_front();
    return job;
  }

  const int threads_max_;
  tbb::task_arena& arena_;
  const int nice_;
  Mutex mutex_;
  std::deque<std::function<void()>> waiting_ MNEME_GUARDED_BY(mutex_);
  int threads_ MNEME_GUARDED_BY(mutex_) = 0;
};

}  // namespace

Status run_in_background(std::function<void()> job) { return Jobs::long_ones().add(std::move(job)); }
Status run_in_background_at_once(std::function<void()> job) { return Jobs::short_ones().add(std::move(job)); }
void with_half_the_machine(const std::function<void()>& work) { half().execute(work); }
void with_the_whole_machine(const std::function<void()>& work) { whole().execute(work); }

}  // namespace mneme::index
