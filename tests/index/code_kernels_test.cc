// Codes against plain loops, on every instruction set that the processor has.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>

#include "code_kernels.h"
#include "mneme/index/kernels.h"
#include "nearest_centroid.h"
#include "rotation.h"

namespace mneme::index {
namespace {

class CodeKernels : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(force_kernel_target(GetParam()));
    seed_ = std::random_device{}();
    random_.seed(seed_);
  }
  void TearDown() override {
    force_kernel_target("");
    if (HasFailure()) std::printf("seed %u\n", seed_);
  }
  float uniform(float scale) { return std::uniform_real_distribution<float>(-scale, scale)(random_); }

  unsigned seed_ = 0;
  std::mt19937_64 random_;
};

/// Arrays for as many candidates and the places that kernels may spoil.
struct Room {
  explicit Room(std::size_t rows)
      : scores(rows + Candidates::kSpare), bases(rows + Candidates::kSpare), positions(rows + Candidates::kSpare) {}
  Candidates arrays() { return {scores.data(), bases.data(), positions.data()}; }
  std::vector<float> scores, bases;
  std::vector<std::uint32_t> positions;
};

/// A list of random signs and factors, in blocks and one by one.
struct OneBitRows {
  OneBitRows(std::size_t bytes_of_signs, std::size_t row_count, bool offsets, std::mt19937_64& random)
      : bytes(bytes_of_signs), rows(row_count), with_offsets(offsets) {
    const std::size_t padded = (rows + kCodeRows - 1) / kCodeRows * kCodeRows;
    blocks.resize(padded * row_bytes(bytes, with_offsets));
    signs.assign(padded, std::vector<std::uint8_t>(bytes));
    for (std::size_t row = 0; row < padded; ++row) {
      const std::size_t first = row / kBlockRows * kBlockRows, width = std::min(kBlockRows, padded - first);
      std::byte* const block = blocks.data() + first * row_bytes(bytes, with_offsets);
      for (std::size_t byte = 0; byte < bytes; ++byte) {
        signs[row][byte] = static_cast<std::uint8_t>(random());
        block[byte * width + lane_of(row - first, width)] = static_cast<std::byte>(signs[row][byte]);
      }
      std::uniform_real_distribution<float> uniform(-2, 2);
      slope.push_back(uniform(random));
      offset.push_back(with_offsets ? uniform(random) : 0);
      std::memcpy(block + bytes * width + (row - first) * 4, &slope[row], 4);
      if (with_offsets) std::memcpy(block + bytes * width + (width + row - first) * 4, &offset[row], 4);
    }
  }
  double score(std::size_t row, const std::vector<float>& query, float base) const {
    double sum = 0;
    for (std::size_t d = 0; d < bytes * 8; ++d) sum += (signs[row][d / 8] >> d % 8 & 1) != 0 ? query[d] : -query[d];
    return base + slope[row] * sum + offset[row];
  }

  std::size_t bytes, rows;
  bool with_offsets;
  std::vector<std::byte> blocks;
  std::vector<std::vector<std::uint8_t>> signs;
  std::vector<float> slope, offset;
};

