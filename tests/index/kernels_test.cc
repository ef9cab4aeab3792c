// Every kernel on every target of this processor against the reference in double.
#include "mneme/index/kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace mneme::index {
namespace {

// `count` floats in memory of exactly that size, so that the address sanitizer sees a read behind the end. With
// `shift` bytes the first one is as unaligned as a float can be.
class Exactly {
 public:
  explicit Exactly(std::size_t count, std::size_t shift = 0)
      : bytes_(new std::byte[count * sizeof(float) + shift]), shift_(shift) {}
  float* data() { return reinterpret_cast<float*>(bytes_.get() + shift_); }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t shift_;
};

double sum_of_terms(const float* a, const float* b, std::size_t n, bool l2) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double x = a[i], y = b[i];
    sum += l2 ? (x - y) * (x - y) : std::abs(x * y);
  }
  return sum;
}

// A float32 sum in any order is off by at most n·2⁻²⁴·Σ|terms| and a little; each product that underflows adds half
// of the smallest denormal. Where a partial sum may pass the largest float, ±∞ and NaN are right as well.
void expect_close(float got, double exact, double terms, std::size_t n, const std::string& what) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  if (!std::isfinite(got)) {
    EXPECT_GE(terms * (1 + 1e-3), kLargest) << what << ": " << got << " though the terms add up to " << terms;
    return;
  }
  const double bound = static_cast<double>(n + 8) * 0x1p-24 * terms +
                       static_cast<double>(n + 1) * std::numeric_limits<float>::denorm_min();
  EXPECT_LE(std::abs(static_cast<double>(got) - exact), bound) << what << ": got " << got << ", exact " << exact;
}

enum class Kind { Ordinary, Denormal, Huge, Tiny, Zeros, Mixed };

struct Case {
  std::string target;
  Kind kind;
};

const char* name_of(Kind kind) {
  static constexpr const char* kNames[] = {"Ordinary", "Denormal", "Huge", "Tiny", "Zeros", "Mixed"};
  return kNames[static_cast<int>(kind)];
}

class Kernels : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(force_kernel_target(GetParam().target));
    seed_ = std::random_device{}();
    random_.seed(seed_);
    RecordProperty("seed", std::to_string(seed_));
  }
  void TearDown() override {
    force_kernel_target("");
    if (HasFailure()) std::printf("seed %u\n", seed_);
  }

  float value() {
    Kind kind = GetParam().kind;
    if (kind == Kind::Mixed) kind = static_cast<Kind>(random_() % 5);
    const float unit = std::uniform_real_distribution<float>(-1, 1)(random_);
    switch (kind) {
      case Kind::Denormal:
        return unit * 1e-39F;
      case Kind::Huge:
        return unit * 3e38F;
      case Kind::Tiny:
        return unit * 1e-22F;
      case Kind::Zeros:
        return random_() % 2 == 0 ? -0.0F : 0.0F;
      default:
        return unit;
    }
  }
  void fill(float* values, std::size_t count) {
    std::generate_n(values, count, [&] { return value(); });
  }

  void check_all(std::size_t dimension, std::size_t rows, std::size_t queries, std::size_t shift = 0);

  std::mt19937 random_;
  unsigned seed_ = 0;
};

