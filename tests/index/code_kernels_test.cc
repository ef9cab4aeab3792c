// Codes against plain loops, on every instruction set that the processor has.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
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

struct OneBitRows {
  std::size_t words, rows;
  bool with_offsets;
  std::vector<std::byte> blocks;
  std::vector<std::vector<bool>> signs;
  std::vector<float> slope, ones, offset;
};

TEST_P(CodeKernels, EstimateFromOneBitCodesAsALoopOverBitsDoes) {
  for (const std::size_t words : {1UL, 2UL, 6UL, 12UL, 64UL})
    for (const std::size_t rows : {1UL, 7UL, 8UL, 9UL, 40UL})
      for (const bool with_offsets : {false, true}) {
        const std::size_t bytes = block_bytes(words, with_offsets), dimension = words * 64;
        std::vector<std::byte> blocks((rows + 7) / 8 * bytes);
        for (std::byte& byte : blocks) byte = static_cast<std::byte>(random_());
        std::vector<std::vector<float>> factors;
        for (std::size_t row = 0; row < (rows + 7) / 8 * 8; ++row) {
          factors.push_back({uniform(1), uniform(3), uniform(2)});
          for (std::size_t f = 0; f < (with_offsets ? 3U : 2U); ++f)
            std::memcpy(&blocks[row / 8 * bytes + words * 64 + (f * 8 + row % 8) * 4], &factors.back()[f], 4);
        }
        std::vector<std::uint64_t> planes(words * 4);
        for (std::uint64_t& plane : planes) plane = random_();
        double levels = 0;
        const auto level = [&](std::size_t d) {
          unsigned value = 0;
          for (unsigned p = 0; p < 4; ++p) value |= static_cast<unsigned>(planes[d / 64 * 4 + p] >> d % 64 & 1) << p;
          return value;
        };
        for (std::size_t d = 0; d < dimension; ++d) levels += level(d);
        const OneBitQuery query{planes.data(), words, 0.03F, -0.2F, static_cast<float>(levels), with_offsets};

        std::vector<double> want;
        for (std::size_t row = 0; row < rows; ++row) {
          double sum = 0;
          for (std::size_t d = 0; d < dimension; ++d) {
            std::uint64_t word = 0;
            std::memcpy(&word, &blocks[row / 8 * bytes + (d / 64 * 8 + row % 8) * 8], 8);
            if ((word >> d % 64 & 1) != 0) sum += level(d);
          }
          want.push_back(0.5 + factors[row][0] * (2 * 0.03 * sum - 0.03 * levels) - 0.2 * factors[row][1] +
                         (with_offsets ? factors[row][2] : 0));
        }
        std::vector<Candidate> out(rows + 1);
        const float least = static_cast<float>(want[rows / 2]) - 1e-3F;
        Candidate* const end = scan_one_bit(query, blocks.data(), rows, 100, 0.5F, least, out.data());
        std::size_t at = 0;
        for (std::size_t row = 0; row < rows; ++row) {
          if (want[row] < least + 1e-3 && want[row] > least - 1e-3 && row != rows / 2) continue;  // rounding decides
          while (out.data() + at < end && out[at].position < 100 + row) ++at;
          const bool found = out.data() + at < end && out[at].position == 100 + row;
          ASSERT_EQ(found, want[row] > least) << words << " words, row " << row << " of " << rows;
          if (found) {
            ASSERT_NEAR(out[at].score, want[row], 1e-4 * (1 + std::abs(want[row])));
            ASSERT_EQ(out[at].base, 0.5F);
          }
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
      std::vector<Candidate> rows;
      for (const std::uint32_t position : {19U, 0U, 7U, 7U, 18U, 3U, 11U, 2U}) rows.push_back({0, 0, position});
      std::vector<std::int32_t> out(rows.size());
      eight_bit_products(query.data(), codes.data(), stride, rows, out.data());
      for (std::size_t i = 0; i < rows.size(); ++i) {
        std::int64_t want = 0;
        for (std::size_t d = 0; d < stride; ++d) want += codes[rows[i].position * stride + d] * query[d];
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
