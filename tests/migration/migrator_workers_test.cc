// Threads under one watcher, and what they tell of their progress.
#include <gtest/gtest.h>

#include <set>

#include "mneme/base/mutex.h"
#include "workers.h"

namespace mneme::migration {
namespace {

const std::function<bool()> kGoOn = [] { return true; };

TEST(RunWorkers, DoesEveryItemOnce) {
  for (const unsigned workers : {1U, 3U, 50U}) {
    Mutex mutex;
    std::multiset<std::size_t> done;
    const Status ran = run_workers(
        workers, 20,
        [&](std::size_t item, const StopFlag&) {
          MutexLock lock(mutex);
          done.insert(item);
          return Status();
        },
        kGoOn);
    EXPECT_TRUE(ran.ok()) << ran.to_string();
    EXPECT_EQ(done.size(), 20u);
    EXPECT_EQ(std::set<std::size_t>(done.begin(), done.end()).size(), 20u);
  }
}

TEST(RunWorkers, IsOkWithNothingToDo) {
  EXPECT_TRUE(run_workers(
                  4, 0, [](std::size_t, const StopFlag&) { return Status(Code::Internal, "called"); }, kGoOn)
                  .ok());
}

TEST(RunWorkers, ReturnsTheFirstErrorAndStopsTheOthers) {
  std::atomic<int> begun{0};
  const Status ran = run_workers(
      4, 1'000,
      [&](std::size_t item, const StopFlag& stop) {
        ++begun;
        if (item == 2) return Status(Code::IoError, "item 2");
        while (item < 4 && !stop.is_set()) std::this_thread::yield();
        return stop.is_set() ? stopped_early() : Status();
      },
      kGoOn);
  EXPECT_EQ(ran.code(), Code::IoError) << ran.to_string();
  EXPECT_LE(begun, 8);
}

TEST(RunWorkers, StopsWhenTheWatcherCancels) {
  const Status ran = run_workers(
      2, 2,
      [](std::size_t, const StopFlag& stop) {
        while (!stop.is_set()) std::this_thread::yield();
        return stopped_early();
      },
      [] { return false; });
  EXPECT_EQ(ran.code(), Code::Cancelled);
}

TEST(RunWorkers, TurnsAnExceptionIntoAnError) {
  const Status ran = run_workers(
      2, 5, [](std::size_t, const StopFlag&) -> Status { throw std::bad_alloc(); }, kGoOn);
  EXPECT_EQ(ran.code(), Code::Internal);
  EXPECT_NE(ran.message().find("bad_alloc"), std::string::npos);
}

class MeterTest : public ::testing::Test {
 protected:
  MeterTest()
      : meter_(
            [this](const Progress& progress) {
              last_ = progress;
              return true;
            },
            clock_) {}

  Progress after(std::chrono::seconds time, std::uint64_t records) {
    clock_.advance(time);
    meter_.add({records, 10 * records});
    EXPECT_TRUE(meter_.report());
    return last_;
  }

  ManualClock clock_;
  ProgressMeter meter_;
  Progress last_;
};

TEST_F(MeterTest, TellsARateAndWhenItWillBeDone) {
  meter_.begin("copy", {1'000, 10'000});
  const Progress progress = after(std::chrono::seconds(2), 200);
  EXPECT_EQ(progress.phase, "copy");
  EXPECT_EQ(progress.done, 200u);
  EXPECT_EQ(progress.bytes_done, 2'000u);
  EXPECT_DOUBLE_EQ(progress.records_per_second, 100);
  ASSERT_TRUE(progress.eta_seconds.has_value());
  EXPECT_DOUBLE_EQ(*progress.eta_seconds, 8);
}

TEST_F(MeterTest, ForgetsHowFastItOnceWas) {
  meter_.begin("copy", {100'000, 0});
  after(std::chrono::seconds(1), 10'000);
  for (int second = 0; second < 20; ++second) after(std::chrono::seconds(1), 10);
  EXPECT_NEAR(last_.records_per_second, 10, 1e-9);
}

TEST_F(MeterTest, DoesNotCountWhatWasDoneBeforeAsSpeed) {
  meter_.begin("copy", {1'000, 0}, {900, 0});
  const Progress progress = after(std::chrono::seconds(1), 10);
  EXPECT_EQ(progress.done, 910u);
  EXPECT_DOUBLE_EQ(progress.records_per_second, 10);
}

TEST_F(MeterTest, GivesNoEstimateWithoutARate) {
  meter_.begin("copy", {1'000, 0});
  EXPECT_FALSE(after(std::chrono::seconds(0), 0).eta_seconds.has_value());
}

}  // namespace
}  // namespace mneme::migration