void Kernels::check_all(std::size_t dimension, std::size_t rows, std::size_t queries, std::size_t shift) {
  Exactly row_values(rows * dimension, shift), query_values(queries * dimension, shift), out(rows * queries);
  fill(row_values.data(), rows * dimension);
  fill(query_values.data(), queries * dimension);
  std::vector<const float*> scattered;
  for (std::size_t r = 0; r < rows; ++r) scattered.push_back(row_values.data() + (r * 7 % rows) * dimension);

  for (const bool l2 : {false, true}) {
    const auto expect = [&](float got, std::size_t q, const float* row, const char* kernel) {
      const float* query = query_values.data() + q * dimension;
      const double exact = (l2 ? squared_l2_reference : inner_product_reference)(query, row, dimension);
      const double terms = sum_of_terms(query, row, dimension, l2);
      expect_close(got, exact, terms, dimension,
                   std::string(kernel) + (l2 ? " l2" : " ip") + " dimension " + std::to_string(dimension) + " rows " +
                       std::to_string(rows) + " query " + std::to_string(q));
    };
    const auto row = [&](std::size_t r) { return row_values.data() + r * dimension; };

    const float* query = query_values.data();
    for (std::size_t r = 0; r < rows; ++r) {
      expect((l2 ? squared_l2 : inner_product)(query, row(r), dimension), 0, row(r), "one");
      const double exact = (l2 ? squared_l2_reference : inner_product_reference)(query, row(r), dimension);
      EXPECT_NEAR((l2 ? squared_l2_f64 : inner_product_f64)(query, row(r), dimension), exact,
                  sum_of_terms(query, row(r), dimension, l2) * static_cast<double>(dimension) * 0x1p-51);
    }
    (l2 ? squared_l2s : inner_products)(query, row_values.data(), rows, dimension, out.data());
    for (std::size_t r = 0; r < rows; ++r) expect(out.data()[r], 0, row(r), "rows");
    (l2 ? squared_l2s_at : inner_products_at)(query, scattered.data(), rows, dimension, out.data());
    for (std::size_t r = 0; r < rows; ++r) expect(out.data()[r], 0, scattered[r], "scattered");
    (l2 ? squared_l2s_batch : inner_products_batch)(query, queries, row_values.data(), rows, dimension, out.data());
    for (std::size_t q = 0; q < queries; ++q)
      for (std::size_t r = 0; r < rows; ++r) expect(out.data()[q * rows + r], q, row(r), "batch");
    if (HasFailure()) return;
  }
}

TEST_P(Kernels, AgreeWithTheReferenceInEveryDimensionUpTo70) {
  for (std::size_t dimension = 1; dimension <= 70; ++dimension) check_all(dimension, 9, 7);
}

TEST_P(Kernels, AgreeWithTheReferenceInUsualDimensions) {
  for (const std::size_t dimension : {100U, 384U, 767U, 768U, 1536U}) check_all(dimension, 6, 5);
}

TEST_P(Kernels, AgreeWithTheReferenceInTheLargestDimension) { check_all(65'536, 5, 6); }

TEST_P(Kernels, TakeAnyNumberOfRowsAndQueries) {
  for (std::size_t rows = 0; rows <= 11; ++rows)
    for (std::size_t queries = 1; queries <= 9; ++queries) check_all(19, rows, queries);
  check_all(384, 300, 9);  // more than one cache tile
}

TEST_P(Kernels, NeedNoMoreAlignmentThanAFloat) {
  for (const std::size_t shift : {4U, 20U, 36U}) check_all(83, 9, 6, shift);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::string& target : kernel_targets())
    for (const Kind kind : {Kind::Ordinary, Kind::Denormal, Kind::Huge, Kind::Tiny, Kind::Zeros, Kind::Mixed})
      all.push_back({target, kind});
  return all;
}

INSTANTIATE_TEST_SUITE_P(EveryTarget, Kernels, testing::ValuesIn(cases()),
                         [](const auto& of) { return of.param.target + "_" + name_of(of.param.kind); });

TEST(KernelTargets, EndInAFallbackAndAreForcedByName) {
  const std::vector<std::string> targets = kernel_targets();
  ASSERT_FALSE(targets.empty());
  EXPECT_TRUE(targets.back() == "SCALAR" || targets.back() == "EMU128" || targets.back() == "NEON") << targets.back();
  for (const std::string& target : targets) EXPECT_TRUE(force_kernel_target(target)) << target;
  EXPECT_EQ(kernel_targets(), targets) << "forcing a target must not change what there is";
  EXPECT_FALSE(force_kernel_target("AVX1024"));
  EXPECT_TRUE(force_kernel_target(""));
}

// Forcing that had no effect would turn the suite above into six runs of one target.
TEST(KernelTargets, DifferInTheLastBits) {
  if (kernel_targets().size() < 2) GTEST_SKIP() << "this processor has one target only: " << kernel_targets().front();
  std::mt19937 random(7);
  std::vector<float> a(4099), b(4099);
  for (float& x : a) x = std::uniform_real_distribution<float>(-1, 1)(random);
  for (float& x : b) x = std::uniform_real_distribution<float>(-1, 1)(random);
  ASSERT_TRUE(force_kernel_target(kernel_targets().back()));
  const float slow = inner_product(a.data(), b.data(), a.size());
  ASSERT_TRUE(force_kernel_target(""));
  EXPECT_NE(slow, inner_product(a.data(), b.data(), a.size()));
}

}  // namespace
}  // namespace mneme::index
