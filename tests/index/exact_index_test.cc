#include "mneme/index/exact_index.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <set>

#include "index_support.h"
#include "mneme/base/limits.h"

namespace mneme::index {
namespace {

constexpr Metric kMetrics[] = {Metric::InnerProduct, Metric::Cosine, Metric::SquaredL2};

class ExactSearch : public ExactIndexTest {};

TEST_F(ExactSearch, FindsWhatBruteForceFindsInEveryMetricAndShape) {
  for (const Metric metric : kMetrics)
    for (const std::size_t dimension : {1U, 3U, 17U, 384U, 1000U}) {
      open(dimension, metric);
      for (std::uint64_t row = 0; row < 700; ++row) put(row, random_vector());
      for (const std::size_t k : {1U, 10U, 699U, 700U, 5000U}) {
        const Floats query = random_vector();
        const auto hits = search({.queries = query, .k = k});
        expect_same(hits.at(0), brute(query, k), std::string(name_of(metric)) + " k " + std::to_string(k));
      }
    }
}

TEST_F(ExactSearch, BreaksTiesByLowerRow) {
  for (const Metric metric : kMetrics) {
    open(4, metric);
    std::vector<std::uint64_t> rows(900);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = i * 5;
    std::shuffle(rows.begin(), rows.end(), random_);
    for (const std::uint64_t row : rows) put(row, coarse_vector());
    for (const std::size_t k : {1U, 7U, 100U, 450U}) {
      const Floats query = coarse_vector();
      const auto got = search({.queries = query, .k = k}).at(0);
      const auto want = brute(query, k);
      expect_same(got, want);
      if (metric == Metric::Cosine) continue;  // square roots: equal in theory only
      for (std::size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i].row, want[i].row) << name_of(metric) << " " << i;
    }
  }
}

TEST_F(ExactSearch, ReturnsTheLowestRowsAmongIdenticalVectors) {
  open(33, Metric::Cosine);
  const Floats same = random_vector();
  for (std::uint64_t row = 2000; row-- > 0;) put(row, same);
  const auto hits = search({.queries = same, .k = 50}).at(0);
  ASSERT_EQ(hits.size(), 50U);
  for (std::size_t i = 0; i < hits.size(); ++i) EXPECT_EQ(hits[i].row, RowId{i});
  EXPECT_EQ(hits[0].score, 1.0F);
}

// Parallel searches, several blocks, groups of queries, k that fills whole blocks.
TEST_F(ExactSearch, GivesTheSameAnswerInParallelAndAlone) {
  for (const Metric metric : kMetrics) {
    open(512, metric);
    for (std::uint64_t row = 0; row < 5000; ++row) put(row, random_vector());
    for (const std::size_t queries : {1U, 3U, 70U}) {
      Floats values;
      for (std::size_t q = 0; q < queries; ++q) {
        const Floats query = random_vector();
        values.insert(values.end(), query.begin(), query.end());
      }
      const auto alone = search({.queries = values, .k = 20, .parallel = false});
      const auto parallel = search({.queries = values, .k = 20, .parallel = true});
      ASSERT_EQ(alone.size(), queries);
      ASSERT_EQ(parallel.size(), queries);
      for (std::size_t q = 0; q < queries; ++q) {
        ASSERT_EQ(alone[q].size(), 20U);
        for (std::size_t i = 0; i < 20; ++i) {
          ASSERT_EQ(alone[q][i].row, parallel[q][i].row);
          ASSERT_EQ(alone[q][i].score, parallel[q][i].score);
        }
      }
      const Floats last(values.end() - 512, values.end());
      expect_same(parallel.back(), brute(last, 20), std::string(name_of(metric)));
    }
  }
}

TEST_F(ExactSearch, ReturnsOnlyWhatTheFilterHolds) {
  for (const Metric metric : kMetrics) {
    open(24, metric);
    for (std::uint64_t row = 0; row < 3000; ++row) put(row, random_vector());
    for (const double density : {0.0, 0.0005, 0.01, 0.1, 0.24, 0.26, 0.5, 0.99, 1.0}) {
      for (const std::size_t size :
           {std::size_t{0}, std::size_t{1}, std::size_t{1500}, std::size_t{3000}, std::size_t{4000}}) {
        SlotBitmap filter(size);
        for (Slot slot = 0; slot < size; ++slot)
          if (std::uniform_real_distribution<>(0, 1)(random_) < density) filter.set(slot);
        Floats queries = random_vector();
        const Floats first = queries, second = random_vector();
        queries.insert(queries.end(), second.begin(), second.end());
        const auto hits = search({.queries = queries, .k = 10, .filter = &filter});
        expect_same(hits.at(0), brute(first, 10, kMaxLsn, &filter), "density " + std::to_string(density));
        expect_same(hits.at(1), brute(second, 10, kMaxLsn, &filter), "density " + std::to_string(density));
      }
    }
  }
}

TEST_F(ExactSearch, KeepsScoresFiniteAndOrderedForExtremeFloats) {
  const float extremes[] = {3.4028235e38F, -3.4028235e38F, 3e38F, 1e30F, 1e-30F, 1.4e-45F,
                            -1.4e-45F,     1.1754944e-38F, -0.0F, 0.0F,  1.0F,   -2.5F};
  for (const Metric metric : kMetrics)
    for (const std::size_t dimension : {1U, 2U, 40U}) {
      open(dimension, metric);
      const auto extreme = [&] {
        Floats values(dimension);
        const bool uniform = random_() % 2 == 0;
        const float all = extremes[random_() % std::size(extremes)];
        for (float& v : values) v = uniform ? all : extremes[random_() % std::size(extremes)];
        return values;
      };
      for (std::uint64_t row = 0; row < 600; ++row) put(row, extreme());
      for (int round = 0; round < 30; ++round) {
        const Floats query = extreme();
        const auto hits = search({.queries = query, .k = 25}).at(0);
        for (const Hit& hit : hits) {
          ASSERT_TRUE(std::isfinite(hit.score));
          if (metric == Metric::Cosine) {
            ASSERT_LE(std::abs(hit.score), 1.0F);
          }
        }
        expect_same(hits, brute(query, 25), std::string(name_of(metric)) + " dimension " + std::to_string(dimension));
      }
    }
}

// The products are of the order of the smallest denormal or vanish, so that float32 says nothing about the order.
TEST_F(ExactSearch, FindsTheBestWhereFloat32ProductsUnderflow) {
  for (const Metric metric : kMetrics)
    for (const float scale : {1e-22F, 1e-24F, 1e-38F}) {
      open(40, metric);
      for (std::uint64_t row = 0; row < 1500; ++row) put(row, random_vector(scale));
      for (int round = 0; round < 20; ++round) {
        const Floats query = random_vector(scale);
        expect_same(search({.queries = query, .k = 10}).at(0), brute(query, 10),
                    std::string(name_of(metric)) + " scale " + std::to_string(scale * 1e22F) + "e-22");
      }
    }
}

// In float32 both large products overflow and their sum is NaN; the true score is 3.
TEST_F(ExactSearch, ScoresInDoubleWhereFloat32Overflows) {
  open(3, Metric::InnerProduct);
  put(0, {1e38F, 1e38F, 1});
  put(1, {0, 0, 2});
  const Floats query = {100, -100, 3};
  const auto hits = search({.queries = query, .k = 2}).at(0);
  ASSERT_EQ(hits.size(), 2U);
  EXPECT_EQ(hits[0].row, RowId{1});
  EXPECT_EQ(hits[0].score, 6.0F);
  EXPECT_EQ(hits[1].score, 3.0F);
}

TEST_F(ExactSearch, ScoresZeroVectorsZeroByCosine) {
  open(5, Metric::Cosine);
  put(0, Floats(5, 0.0F));
  put(1, {-1, 0, 0, 0, 0});
  const Floats query = {1, 0, 0, 0, 0}, zero(5, -0.0F);
  const auto hits = search({.queries = query, .k = 2}).at(0);
  EXPECT_EQ(hits.at(0).row, RowId{0});
  EXPECT_EQ(hits.at(0).score, 0.0F);
  EXPECT_EQ(hits.at(1).score, -1.0F);
  const auto by_zero = search({.queries = zero, .k = 2}).at(0);
  ASSERT_EQ(by_zero.size(), 2U);
  for (const Hit& hit : by_zero) EXPECT_EQ(hit.score, 0.0F);
}

TEST_F(ExactSearch, AnswersNothingFromAnEmptyIndexAndForNoQueries) {
  open(4, Metric::InnerProduct);
  EXPECT_TRUE(search({.queries = random_vector(), .k = 3}).at(0).empty());
  put(1, random_vector());
  EXPECT_TRUE(search({.queries = {}, .k = 3}).empty());
}

TEST_F(ExactSearch, RefusesBadQueriesAndSaysWhy) {
  open(4, Metric::InnerProduct);
  const auto message = [&](const Floats& queries, std::size_t k) {
    const auto hits = index_->search({.queries = queries, .k = k});
    EXPECT_FALSE(hits);
    EXPECT_EQ(hits.status().code(), Code::InvalidArgument);
    return hits.status().message();
  };
  EXPECT_EQ(message(Floats(6), 1), "exact index: search: 6 query values are no multiple of dimension 4");
  EXPECT_EQ(message(Floats(4), 0), "exact index: search: k is 0, allowed are 1 to 65536");
  EXPECT_EQ(message(Floats(4), limits::kNeighboursMax + 1), "exact index: search: k is 65537, allowed are 1 to 65536");
  Floats queries(8);
  queries[6] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(message(queries, 1), "exact index: search: query 1: value 2 of 4 is nan, not finite");
}

TEST_F(ExactSearch, TakesTheLargestKAndTheLargestDimension) {
  open(2, Metric::SquaredL2);
  for (std::uint64_t row = 0; row < 70'000; ++row) put(row, random_vector());
  const Floats query = random_vector();
  expect_same(search({.queries = query, .k = limits::kNeighboursMax}).at(0), brute(query, limits::kNeighboursMax));

  open(limits::kDimensionsMax, Metric::Cosine);
  for (std::uint64_t row = 0; row < 40; ++row) put(row, random_vector());
  const Floats wide = random_vector();
  expect_same(search({.queries = wide, .k = 5}).at(0), brute(wide, 5));
}

class ExactWrites : public ExactIndexTest {};

TEST_F(ExactWrites, RefuseBadInputSayWhyAndChangeNothing) {
  open(3, Metric::Cosine);
  put(7, {1, 2, 3});
  const std::uint64_t bytes = index_->bytes_used();
  const auto message = [&](std::uint64_t row, const Floats& values, std::uint64_t lsn) {
    const auto slot = index_->add(RowId{row}, values, Lsn{lsn});
    EXPECT_FALSE(slot);
    EXPECT_EQ(slot.status().code(), Code::InvalidArgument);
    return slot.status().message();
  };
  EXPECT_EQ(message(7, {1, 2}, 9), "exact index: add row 7 at lsn 9: vector has 2 values, the index has dimension 3");
  EXPECT_EQ(message(7, {1, std::numeric_limits<float>::infinity(), 0}, 9),
            "exact index: add row 7 at lsn 9: value 1 of 3 is inf, not finite");
  EXPECT_EQ(message(7, {1, 2, std::numeric_limits<float>::quiet_NaN()}, 9),
            "exact index: add row 7 at lsn 9: value 2 of 3 is nan, not finite");
  EXPECT_EQ(message(7, {1, 2, 3}, 0), "exact index: add row 7 at lsn 0: the index already reflects lsn 1");
  EXPECT_EQ(message(kNoRow.value, {1, 2, 3}, 9),
            "exact index: add row 18446744073709551615 at lsn 9: this number means no row");
  EXPECT_EQ(message(7, {1, 2, 3}, kMaxLsn.value),
            "exact index: add row 7 at lsn 18446744073709551615: this number means the latest state");
  EXPECT_EQ(index_->erase(RowId{7}, Lsn{0}).message(),
            "exact index: erase row 7 at lsn 0: the index already reflects lsn 1");
  EXPECT_EQ(index_->slots(), 1U);
  EXPECT_EQ(index_->live(), 1U);
  EXPECT_EQ(index_->reflected(), Lsn{1});
  EXPECT_EQ(index_->find(RowId{7}), 0U);
  EXPECT_EQ(index_->bytes_used(), bytes);
}

TEST_F(ExactWrites, KeepVectorsBitForBit) {
  open(5, Metric::Cosine);
  const Floats values = {-0.0F, 1.4e-45F, 3.4028235e38F, -1.1754942e-38F, 0.1F};
  const Slot slot = put(3, values);
  EXPECT_EQ(std::memcmp(index_->vector(slot).data(), values.data(), 20), 0);
  EXPECT_EQ(index_->row(slot), RowId{3});
}

TEST_F(ExactWrites, FindRowsThatLieFarApart) {
  open(2, Metric::InnerProduct);
  std::set<std::uint64_t> rows = {0, 1, 31, 32, 33, std::uint64_t{1} << 32, kNoRow.value - 1};
  while (rows.size() < 5000) rows.insert(std::uniform_int_distribution<std::uint64_t>(0, kNoRow.value - 1)(random_));
  for (const std::uint64_t row : rows) put(row, random_vector());
  Slot slot = 0;
  for (const std::uint64_t row : rows) ASSERT_EQ(index_->find(RowId{row}), slot++) << row;
  for (const std::uint64_t row : rows) {
    if (!rows.contains(row + 1)) {
      ASSERT_EQ(index_->find(RowId{row + 1}), kNoSlot) << row;
    }
  }
}

TEST_F(ExactWrites, LetARowLiveAgainAfterItsErasure) {
  open(2, Metric::InnerProduct);
  put(5, {1, 0});  // lsn 1, slot 0
  erase(5);        // lsn 2
  erase(5);        // lsn 3: has none
  erase(6);        // lsn 4: never had one
  put(5, {0, 1});  // lsn 5, slot 1
  EXPECT_EQ(index_->find(RowId{5}, Lsn{1}), 0U);
  EXPECT_EQ(index_->find(RowId{5}, Lsn{2}), kNoSlot);
  EXPECT_EQ(index_->find(RowId{5}, Lsn{4}), kNoSlot);
  EXPECT_EQ(index_->find(RowId{5}, Lsn{5}), 1U);
  EXPECT_EQ(index_->live(), 1U);
  EXPECT_EQ(index_->reflected(), Lsn{5});
}

// What a process takes grows by what the index says, within a few percent.
TEST_F(ExactWrites, CountTheBytesThatTheProcessTakes) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's shadow memory is part of what the process takes";
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  GTEST_SKIP() << "a sanitizer's shadow memory is part of what the process takes";
#endif
#endif
  const auto resident = [] {
    std::uint64_t total = 0, pages = 0;
    std::ifstream("/proc/self/statm") >> total >> pages;
    return pages * 4096;
  };
  for (const std::size_t dimension : {8U, 384U, 768U}) {
    open(dimension, Metric::Cosine);
    const Floats values = random_vector();
    const std::uint64_t before = resident();
    for (std::uint64_t row = 0; row < 60'000'000 / (dimension * 4 + 60); ++row)
      ASSERT_TRUE(index_->add(RowId{row}, values, Lsn{1}));
    const auto grown = static_cast<double>(resident() - before);
    EXPECT_NEAR(static_cast<double>(index_->bytes_used()), grown, 0.06 * grown) << "dimension " << dimension;
  }
}

}  // namespace
}  // namespace mneme::index