TEST_P(CodeKernels, EstimateFromOneBitCodesAsALoopOverBitsDoes) {
  for (const std::size_t bytes : {8UL, 16UL, 48UL, 56UL, 96UL, 512UL, 8192UL})
    for (const std::size_t rows : {1UL, 15UL, 16UL, 17UL, 33UL, 49UL, 64UL, 65UL, 200UL})
      for (const bool with_offsets : {false, true}) {
        const OneBitRows list(bytes, rows, with_offsets, random_);
        std::vector<float> query(bytes * 8);
        for (float& value : query) value = static_cast<float>(static_cast<int>(random_() % 17) - 8);
        OneBitQuery made;
        make_tables(query.data(), bytes, made);
        made.with_offsets = with_offsets;
        double error = 0;  // of rounding to levels
        for (std::size_t d = 0; d < query.size(); ++d) error += made.step / 4;
        std::vector<double> want;
        for (std::size_t row = 0; row < rows; ++row) want.push_back(list.score(row, query, 0.5F));
        Room out(rows + 3);
        const float least = static_cast<float>(want[rows / 2]);
        const std::size_t end = scan_one_bit(made, {list.blocks.data(), rows, 100, 0.5F}, least, out.arrays(), 3);
        std::size_t at = 3;
        for (std::size_t row = 0; row < rows; ++row) {
          while (at < end && out.positions[at] < 100 + row) ++at;
          const bool found = at < end && out.positions[at] == 100 + row;
          const double most = error * std::abs(list.slope[row]) + 1e-3;
          if (std::abs(want[row] - least) > most) {
            ASSERT_EQ(found, want[row] > least) << bytes << " bytes, row " << row << " of " << rows;
          }
          if (!found) continue;
          ASSERT_NEAR(out.scores[at], want[row], most);
          ASSERT_EQ(out.bases[at], 0.5F);
        }
        ASSERT_LE(end, rows + 3);
      }
}

TEST_P(CodeKernels, EstimateTheRowsThatAreWantedAsTheyDoAmongAll) {
  for (const std::size_t rows : {1UL, 16UL, 50UL, 64UL, 130UL, 500UL})
    for (const unsigned one_in : {1U, 2U, 10U, 100U, 1000U}) {
      const OneBitRows list(16, rows, true, random_);
      std::vector<float> query(128);
      for (float& value : query) value = uniform(1);
      OneBitQuery made;
      make_tables(query.data(), 16, made);
      made.with_offsets = true;
      std::vector<std::uint16_t> wanted((rows + 15) / 16);
      for (std::size_t row = 0; row < rows; ++row)
        if (random_() % one_in == 0) wanted[row / 16] = static_cast<std::uint16_t>(wanted[row / 16] | 1U << row % 16);
      Room all(rows), some(rows);
      const std::size_t of_all = scan_one_bit(made, {list.blocks.data(), rows, 32, 1}, 0.5F, all.arrays(), 0);
      const std::size_t end =
          scan_one_bit(made, {list.blocks.data(), rows, 32, 1, wanted.data()}, 0.5F, some.arrays(), 0);
      std::size_t at = 0;
      for (std::size_t i = 0; i < of_all; ++i) {
        const std::size_t row = all.positions[i] - 32;
        if ((wanted[row / 16] >> row % 16 & 1) == 0) continue;
        ASSERT_LT(at, end);
        ASSERT_EQ(some.positions[at], all.positions[i]);
        ASSERT_EQ(some.scores[at], all.scores[i]);
        ASSERT_EQ(some.bases[at++], 1);
      }
      ASSERT_EQ(at, end) << "one row in " << one_in << " of " << rows;
    }
}

// A search that has seen a part of a list asks how all lie.
TEST_P(CodeKernels, TellHowEstimatesLieAroundTheirCentroid) {
  for (const std::size_t rows : {1UL, 15UL, 64UL, 65UL, 200UL})
    for (const bool with_offsets : {false, true}) {
      const OneBitRows list(16, rows, with_offsets, random_);
      std::vector<float> query(128);
      for (float& value : query) value = uniform(1);
      OneBitQuery made;
      make_tables(query.data(), 16, made);
      made.with_offsets = with_offsets;
      Room out(rows);
      Spread whole, parts;
      ASSERT_EQ(scan_one_bit(made, {list.blocks.data(), rows, 0, 7}, -1e30F, out.arrays(), 0, &whole), rows);
      double sum = 0, squares = 0;
      for (std::size_t i = 0; i < rows; ++i) {
        sum += out.scores[i] - 7;
        squares += std::pow(out.scores[i] - 7, 2);
      }
      EXPECT_EQ(whole.rows, rows);
      EXPECT_NEAR(whole.sum, sum, 1e-3 * (1 + squares));
      EXPECT_NEAR(whole.squares, squares, 1e-4 * (1 + squares));

      std::vector<std::uint16_t> wanted((rows + 15) / 16);
      double sum_of_wanted = 0;
      std::size_t count = 0;
      for (std::size_t i = 0; i < rows; ++i) {
        if (random_() % 3 != 0) continue;
        wanted[i / 16] = static_cast<std::uint16_t>(wanted[i / 16] | 1U << i % 16);
        sum_of_wanted += out.scores[i] - 7;
        ++count;
      }
      scan_one_bit(made, {list.blocks.data(), rows, 0, 7, wanted.data()}, 1e30F, out.arrays(), 0, &parts);
      EXPECT_EQ(parts.rows, count);
      EXPECT_NEAR(parts.sum, sum_of_wanted, 1e-3 * (1 + squares));
    }
}

