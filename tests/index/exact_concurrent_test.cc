// One writer and many searchers: what a search may see while the index changes under it.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <set>
#include <thread>

#include "index_support.h"

namespace mneme::index {
namespace {

constexpr std::size_t kDimension = 8;
constexpr std::uint64_t kRows = 64;

// A row whose version can be read back from its vector, and is its score for version_query().
Floats encoded(std::uint64_t row, std::uint64_t version) {
  Floats values(kDimension);
  values[0] = static_cast<float>(row);
  values[1] = static_cast<float>(version);
  return values;
}
Floats version_query() { return {0, 1, 0, 0, 0, 0, 0, 0}; }

class OneWriter : public testing::Test {
 protected:
  // Runs `write(step)` for each step on this thread, `read()` again and again on three others until done. Every 64
  // steps the writer waits for one more read to end, so that reads and writes meet however few processors there are.
  template <class Write, class Read>
  void beside(std::size_t steps, Write write, Read read) {
    std::atomic<bool> done{false};
    std::atomic<std::size_t> reads{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i)
      readers.emplace_back([&] {
        while (!done.load() && !testing::Test::HasFailure()) {
          read();
          reads.fetch_add(1);
        }
      });
    for (std::size_t step = 0; step < steps && !testing::Test::HasFailure(); ++step) {
      write(step);
      for (const std::size_t seen = reads.load(); step % 64 == 0 && reads.load() == seen && !HasFailure();)
        std::this_thread::yield();
    }
    done.store(true);
    for (std::thread& reader : readers) reader.join();
  }

  std::unique_ptr<VectorIndex> index_ = make_exact_index(kDimension, Metric::InnerProduct);
};

TEST_F(OneWriter, ShowsEveryAddToTheSearchesThatStartAfterIt) {
  std::atomic<std::uint64_t> added{0};  // rows 0 … added − 1 are in
  beside(
      20'000,
      [&](std::size_t step) {
        ASSERT_TRUE(index_->add(RowId{step}, encoded(step, step + 1), Lsn{step + 1}));
        added.store(step + 1, std::memory_order_release);
      },
      [&] {
        const std::uint64_t before = added.load(std::memory_order_acquire);
        const Floats query = version_query();
        const auto hits = index_->search({.queries = query, .k = 1, .parallel = false});
        ASSERT_TRUE(hits);
        if (before > 0) {
          ASSERT_FALSE(hits.value()[0].empty());
          ASSERT_GE(hits.value()[0][0].row.value + 1, before) << "the newest row was not seen";
          ASSERT_NE(index_->find(RowId{before - 1}), kNoSlot);
        }
        ASSERT_GE(index_->slots(), before);
        ASSERT_GE(index_->reflected().value, before);
      });
}

// Each row is updated over and over; in batches of four updates that share an LSN. Every search must find each row
// exactly once, in a version no older than the last one finished before the search began.
TEST_F(OneWriter, ShowsEachUpdatedRowExactlyOnce) {
  std::array<std::atomic<std::uint64_t>, kRows> finished{};
  for (std::uint64_t row = 0; row < kRows; ++row) ASSERT_TRUE(index_->add(RowId{row}, encoded(row, 0), Lsn{1}));
  beside(
      20'000,
      [&](std::size_t step) {
        const std::uint64_t row = step * 7 % kRows;
        ASSERT_TRUE(index_->add(RowId{row}, encoded(row, step + 1), Lsn{2 + step / 4}));
        finished[row].store(step + 1, std::memory_order_release);
      },
      [&] {
        std::array<std::uint64_t, kRows> before;
        for (std::uint64_t row = 0; row < kRows; ++row) before[row] = finished[row].load(std::memory_order_acquire);
        const Floats query = version_query();
        const auto hits = index_->search({.queries = query, .k = 2 * kRows, .parallel = false});
        ASSERT_TRUE(hits);
        std::set<std::uint64_t> rows;
        for (const Hit& hit : hits.value()[0]) {
          ASSERT_TRUE(rows.insert(hit.row.value).second) << "row " << hit.row.value << " twice";
          ASSERT_GE(static_cast<std::uint64_t>(hit.score), before[hit.row.value]) << "an overwritten version";
        }
        ASSERT_EQ(rows.size(), kRows) << "a row was missing";
        for (std::uint64_t row = 0; row < kRows; ++row) {
          const Slot slot = index_->find(RowId{row});
          ASSERT_NE(slot, kNoSlot) << "row " << row;
          ASSERT_GE(static_cast<std::uint64_t>(index_->vector(slot)[1]), before[row]);
        }
      });
}

TEST_F(OneWriter, KeepsAViewStableWhileItGoesOn) {
  std::uint64_t lsn = 0;
  for (std::uint64_t step = 0; step < 500; ++step) {
    const std::uint64_t row = step * 11 % kRows;
    if (step % 5 == 4)
      ASSERT_TRUE(index_->erase(RowId{row}, Lsn{++lsn}));
    else
      ASSERT_TRUE(index_->add(RowId{row}, encoded(row, step), Lsn{++lsn}));
  }
  const Lsn pinned{lsn - 100};
  const Floats query = version_query();
  const SearchRequest request{.queries = query, .k = kRows, .as_of = pinned, .parallel = false};
  const auto first = index_->search(request);
  ASSERT_TRUE(first);
  beside(
      10'000,
      [&](std::size_t step) {
        const std::uint64_t row = step * 13 % (2 * kRows);
        if (step % 3 == 2)
          ASSERT_TRUE(index_->erase(RowId{row}, Lsn{++lsn}));
        else
          ASSERT_TRUE(index_->add(RowId{row}, encoded(row, step), Lsn{++lsn}));
      },
      [&] {
        const auto again = index_->search(request);
        ASSERT_TRUE(again);
        ASSERT_EQ(again.value()[0].size(), first.value()[0].size());
        for (std::size_t i = 0; i < again.value()[0].size(); ++i) {
          ASSERT_EQ(again.value()[0][i].slot, first.value()[0][i].slot);
          ASSERT_TRUE(index_->visible(again.value()[0][i].slot, pinned));
          ASSERT_EQ(index_->find(again.value()[0][i].row, pinned), again.value()[0][i].slot);
        }
      });
}

TEST_F(OneWriter, NeverShowsARowErasedBeforeTheSearch) {
  std::atomic<std::uint64_t> erased{0};  // rows below it are gone
  for (std::uint64_t row = 0; row < 5000; ++row) ASSERT_TRUE(index_->add(RowId{row}, encoded(row, 5000 - row), Lsn{1}));
  beside(
      5000,
      [&](std::size_t step) {
        ASSERT_TRUE(index_->erase(RowId{step}, Lsn{2 + step}));
        erased.store(step + 1, std::memory_order_release);
      },
      [&] {
        const std::uint64_t before = erased.load(std::memory_order_acquire);
        const Floats query = version_query();
        const auto hits = index_->search({.queries = query, .k = 3, .parallel = false});
        ASSERT_TRUE(hits);
        for (const Hit& hit : hits.value()[0]) ASSERT_GE(hit.row.value, before);
      });
}

}  // namespace
}  // namespace mneme::index
