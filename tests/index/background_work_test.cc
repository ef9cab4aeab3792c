// Work in the background runs once, in as many threads as it may.
#include "background_work.h"

#include <gtest/gtest.h>
#include <tbb/info.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace mneme::index {
namespace {

int processors() { return std::max(1, tbb::info::default_concurrency()); }

/// How many threads the arena of whoever asks has.
int here() { return tbb::this_task_arena::max_concurrency(); }

/// Shared with jobs, which may still hold it when the test has seen what it waits for.
struct Counts {
  explicit Counts(std::size_t jobs) : runs(jobs) {}
  std::vector<std::atomic<int>> runs;
  std::atomic<int> now{0}, most{0};
  std::atomic<std::size_t> done{0};
};

TEST(BackgroundWork, RunsEveryJobOnceNeverMoreAtATimeThanHalfTheProcessors) {
  constexpr std::size_t kJobs = 500;
  const auto counts = std::make_shared<Counts>(kJobs);
  const auto job = [counts](std::size_t i) {
    const int together = ++counts->now;
    for (int seen = counts->most; seen < together && !counts->most.compare_exchange_weak(seen, together);) {
    }
    ++counts->runs[i];
    --counts->now;
    if (++counts->done == kJobs) counts->done.notify_all();
  };
  std::vector<std::thread> askers;
  for (std::size_t a = 0; a < 4; ++a)
    askers.emplace_back([&job, a] {
      for (std::size_t i = a; i < kJobs; i += 4) EXPECT_TRUE(run_in_background([job, i] { job(i); }));
    });
  for (std::thread& asker : askers) asker.join();
  for (std::size_t seen = counts->done; seen < kJobs; seen = counts->done) counts->done.wait(seen);
  for (const auto& count : counts->runs) EXPECT_EQ(count, 1);
  EXPECT_LE(counts->most, std::max(1, processors() / 2));
}

// An arena takes its size from the one in which it is made; a caller that searches on one thread made this one so small
// that all work in the background ran on one.
TEST(BackgroundWork, HasItsShareOfTheMachineWhoeverAsksFirst) {
  tbb::task_arena one(1);
  one.execute([] {
    EXPECT_EQ(here(), 1);
    with_the_whole_machine([] { EXPECT_EQ(here(), processors()); });
    with_half_the_machine([] { EXPECT_EQ(here(), std::max(1, processors() / 2)); });
  });
  const auto in_a_job = std::make_shared<std::atomic<int>>(0);
  ASSERT_TRUE(run_in_background([in_a_job] {
    with_the_whole_machine([&] { *in_a_job = here(); });
    in_a_job->notify_all();
  }));
  in_a_job->wait(0);
  EXPECT_EQ(*in_a_job, processors());
}

}  // namespace
}  // namespace mneme::index