// The bound above is of the worst case. Errors of rounding are independent, and below those of one bit a dimension, which
// are 0.6 of its standard deviation: 0.12 to 0.2 with sixteen levels for four dimensions, by the largest four of a query.
TEST_P(CodeKernels, EstimateWithLittleErrorFromTheQuery) {
  const OneBitRows list(48, 1000, false, random_);
  std::vector<float> query(384);
  std::normal_distribution<float> normal;
  for (float& value : query) value = normal(random_);
  OneBitQuery made;
  make_tables(query.data(), 48, made);
  Room out(1000);
  const std::size_t count = scan_one_bit(made, {list.blocks.data(), 1000, 0, 0}, -1e30F, out.arrays(), 0);
  ASSERT_EQ(count, 1000U);
  double squares = 0;
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_EQ(out.positions[i], i);
    squares += std::pow((out.scores[i] - list.score(i, query, 0)) / list.slope[i], 2);
  }
  EXPECT_LT(std::sqrt(squares / 1000), 0.25 * std::sqrt(384.0));
}

TEST_P(CodeKernels, EstimateNothingFromAQueryOfZeros) {
  const OneBitRows list(8, 20, false, random_);
  const std::vector<float> query(64);
  OneBitQuery made;
  make_tables(query.data(), 8, made);
  Room out(20);
  ASSERT_EQ(scan_one_bit(made, {list.blocks.data(), 20, 0, 0.25F}, 0, out.arrays(), 0), 20U);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(out.scores[i], 0.25F);
}

TEST_P(CodeKernels, SelectTheKthLargestAsASortDoes) {
  for (const std::size_t count : {1UL, 2UL, 63UL, 64UL, 65UL, 100UL, 1000UL, 5003UL})
    for (const int kind : {0, 1, 2, 3, 4}) {
      std::vector<float> values(count);
      for (std::size_t i = 0; i < count; ++i) switch (kind) {
          case 0:
            values[i] = uniform(1e3F);
            break;
          case 1:
            values[i] = static_cast<float>(random_() % 3);
            break;  // many are equal
          case 2:
            values[i] = 7;
            break;
          case 3:
            values[i] = static_cast<float>(i);
            break;
          case 4:
            values[i] = random_() % 4 == 0   ? std::numeric_limits<float>::quiet_NaN()
                        : random_() % 4 == 0 ? std::numeric_limits<float>::infinity()
                                             : -std::numeric_limits<float>::infinity();
            break;
        }
      std::vector<float> sorted = values;
      for (float& value : sorted)
        if (std::isnan(value)) value = -std::numeric_limits<float>::infinity();
      std::sort(sorted.begin(), sorted.end(), std::greater<>());
      for (const std::size_t k : {std::size_t{1}, (count + 1) / 2, (count + 9) / 10, count}) {
        std::vector<float> spoiled = values, scratch(count + Candidates::kSpare);
        spoiled.resize(count + Candidates::kSpare, 1e30F);
        ASSERT_EQ(kth_largest(spoiled.data(), count, k, scratch.data()), sorted[k - 1])
            << "k " << k << " of " << count << ", kind " << kind;
      }
    }
}

