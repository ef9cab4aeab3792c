// Segments of codes that are put together are what one encoded at once is.
#include "code_segment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>

#include "codebook_support.h"

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
    book_ = trained_codebook(rows_, kRows, kLists);
  }
  CodeSegmentPtr encode(Slot first, Slot end, std::span<const CodeSegmentPtr> parts = {}) const {
    return encode(first, end, rows_.view(kMaxLsn), parts);
  }
  CodeSegmentPtr encode(Slot first, Slot end, const View& view, std::span<const CodeSegmentPtr> parts = {}) const {
    Result<CodeSegmentPtr> segment = CodeSegment::encode(rows_, book_, first, end, view, stop_, parts);
    EXPECT_TRUE(segment) << segment.status().to_string();
    return *segment;
  }

  void expect_same(const CodeSegment& joined, const CodeSegment& whole) const {
    ASSERT_EQ(joined.rows(), whole.rows());
    ASSERT_EQ(joined.positions(), whole.positions());
    EXPECT_EQ(joined.first(), whole.first());
    EXPECT_EQ(joined.end(), whole.end());
    EXPECT_EQ(joined.dead_before(), whole.dead_before());
    const std::size_t bytes = row_bytes(kDimension / 8, GetParam() == Metric::SquaredL2);
    for (std::uint32_t list = 0; list < whole.lists(); ++list) {
      const std::size_t n = whole.list_rows(list);
      ASSERT_EQ(joined.list_rows(list), n);
      ASSERT_TRUE(std::equal(whole.list_blocks(list), whole.list_blocks(list) + padded_rows(n) * bytes,
                             joined.list_blocks(list)))
          << "list " << list;
      for (std::uint32_t at = whole.list_begin(list); at < whole.list_begin(list) + n; ++at) {
        ASSERT_EQ(joined.slot(at), whole.slot(at));
        ASSERT_EQ(joined.scale(at), whole.scale(at));
        ASSERT_EQ(joined.offset(at), whole.offset(at));
        const std::uint8_t* const code = whole.eight_bit() + at * kDimension;
        ASSERT_TRUE(std::equal(code, code + kDimension, joined.eight_bit() + at * kDimension));
      }
    }
    // Means over the rows of a part, in which those that died since had a share.
    EXPECT_NEAR(joined.one_bit_error(), whole.one_bit_error(), 0.02 * whole.one_bit_error());
    EXPECT_NEAR(joined.eight_bit_error(), whole.eight_bit_error(), 0.02 * whole.eight_bit_error());
    EXPECT_NEAR(joined.residual_length(), whole.residual_length(), 0.02 * whole.residual_length());
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
  expect_same(*encode(1000, kRows, parts), *encode(1000, kRows));
}

// A row that came while a part was made has no codes there, and is not to get those of another.
TEST_P(CodeSegmentTest, OfAPartThatSpansRowsItDoesNotHaveIsAsIfEncodedAtOnce) {
  const std::vector<CodeSegmentPtr> parts{encode(0, 4000, View{Lsn{3000}, 4000})};
  ASSERT_EQ(parts[0]->rows(), 3000U);
  expect_same(*encode(0, 4100, parts), *encode(0, 4100));
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
