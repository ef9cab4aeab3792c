// The neighbours on which effort is measured are those of an exact search, and where codes do not tell them, no others.
#include "near_truth.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <random>

#include "code_segment.h"
#include "codebook_support.h"
#include "exact_search.h"

namespace mneme::index {
namespace {

constexpr std::size_t kDimension = 64, kRows = 6000, kCompressed = 5500, kLists = 40, kQueries = 120;

class NearTruthTest : public testing::TestWithParam<Metric> {
 protected:
  void SetUp() override {
    fill(rows_);
    for (std::size_t row = 0; row < kRows; row += 7) ASSERT_TRUE(rows_.erase(RowId{row}, Lsn{kRows + 1 + row}));
    for (std::size_t i = 0; i < kQueries; ++i) {
      const std::vector<float> values = random_vector(i % 2 == 0);
      queries_.insert(queries_.end(), values.begin(), values.end());
    }
  }

  std::vector<float> random_vector(bool clustered) {
    std::vector<float> values(kDimension);
    const auto centre = static_cast<float>(random_() % 20);
    for (std::size_t d = 0; d < kDimension; ++d)
      values[d] = normal_(random_) + (clustered ? 2 * std::sin(centre * static_cast<float>(d + 1)) : 0);
    return values;
  }
  void fill(ExactRows& rows) {
    for (std::size_t row = 0; row < kRows; ++row)
      ASSERT_TRUE(rows.add(RowId{row}, random_vector(row % 3 != 0), Lsn{row + 1}));
  }

  CodebookPtr codebook() const { return trained_codebook(rows_, kRows, kLists); }
  CodeSegmentPtr compress(const ExactRows& rows, const CodebookPtr& book, Slot first, Slot end) const {
    Result<CodeSegmentPtr> segment = CodeSegment::encode(rows, book, first, end, rows.view(kMaxLsn), stop_);
    EXPECT_TRUE(segment);
    return *segment;
  }

  Result<std::vector<std::vector<Hit>>> near(const std::vector<CodeSegmentPtr>& segments, const Codebook& book,
                                             std::size_t k) const {
    return near_truth(rows_, book, segments, kCompressed, rows_.view(kMaxLsn), queries_, k, stop_);
  }
  std::vector<std::vector<Hit>> exact(std::size_t k) const {
    SearchRequest request;
    request.queries = queries_;
    request.k = k;
    Result<std::vector<std::vector<Hit>>> hits = search_exact(rows_, request);
    EXPECT_TRUE(hits);
    return *hits;
  }
  void expect_exact(const std::vector<CodeSegmentPtr>& segments, const Codebook& book) const {
    for (const std::size_t k : {1UL, 10UL, 200UL}) {
      const auto found = near(segments, book, k);
      ASSERT_TRUE(found) << found.status().to_string();
      const auto truth = exact(k);
      ASSERT_EQ(found->size(), truth.size());
      std::size_t others = 0;
      for (std::size_t i = 0; i < truth.size(); ++i) {
        ASSERT_EQ((*found)[i].size(), k);
        for (std::size_t j = 0; j < k; ++j)
          others += std::abs((*found)[i][j].score - truth[i][j].score) > 1e-4F * (1 + std::abs(truth[i][j].score));
      }
      EXPECT_EQ(others, 0U) << "k " << k;
    }
  }

  std::mt19937 random_{20261129};
  std::normal_distribution<float> normal_;
  std::atomic<bool> stop_{false};
  ExactRows rows_{kDimension, GetParam()};
  std::vector<float> queries_;
};

TEST_P(NearTruthTest, IsThatOfAnExactSearchOverSegmentsDeadRowsAndRowsWithoutCodes) {
  const CodebookPtr book = codebook();
  expect_exact({compress(rows_, book, 0, 4000), compress(rows_, book, 4000, kCompressed)}, *book);
}

TEST_P(NearTruthTest, IsThatOfAnExactSearchThoughCodesAreThoseOfOtherRows) {
  ExactRows others(kDimension, GetParam());
  fill(others);
  const CodebookPtr book = codebook();
  expect_exact({compress(others, book, 0, kCompressed)}, *book);
}

TEST_P(NearTruthTest, HasAsManyAsThereAreThoughTheEstimatesOfOneQueryOverflow) {
  std::fill_n(queries_.begin() + kDimension, kDimension, 3e38F);  // not one of those that are answered exactly as well
  const CodebookPtr book = codebook();
  const auto found = near({compress(rows_, book, 0, kCompressed)}, *book, 10);
  ASSERT_TRUE(found) << found.status().to_string();
  for (const std::vector<Hit>& hits : *found) ASSERT_EQ(hits.size(), 10U);
}

TEST_P(NearTruthTest, IsNotToldOnceItIsToStop) {
  const CodebookPtr book = codebook();
  const std::vector<CodeSegmentPtr> segments{compress(rows_, book, 0, kCompressed)};
  stop_ = true;
  const auto found = near(segments, *book, 10);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.status().code(), Code::FailedPrecondition);
}

INSTANTIATE_TEST_SUITE_P(Metrics, NearTruthTest,
                         testing::Values(Metric::InnerProduct, Metric::Cosine, Metric::SquaredL2),
                         [](const auto& metric) { return std::to_string(static_cast<int>(metric.param)); });

}  // namespace
}  // namespace mneme::index