TEST_P(CodeKernels, KeepCandidatesOfAtLeastAThreshold) {
  for (const std::size_t count : {0UL, 1UL, 15UL, 16UL, 17UL, 333UL}) {
    Room rows(count);
    std::vector<std::uint32_t> want;
    for (std::size_t i = 0; i < count; ++i) {
      rows.scores[i] = i % 11 == 5 ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(random_() % 4);
      rows.bases[i] = static_cast<float>(i);
      rows.positions[i] = static_cast<std::uint32_t>(1000 + i);
      if (rows.scores[i] >= 2) want.push_back(rows.positions[i]);
    }
    ASSERT_EQ(keep_at_least(2, rows.arrays(), count), want.size());
    for (std::size_t i = 0; i < want.size(); ++i) {
      ASSERT_EQ(rows.positions[i], want[i]);
      ASSERT_EQ(rows.bases[i], static_cast<float>(want[i] - 1000));
      ASSERT_GE(rows.scores[i], 2);
    }
  }
}

TEST_P(CodeKernels, MultiplyEightBitCodesWithoutOverflow) {
  const int most = eight_bit_levels_max();
  for (const std::size_t stride : {64UL, 128UL, 192UL, 768UL, 4096UL}) {
    std::vector<std::int8_t> query(stride);
    std::vector<std::uint8_t> codes(20 * stride);
    for (const int sign : {0, -1, 1}) {
      const bool extreme = sign != 0;
      for (std::int8_t& value : query)
        value = static_cast<std::int8_t>(extreme ? sign * most : static_cast<int>(random_() % (2 * most + 1)) - most);
      for (std::uint8_t& value : codes) value = static_cast<std::uint8_t>(extreme ? 255 : random_());
      const std::vector<std::uint32_t> positions = {19, 0, 7, 7, 18, 3, 11, 2};
      std::vector<std::int32_t> out(positions.size());
      eight_bit_products(query.data(), codes.data(), stride, positions, out.data());
      for (std::size_t i = 0; i < positions.size(); ++i) {
        std::int64_t want = 0;
        for (std::size_t d = 0; d < stride; ++d) want += codes[positions[i] * stride + d] * query[d];
        ASSERT_EQ(out[i], want) << "stride " << stride << " row " << i;
      }
    }
  }
}

TEST_P(CodeKernels, MultiplyBatchesOfRowsAndCentroidsWithoutOverflow) {
  for (const std::size_t dimension : {64UL, 384UL, 4096UL})
    for (const bool extreme : {false, true}) {
      constexpr std::size_t kRows = 8, kBlocks = 2, kCentroids = kBlocks * kCentroidBlock;
      std::vector<std::int8_t> rows(kRows * dimension);
      std::vector<std::uint8_t> levels(kCentroids * dimension);
      for (std::int8_t& value : rows)
        value = static_cast<std::int8_t>(extreme ? -127 : static_cast<int>(random_() % 255) - 127);
      for (std::uint8_t& value : levels) value = static_cast<std::uint8_t>(extreme ? 255 : random_());
      std::vector<std::int32_t> out(kRows * kCentroids);
      eight_bit_products_batch(rows.data(), kRows, levels.data(), kBlocks, dimension, out.data());
      for (std::size_t r = 0; r < kRows; ++r)
        for (std::size_t c = 0; c < kCentroids; ++c) {
          std::int64_t want = 0;
          for (std::size_t d = 0; d < dimension; ++d)
            want += rows[r * dimension + d] * levels[level_place(c, d, dimension)];
          ASSERT_EQ(out[r * kCentroids + c], want) << "dimension " << dimension << " row " << r << " centroid " << c;
        }
    }
}

