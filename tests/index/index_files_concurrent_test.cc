// Saving beside a writer and searches: nobody waits, nothing is torn.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <random>
#include <thread>
#include <vector>

#include "mneme/index/funnel_index.h"
#include "temp_directory.h"

namespace mneme::index {
namespace {

constexpr std::size_t kDimension = 512;  // 2,047 rows in a block
constexpr std::size_t kRows = 5000;
constexpr FunnelOptions kOptions{.rows_min = 1024, .delta_rows = 256};

// Row r: coordinate r mod kDimension is 2, and the rest is noise that r decides.
std::vector<float> row_values(std::uint64_t row) {
  std::minstd_rand random(static_cast<unsigned>(row + 1));
  std::vector<float> values(kDimension);
  for (float& value : values) value = static_cast<float>(random() % 1000) / 5000.0F;
  values[row % kDimension] = 2;
  return values;
}

TEST(IndexFilesConcurrent, AreWrittenBesideAWriterAndSearches) {
  const test::TempDirectory directory;
  const IndexHome home{directory.path() / "index", "a", Uuid{{1}}};
  const auto index = make_funnel_index(kDimension, Metric::SquaredL2, kOptions);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> rows{0};
  std::atomic<int> wrong{0}, searches{0};
  const auto search = [&](unsigned seed) {
    std::minstd_rand random(seed);
    while (!stop) {
      const std::uint64_t count = rows.load();
      if (count == 0) continue;
      const std::uint64_t row = random() % count;
      const std::vector<float> query = row_values(row);
      SearchRequest request;
      request.queries = query;
      request.k = 1;
      request.recall_target = random() % 4 == 0 ? 1.0F : 0.99F;
      const auto hits = index->search(request);
      // A row lies nearest to itself; an exact search finds it, and any search gives its right score.
      if (!hits || hits->front().size() != 1)
        ++wrong;
      else if (hits->front()[0].row.value == row ? hits->front()[0].score != 0 : request.recall_target == 1)
        ++wrong;
      ++searches;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned seed : {1U, 2U}) threads.emplace_back(search, seed);
  SavedIndex saved;
  std::atomic<int> saves{0};
  threads.emplace_back([&] {
    while (!stop) {
      const auto done = index->save(home, [](Slot slot) {
        return SlotNote{Uuid{{static_cast<std::uint8_t>(slot)}}, {}};
      });
      if (!done) continue;  // nothing is compressed yet
      saved = *done;
      if (!index->keep_saved()) ++wrong;
      ++saves;
    }
  });
  for (std::uint64_t row = 0; row < kRows; ++row) {
    ASSERT_TRUE(index->add(RowId{row}, row_values(row), Lsn{row + 1}));
    rows = row + 1;
  }
  while (searches < 200 || saves < 3) std::this_thread::yield();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  const auto restored = open_funnel_index(kDimension, Metric::SquaredL2, kOptions, home, saved, Lsn{kRows}, false);
  ASSERT_TRUE(restored) << restored.status().to_string();
  EXPECT_TRUE(restored->index->verify());
  for (std::uint64_t row = 0; row < saved.slots; ++row) {
    const auto values = row_values(row);
    const auto stored = restored->index->vector(static_cast<Slot>(row));
    ASSERT_TRUE(std::equal(values.begin(), values.end(), stored.begin())) << row;
  }
  std::printf("%d searches beside %d saves\n", searches.load(), saves.load());
}

}  // namespace
}  // namespace mneme::index
