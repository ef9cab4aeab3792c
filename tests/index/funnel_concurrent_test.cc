// One writer, searches and background compression at once.
#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <thread>

#include "background_work.h"
#include "index_support.h"
#include "mneme/index/funnel_index.h"

namespace mneme::index {
namespace {

TEST(FunnelIndexConcurrent, ShowsEveryAddToTheSearchesThatStartAfterIt) {
  constexpr std::size_t kDimension = 24, kRows = 6000;
  const auto index = make_funnel_index(kDimension, Metric::Cosine, {.rows_min = 512, .delta_rows = 64});
  std::mt19937_64 random(5);
  std::vector<Floats> rows(kRows, Floats(kDimension));
  for (Floats& row : rows)
    for (float& value : row) value = std::uniform_real_distribution<float>(-1, 1)(random);
  std::atomic<std::size_t> added{0};
  std::atomic<std::size_t> checked{0};
  const auto search = [&](unsigned seed) {
    std::mt19937_64 mine(seed);
    while (added.load() < kRows) {
      const std::size_t known = added.load();
      if (known == 0) continue;
      const std::size_t wanted = mine() % 2 == 0 ? known - 1 : mine() % known;
      SearchRequest request;
      request.queries = rows[wanted];
      request.k = 5;
      request.recall_target = 0.99F;
      const auto hits = index->search(request);
      EXPECT_TRUE(hits) << hits.status().to_string();
      std::set<RowId> seen;
      for (const Hit& hit : hits->front()) ASSERT_TRUE(seen.insert(hit.row).second);
      if (wanted % 10 != 0) {  // rows with numbers that end in 0 are erased again
        ASSERT_EQ(hits->front().front().row, RowId{wanted}) << known;
      }
      checked.fetch_add(1);
    }
  };
  std::thread one(search, 1), two(search, 2);
  for (std::size_t i = 0; i < kRows; ++i) {
    ASSERT_TRUE(index->add(RowId{i}, rows[i], Lsn{i + 1}));
    if (i >= 100 && i % 10 == 0) {
      ASSERT_TRUE(index->erase(RowId{i - 100}, Lsn{i + 1}));
    }
    added.store(i + 1);
    while (checked.load() < i / 20) std::this_thread::yield();  // the searches keep up
  }
  one.join();
  two.join();
  index->finish_background();
  EXPECT_GT(index->compressed(), kRows / 2);
  EXPECT_GE(checked.load(), (kRows - 1) / 20);
}

// Effort of a large index is measured for seconds, with the thread that other indexes wait for; their rows without codes
// made every search of theirs slower and slower.
TEST(FunnelIndexConcurrent, CompressesWhatSearchesMeetWhileTheBackgroundIsBusyWithSomethingElse) {
  constexpr std::size_t kDimension = 32, kDelta = 64;
  const auto index = make_funnel_index(kDimension, Metric::InnerProduct, {.rows_min = 512, .delta_rows = kDelta});
  std::mt19937_64 random(6);
  Floats row(kDimension);
  SearchRequest request;
  request.recall_target = 0.9F;
  std::uint64_t rows = 0;
  const auto add = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      for (float& value : row) value = std::uniform_real_distribution<float>(-1, 1)(random);
      ASSERT_TRUE(index->add(RowId{rows}, row, Lsn{rows + 1}));
      ++rows;
    }
  };
  add(1024);
  request.queries = row;
  ASSERT_TRUE(index->search(request));
  index->finish_background();
  ASSERT_GE(index->compressed(), 1000U);

  const auto may_end = std::make_shared<std::atomic<bool>>(false);
  const std::size_t threads = std::max<std::size_t>(1, std::thread::hardware_concurrency());
  for (std::size_t i = 0; i < threads; ++i) ASSERT_TRUE(run_in_background([may_end] { may_end->wait(false); }));
  add(3 * kDelta);  // of which the background would have compressed most
  const auto late = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (index->compressed() + 2 * kDelta <= rows && std::chrono::steady_clock::now() < late) {
    ASSERT_TRUE(index->search(request));
    std::this_thread::yield();
  }
  EXPECT_GT(index->compressed() + 2 * kDelta, rows);
  *may_end = true;
  may_end->notify_all();
  index->finish_background();
  EXPECT_LT(rows, index->compressed() + kDelta);
}

TEST(FunnelIndexConcurrent, StopsItsBackgroundWorkWhenItGoes) {
  for (int round = 0; round < 20; ++round) {
    const auto index = make_funnel_index(32, Metric::InnerProduct, {.rows_min = 256, .delta_rows = 32});
    std::mt19937_64 random(static_cast<unsigned>(round));
    Floats row(32);
    SearchRequest request;
    request.queries = row;
    request.recall_target = 0.9F;
    ASSERT_TRUE(index->search(request));
    for (std::size_t i = 0; i < 256 + static_cast<std::size_t>(round) * 20; ++i) {
      for (float& value : row) value = std::uniform_real_distribution<float>(-1, 1)(random);
      ASSERT_TRUE(index->add(RowId{i}, row, Lsn{i + 1}));
    }
  }
}

}  // namespace
}  // namespace mneme::index