TEST_P(CodeKernels, RoundToEightBits) {
  for (const int most : {63, 127})
    for (const std::size_t count : {1UL, 15UL, 64UL, 384UL}) {
      std::vector<float> values(count);
      for (float& value : values) value = uniform(3);
      std::vector<std::int8_t> levels(count);
      const float step = to_eight_bit(values.data(), count, most, levels.data());
      for (std::size_t i = 0; i < count; ++i) {
        ASSERT_NEAR(static_cast<float>(levels[i]) * step, values[i], 0.501F * step) << "count " << count;
        ASSERT_LE(std::abs(levels[i]), most);
      }
    }
  for (const float value : {0.0F, 1e-45F, 1e-40F}) {  // nothing, and numbers too small to divide by
    std::vector<float> values(64);
    values[5] = -value;
    std::vector<std::int8_t> levels(64, 1);
    EXPECT_EQ(to_eight_bit(values.data(), values.size(), 127, levels.data()), 0) << value;
    EXPECT_EQ(levels, std::vector<std::int8_t>(64)) << value;
  }
}

TEST_P(CodeKernels, RoundToSixteenBits) {
  for (const std::size_t count : {1UL, 15UL, 64UL, 384UL}) {
    std::vector<float> values(count);
    for (float& value : values) value = uniform(3);
    values.back() = -3;
    ASSERT_EQ(largest_of(values.data(), count), 3);
    std::vector<std::int16_t> levels(count);
    to_sixteen_bit(values.data(), count, 32767.0F / 3, levels.data());
    for (std::size_t i = 0; i < count; ++i) ASSERT_NEAR(levels[i], values[i] * 32767.0F / 3, 0.51F) << i;
  }
}

TEST_P(CodeKernels, FindTheNearestCentroidAsALoopDoes) {
  constexpr std::size_t kDimension = 128, kCentroids = 70, kRows = 200;
  for (const float far : {0.0F, 100.0F, 1e19F}) {  // from the origin, where little of a level is left for a difference
    std::vector<float> centroids(kCentroids * kDimension), rows(kRows * kDimension), halves(kCentroids);
    for (float& value : centroids) value = far + uniform(1);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = centroids[i % centroids.size()] + uniform(2);
    for (std::size_t c = 0; c < kCentroids; ++c)
      halves[c] = inner_product(&centroids[c * kDimension], &centroids[c * kDimension], kDimension) / 2;
    std::vector<std::uint32_t> nearest(kRows);
    std::vector<float> best(kRows);
    NearestCentroid(centroids, halves).find(centroids, halves, rows, nearest, best);
    for (std::size_t r = 0; r < kRows; ++r) {
      ASSERT_LT(nearest[r], kCentroids);
      if (far > 1000) continue;  // squares overflow: any will do
      float most = -std::numeric_limits<float>::infinity();
      for (std::size_t c = 0; c < kCentroids; ++c)
        most = std::max(most, inner_product(&rows[r * kDimension], &centroids[c * kDimension], kDimension) - halves[c]);
      EXPECT_NEAR(best[r], most, 1e-5F * std::abs(most) + 1e-3F) << "far " << far << " row " << r;
    }
  }
}

// By their codes, without instructions for 8-bit products: a row in a few hundred may get the second nearest.
TEST_P(CodeKernels, FindTheNearestOfManyCentroids) {
  constexpr std::size_t kDimension = 128, kCentroids = CentroidCodes::kMin + 3, kRows = 400;
  std::vector<float> centroids(kCentroids * kDimension), rows(kRows * kDimension), halves(kCentroids);
  for (float& value : centroids) value = 1 + uniform(1);
  for (std::size_t i = 0; i < rows.size(); ++i)  // every other row is as far from all
    rows[i] = i / kDimension % 2 == 0 ? centroids[i] + uniform(2) : 1 + uniform(1);
  for (std::size_t c = 0; c < kCentroids; ++c)
    halves[c] = inner_product(&centroids[c * kDimension], &centroids[c * kDimension], kDimension) / 2;
  std::vector<std::uint32_t> nearest(kRows);
  std::vector<float> best(kRows);
  NearestCentroid(centroids, halves).find(centroids, halves, rows, nearest, best);
  std::size_t same = 0;
  for (std::size_t r = 0; r < kRows; ++r) {
    ASSERT_LT(nearest[r], kCentroids);
    const auto score = [&](std::size_t c) {
      return inner_product(&rows[r * kDimension], &centroids[c * kDimension], kDimension) - halves[c];
    };
    EXPECT_EQ(best[r], score(nearest[r])) << "row " << r;
    std::size_t others = 0;
    for (std::size_t c = 0; c < kCentroids; ++c) others += score(c) > best[r] + 1e-3F ? 1 : 0;
    same += others == 0 ? 1 : 0;
    EXPECT_LT(others, 3) << "row " << r;
  }
  EXPECT_GE(same, kRows - kRows / 50);

  for (float& value : rows) value *= 1e36F;  // products overflow: any will do
  NearestCentroid(centroids, halves).find(centroids, halves, rows, nearest, best);
  for (std::size_t r = 0; r < kRows; ++r) ASSERT_LT(nearest[r], kCentroids);
}

