// Segments of codes that are put together are what one encoded at once is.
#include "code_segment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>

namespace mneme::index {
namespace {

constexpr std::size_t kDimension = 64, kRows = 6000, kLists = 20;

class CodeSegmentTest : public testing::TestWithParam<Metric> {
 protected:
  void SetUp() override {
    std::normal_distribution<float> normal;
    std::vector<float> values(kDimension);
    for (std::size_t row = 0; row < kRows; ++row) {
      for (float& value : values) value = normal(random_);
      ASSERT_TRUE(rows_.add(RowId{row}, values, Lsn{++lsn_}));
    }
    auto book = std::make_shared<Codebook>(Codebook{GetParam(), Rotation(kDimension, 42), {}});
    const std::size_t size = book->rotation.size();
    std::vector<float> rotated(kRows * size), scratch(size);
    for (std::size_t row = 0; row < kRows; ++row)
      rotated_row(rows_, *book, static_cast<Slot>(row), scratch, rotated.data() + row * size);
    Result<Clusters> clusters = Clusters::train(rotated, size, kLists, stop_);
    ASSERT_TRUE(clusters);
    book->clusters = std::move(*clusters);
    book_ = std::move(book);
  }
  CodeSegmentPtr encode(Slot first, Slot end, std::span<const CodeSegmentPtr> parts = {}) {
    Result<CodeSegmentPtr> segment = CodeSegment::encode(rows_, book_, first, end, rows_.view(kMaxLsn), stop_, parts);
    EXPECT_TRUE(segment) << segment.status().to_string();
    return *segment;
  }

  std::mt19937 random_{20261129};
  std::atomic<bool> stop_{false};
  std::uint64_t lsn_ = 0;
  ExactRows rows_{kDimension, GetParam()};
  CodebookPtr book_;
};

TEST_P(CodeSegmentTest, OfPartsAndRowsWithoutCodesIsAsIfEncodedAtOnce) {
  const std::vector<CodeSegmentPtr> parts{encode(1000, 4000), encode(4000, 4100), encode(4100, 5500)};
  for (std::size_t row = 1000; row < kRows; row += 7) ASSERT_TRUE(rows_.erase(RowId{row}, Lsn{++lsn_}));
  const CodeSegmentPtr joined = encode(1000, kRows, parts), whole = encode(1000, kRows);
  ASSERT_EQ(joined->rows(), whole->rows());
  ASSERT_EQ(joined->positions(), whole->positions());
  EXPECT_EQ(joined->first(), whole->first());
  EXPECT_EQ(joined->end(), whole->end());
  EXPECT_EQ(joined->dead_before(), whole->dead_before());
  const std::size_t bytes = row_bytes(kDimension / 8, GetParam() == Metric::SquaredL2);
  for (std::uint32_t list = 0; list < whole->lists(); ++list) {
    const std::size_t n = whole->list_rows(list), padded = (n + kCodeRows - 1) / kCodeRows * kCodeRows;
    ASSERT_EQ(joined->list_rows(list), n);
    ASSERT_TRUE(
        std::equal(whole->list_blocks(list), whole->list_blocks(list) + padded * bytes, joined->list_blocks(list)))
        << "list " << list;
    for (std::uint32_t at = whole->list_begin(list); at < whole->list_begin(list) + n; ++at) {
      ASSERT_EQ(joined->slot(at), whole->slot(at));
      ASSERT_EQ(joined->scale(at), whole->scale(at));
      ASSERT_EQ(joined->offset(at), whole->offset(at));
      const std::uint8_t* const code = whole->eight_bit() + at * kDimension;
      ASSERT_TRUE(std::equal(code, code + kDimension, joined->eight_bit() + at * kDimension));
    }
  }
  // Means over the rows of a part, in which those that died since had a share.
  EXPECT_NEAR(joined->one_bit_error(), whole->one_bit_error(), 0.02 * whole->one_bit_error());
  EXPECT_NEAR(joined->eight_bit_error(), whole->eight_bit_error(), 0.02 * whole->eight_bit_error());
  EXPECT_NEAR(joined->residual_length(), whole->residual_length(), 0.02 * whole->residual_length());
}

TEST_P(CodeSegmentTest, OfPartsWhoseRowsAllDiedIsEmpty) {
  const std::vector<CodeSegmentPtr> parts{encode(0, 500)};
  for (std::size_t row = 0; row < 500; ++row) ASSERT_TRUE(rows_.erase(RowId{row}, Lsn{++lsn_}));
  EXPECT_EQ(encode(0, 500, parts)->rows(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Metrics, CodeSegmentTest,
                         testing::Values(Metric::InnerProduct, Metric::Cosine, Metric::SquaredL2),
                         [](const auto& metric) { return std::to_string(static_cast<int>(metric.param)); });

}  // namespace
}  // namespace mneme::index
