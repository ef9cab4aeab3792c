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

/// Level of dimension d in four planes of two's complement.
int level_of(const std::vector<std::uint64_t>& planes, std::size_t d) {
  int level = 0;
  for (unsigned p = 0; p < 4; ++p)
    if ((planes[d / 64 * 4 + p] >> d % 64 & 1) != 0) level += p == 3 ? -8 : 1 << p;
  return level;
}

TEST_P(CodeKernels, EstimateFromOneBitCodesAsALoopOverBitsDoes) {
  for (const std::size_t words : {1UL, 2UL, 6UL, 12UL, 64UL})
    for (const std::size_t rows : {1UL, 7UL, 8UL, 15UL, 16UL, 17UL, 40UL, 200UL})
      for (const bool with_offsets : {false, true}) {
        const std::size_t bytes = block_bytes(words, with_offsets), dimension = words * 64;
        const std::size_t blocks_count = (rows + kBlockRows - 1) / kBlockRows;
        std::vector<std::byte> blocks(blocks_count * bytes);
        for (std::byte& byte : blocks) byte = static_cast<std::byte>(random_());
        std::vector<std::array<float, 2>> factors;
        for (std::size_t row = 0; row < blocks_count * kBlockRows; ++row) {
          factors.push_back({uniform(1), uniform(2)});
          std::byte* const first = &blocks[row / kBlockRows * bytes + words * kBlockRows * 8 + row % kBlockRows * 4];
          std::memcpy(first, &factors.back()[0], 4);
          if (with_offsets) std::memcpy(first + kBlockRows * 4, &factors.back()[1], 4);
        }
        std::vector<std::uint64_t> planes(words * 4);
        for (std::uint64_t& plane : planes) plane = random_();
        double levels = 0;
        for (std::size_t d = 0; d < dimension; ++d) levels += level_of(planes, d);
        const OneBitQuery query{planes.data(), words, 0.03F, static_cast<float>(levels), with_offsets};

        std::vector<double> want;
        for (std::size_t row = 0; row < rows; ++row) {
          double sum = 0;
          for (std::size_t d = 0; d < dimension; ++d) {
            std::uint64_t word = 0;
            std::memcpy(&word, &blocks[row / kBlockRows * bytes + (d / 64 * kBlockRows + row % kBlockRows) * 8], 8);
            sum += (word >> d % 64 & 1) != 0 ? level_of(planes, d) : -level_of(planes, d);
          }
          want.push_back(0.5 + factors[row][0] * 0.03 * sum + (with_offsets ? factors[row][1] : 0));
        }
        Room out(rows + 3);
        const float least = static_cast<float>(want[rows / 2]) - 1e-3F;
        // With and without a list behind, and after three candidates that stay.
        for (const std::size_t next_rows : {0UL, 33UL}) {
          const std::size_t end =
              scan_one_bit(query, {blocks.data(), rows, 100, 0.5F, blocks.data(), next_rows}, least, out.arrays(), 3);
          std::size_t at = 3;
          for (std::size_t row = 0; row < rows; ++row) {
            if (want[row] < least + 1e-3 && want[row] > least - 1e-3 && row != rows / 2) continue;  // rounding decides
            while (at < end && out.positions[at] < 100 + row) ++at;
            const bool found = at < end && out.positions[at] == 100 + row;
            ASSERT_EQ(found, want[row] > least) << words << " words, row " << row << " of " << rows;
            if (found) {
              ASSERT_NEAR(out.scores[at], want[row], 1e-4 * (1 + std::abs(want[row])));
              ASSERT_EQ(out.bases[at], 0.5F);
            }
          }
          ASSERT_LE(end, rows + 3);
        }
      }
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
  for (const std::size_t stride : {64UL, 128UL, 192UL, 768UL, 4096UL}) {
    std::vector<std::int8_t> query(stride);
    std::vector<std::uint8_t> codes(20 * stride);
    for (const bool extreme : {false, true}) {
      for (std::int8_t& value : query)
        value = static_cast<std::int8_t>(extreme ? -127 : static_cast<int>(random_() % 255) - 127);
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