TEST_P(CodeKernels, MultiplySixteenBitLevelsWithoutOverflow) {
  for (const std::size_t stride : {64UL, 384UL, 4096UL}) {
    const int most = static_cast<int>(std::sqrt(2147483647.0 / static_cast<double>(stride)));
    std::vector<std::int16_t> query(stride), rows(5 * stride);
    for (const bool extreme : {false, true}) {
      for (std::int16_t& value : query)
        value = static_cast<std::int16_t>(extreme ? -most : static_cast<int>(random_() % 2000) % most - most / 2);
      for (std::int16_t& value : rows)
        value = static_cast<std::int16_t>(extreme ? most : static_cast<int>(random_() % 2000) % most - most / 2);
      std::int32_t out[5];
      sixteen_bit_products(query.data(), rows.data(), 5, stride, out);
      for (std::size_t i = 0; i < 5; ++i) {
        std::int64_t want = 0;
        for (std::size_t d = 0; d < stride; ++d) want += rows[i * stride + d] * query[d];
        ASSERT_EQ(out[i], want) << "stride " << stride << " row " << i;
      }
    }
  }
}

TEST_P(CodeKernels, RotateWithoutChangingInnerProducts) {
  for (const std::size_t dimension : {1UL, 3UL, 64UL, 100UL, 384UL, 768UL, 1000UL}) {
    const Rotation rotation(dimension, 42);
    ASSERT_EQ(rotation.size() % 64, 0U);
    std::vector<float> a(dimension), b(dimension), ra(rotation.size()), rb(rotation.size()), scratch(rotation.size());
    for (const float scale : {1.0F, 1e-30F, 1e15F}) {
      for (std::size_t d = 0; d < dimension; ++d) {
        a[d] = uniform(scale);
        b[d] = uniform(scale);
      }
      rotation.apply(a.data(), ra.data(), scratch.data());
      rotation.apply(b.data(), rb.data(), scratch.data());
      const double norm = std::sqrt(inner_product_reference(a.data(), a.data(), dimension) *
                                    inner_product_reference(b.data(), b.data(), dimension));
      EXPECT_NEAR(inner_product_reference(ra.data(), rb.data(), ra.size()) / norm,
                  inner_product_reference(a.data(), b.data(), dimension) / norm, 1e-5)
          << dimension;
    }
  }
}

TEST_P(CodeKernels, RotateAVectorOfOneValueOverAllDimensions) {
  const Rotation rotation(384, 42);
  std::vector<float> in(384), out(384), scratch(384);
  in[17] = 1;
  rotation.apply(in.data(), out.data(), scratch.data());
  float largest = 0;
  for (const float value : out) largest = std::max(largest, std::abs(value));
  EXPECT_LT(largest, 6 / std::sqrt(384.0F));
}

INSTANTIATE_TEST_SUITE_P(Targets, CodeKernels, testing::ValuesIn(kernel_targets()),
                         [](const auto& target) { return target.param; });

}  // namespace
}  // namespace mneme::index
