// NOLINTBEGIN(readability-identifier-naming): functions that Highway dispatches are named as its own are
// Distance kernels, compiled once per instruction set by Highway and chosen when the program runs.
//
// One routine does all the work: a tile of Q queries × R rows, whose Q·R sums stay in registers while it walks the
// dimensions once. A loaded row vector is used Q times and a loaded query vector R times, and the Q·R independent
// chains of multiply-adds hide their latency.
//
// Reading R rows side by side looks to the hardware prefetcher like R short streams, and it gives up: 16 GB/s where
// a plain sum of the same memory reaches 32 (AMD EPYC, Zen 4). So the next tile is prefetched by software, byte after
// byte in the order of memory, while the present one is read from the cache: 28 GB/s.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels.cc"
// The sums of a tile are arrays of vectors, which the sizeless vectors of SVE and RVV do not allow; Arm runs NEON.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)

#include "mneme/index/kernels.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wold-style-cast"  // Highway's headers, at the point of use
#endif
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#if HWY_COMPILER_CLANG
#define MNEME_UNROLL _Pragma("clang loop unroll(full)")
#else
#define MNEME_UNROLL _Pragma("GCC unroll 16")
#endif

HWY_BEFORE_NAMESPACE();
namespace mneme::index::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using FloatVec = hn::Vec<Floats>;
using Doubles = hn::ScalableTag<double>;
using DoubleVec = hn::Vec<Doubles>;

// A masked load must not touch what lies behind the last element. AVX2 and AVX-512 promise that; the others load
// the whole vector and then clear it, so that their tails are scalar.
#undef MNEME_MASKED_TAIL
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
#define MNEME_MASKED_TAIL 1
#else
#define MNEME_MASKED_TAIL 0
#endif

// 32 vector registers hold the sums of a 4 × 4 tile beside its operands; 16 registers hold 4 × 2.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_NEON
inline constexpr std::size_t kBatchRows = 4;
#else
inline constexpr std::size_t kBatchRows = 2;
#endif
inline constexpr std::size_t kBatchQueries = 4;
inline constexpr std::size_t kScanRows = 4;

struct Product {
  template <class V>
  static HWY_INLINE V add(V sum, V a, V b) {
    return hn::MulAdd(a, b, sum);
  }
  static HWY_INLINE float add(float sum, float a, float b) { return sum + a * b; }
  static HWY_INLINE double add(double sum, double a, double b) { return sum + a * b; }
};

struct SquaredDifference {
  template <class V>
  static HWY_INLINE V add(V sum, V a, V b) {
    const V difference = hn::Sub(a, b);
    return hn::MulAdd(difference, difference, sum);
  }
  static HWY_INLINE float add(float sum, float a, float b) { return sum + (a - b) * (a - b); }
  static HWY_INLINE double add(double sum, double a, double b) { return sum + (a - b) * (a - b); }
};

// Asks for the cache lines that hold `floats` floats from `at`, into L1 (locality 3) or L2 (2). Any address is
// allowed, mapped or not.
template <int locality, std::size_t floats>
HWY_INLINE void prefetch(std::uintptr_t at) {
  constexpr std::size_t kLines = floats * sizeof(float) < 64 ? 1 : floats * sizeof(float) / 64;
  MNEME_UNROLL
  for (std::size_t line = 0; line < kLines; ++line)
    __builtin_prefetch(reinterpret_cast<const char*>(at + line * 64), 0, locality);
}

// What a tile of R rows asks for while it reads floats [i, i + step) of each of its rows.
struct NothingAhead {
  template <std::size_t R, std::size_t step>
  HWY_INLINE void ask(std::size_t) const {}
};
template <int locality>
struct MemoryAhead {  // the bytes from `at` on, in order
  std::uintptr_t at;
  template <std::size_t R, std::size_t step>
  HWY_INLINE void ask(std::size_t i) const {
    prefetch<locality, R * step>(at + i * R * sizeof(float));
  }
};
struct RowsAhead {  // these rows
  const float* const* rows;
  template <std::size_t R, std::size_t step>
  HWY_INLINE void ask(std::size_t i) const {
    MNEME_UNROLL
    for (std::size_t r = 0; r < R; ++r) prefetch<3, step>(reinterpret_cast<std::uintptr_t>(rows[r] + i));
  }
};

// With sixteen registers GCC would rather load a value again for each of its uses, which takes longer than the
// multiply-adds.
template <class V>
HWY_INLINE void keep_in_register(V& value) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SSSE3
  asm("" : "+x"(value.raw));
#else
  (void)value;
#endif
}

// sums[q][r] = Op over query q and row r.
template <class Op, std::size_t Q, std::size_t R, class Ahead>
HWY_INLINE void tile(const float* const (&query)[Q], const float* const (&row)[R], std::size_t dimension,
                     const Ahead ahead, float (&sums)[Q][R]) {
  const Floats d;
  const std::size_t lanes = hn::Lanes(d);
  // Small tiles have too few chains to hide the latency of a multiply-add: they get several per sum.
  constexpr std::size_t kChains = Q * R >= 4 ? 1 : 4;
  FloatVec sum[Q][R][kChains];
  MNEME_UNROLL
  for (std::size_t q = 0; q < Q; ++q) MNEME_UNROLL
  for (std::size_t r = 0; r < R; ++r) MNEME_UNROLL
  for (std::size_t c = 0; c < kChains; ++c) sum[q][r][c] = hn::Zero(d);

  std::size_t i = 0;
  for (; i + kChains * lanes <= dimension; i += kChains * lanes) {
    ahead.template ask<R, kChains * HWY_LANES(float)>(i);
    MNEME_UNROLL
    for (std::size_t c = 0; c < kChains; ++c) {
      FloatVec b[Q];
      MNEME_UNROLL
      for (std::size_t q = 0; q < Q; ++q) {
        b[q] = hn::LoadU(d, query[q] + i + c * lanes);
        keep_in_register(b[q]);
      }
      MNEME_UNROLL
      for (std::size_t r = 0; r < R; ++r) {
        const FloatVec a = hn::LoadU(d, row[r] + i + c * lanes);
        MNEME_UNROLL
        for (std::size_t q = 0; q < Q; ++q) sum[q][r][c] = Op::add(sum[q][r][c], a, b[q]);
      }
    }
  }
  for (; i + lanes <= dimension; i += lanes) {
    MNEME_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      const FloatVec a = hn::LoadU(d, row[r] + i);
      MNEME_UNROLL
      for (std::size_t q = 0; q < Q; ++q) sum[q][r][0] = Op::add(sum[q][r][0], a, hn::LoadU(d, query[q] + i));
    }
  }
#if MNEME_MASKED_TAIL
  if (i < dimension) {
    const auto mask = hn::FirstN(d, dimension - i);
    MNEME_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      const FloatVec a = hn::MaskedLoad(mask, d, row[r] + i);
      MNEME_UNROLL
      for (std::size_t q = 0; q < Q; ++q)
        sum[q][r][0] = Op::add(sum[q][r][0], a, hn::MaskedLoad(mask, d, query[q] + i));
    }
    i = dimension;
  }
#endif
  MNEME_UNROLL
  for (std::size_t q = 0; q < Q; ++q) MNEME_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    FloatVec total = sum[q][r][0];
    MNEME_UNROLL
    for (std::size_t c = 1; c < kChains; ++c) total = hn::Add(total, sum[q][r][c]);
    float scalar = hn::GetLane(hn::SumOfLanes(d, total));
    for (std::size_t k = i; k < dimension; ++k) scalar = Op::add(scalar, query[q][k], row[r][k]);
    sums[q][r] = scalar;
  }
}

template <class Op>
HWY_INLINE float one(const float* a, const float* b, std::size_t dimension) {
  const float* const query[1] = {a};
  const float* const row[1] = {b};
  float sums[1][1];
  tile<Op>(query, row, dimension, NothingAhead{}, sums);
  return sums[0][0];
}

// Products of two floats are exact in double, so that only the additions round.
template <class Op>
HWY_INLINE double one_in_double(const float* a, const float* b, std::size_t dimension) {
  const Doubles d;
  const hn::Rebind<float, Doubles> half;
  const std::size_t lanes = hn::Lanes(d);
  constexpr std::size_t kChains = 4;
  DoubleVec sum[kChains] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  std::size_t i = 0;
  for (; i + kChains * lanes <= dimension; i += kChains * lanes) {
    MNEME_UNROLL
    for (std::size_t c = 0; c < kChains; ++c)
      sum[c] = Op::add(sum[c], hn::PromoteTo(d, hn::LoadU(half, a + i + c * lanes)),
                       hn::PromoteTo(d, hn::LoadU(half, b + i + c * lanes)));
  }
  double total = hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3]))));
  for (; i < dimension; ++i) total = Op::add(total, static_cast<double>(a[i]), static_cast<double>(b[i]));
  return total;
}

// R rows against Q queries, out[q × stride + r].
template <class Op, std::size_t Q, std::size_t R, class Ahead>
HWY_INLINE void contiguous_tile(const float* queries, const float* rows, std::size_t dimension, const Ahead ahead,
                                std::size_t stride, float* out) {
  const float* query[Q];
  const float* row[R];
  MNEME_UNROLL
  for (std::size_t q = 0; q < Q; ++q) query[q] = queries + q * dimension;
  MNEME_UNROLL
  for (std::size_t r = 0; r < R; ++r) row[r] = rows + r * dimension;
  float sums[Q][R];
  tile<Op>(query, row, dimension, ahead, sums);
  MNEME_UNROLL
  for (std::size_t q = 0; q < Q; ++q) MNEME_UNROLL
  for (std::size_t r = 0; r < R; ++r) out[q * stride + r] = sums[q][r];
}

// Rows from memory against Q queries: prefetches the next tile, or 16 KiB ahead when tiles are small.
template <class Op, std::size_t Q, std::size_t R>
HWY_INLINE void strip_from_memory(const float* queries, const float* rows, std::size_t count, std::size_t dimension,
                                  std::size_t stride, float* out) {
  const std::size_t tile_bytes = R * dimension * sizeof(float);
  const std::size_t bytes_ahead = tile_bytes < 16 * 1024 ? 16 * 1024 : tile_bytes;
  using Ahead = MemoryAhead<Q == 1 ? 3 : 2>;  // four queries and two tiles are more than L1 holds
  std::size_t r = 0;
  // A tile that takes more than a part of L2 would push itself out: such rows go one by one.
  if (tile_bytes <= 128 * 1024)
    for (; r + R <= count; r += R) {
      const float* first = rows + r * dimension;
      contiguous_tile<Op, Q, R>(queries, first, dimension, Ahead{reinterpret_cast<std::uintptr_t>(first) + bytes_ahead},
                                stride, out + r);
    }
  for (; r < count; ++r) {
    const float* first = rows + r * dimension;
    contiguous_tile<Op, Q, 1>(queries, first, dimension, Ahead{reinterpret_cast<std::uintptr_t>(first) + 16 * 1024},
                              stride, out + r);
  }
}

// Rows that are in the cache already.
template <class Op, std::size_t Q, std::size_t R>
HWY_INLINE void strip_from_cache(const float* queries, const float* rows, std::size_t count, std::size_t dimension,
                                 std::size_t stride, float* out) {
  std::size_t r = 0;
  for (; r + R <= count; r += R)
    contiguous_tile<Op, Q, R>(queries, rows + r * dimension, dimension, NothingAhead{}, stride, out + r);
  for (; r < count; ++r)
    contiguous_tile<Op, Q, 1>(queries, rows + r * dimension, dimension, NothingAhead{}, stride, out + r);
}

// Rows of one cache tile stay in L2 while every group of queries passes over them.
template <class Op>
HWY_INLINE void batch(const float* queries, std::size_t query_count, const float* rows, std::size_t count,
                      std::size_t dimension, float* out) {
  constexpr std::size_t kTileBytes = 192 * 1024;
  const std::size_t fit = kTileBytes / (dimension * sizeof(float)) / kBatchRows * kBatchRows;
  const std::size_t tile_rows = fit < kBatchRows ? kBatchRows : fit;
  for (std::size_t begin = 0; begin < count; begin += tile_rows) {
    const std::size_t n = count - begin < tile_rows ? count - begin : tile_rows;
    const float* tile_begin = rows + begin * dimension;
    std::size_t q = 0;
    if (query_count >= kBatchQueries) {
      strip_from_memory<Op, kBatchQueries, kBatchRows>(queries, tile_begin, n, dimension, count, out + begin);
      q = kBatchQueries;
    }
    for (; q + kBatchQueries <= query_count; q += kBatchQueries)
      strip_from_cache<Op, kBatchQueries, kBatchRows>(queries + q * dimension, tile_begin, n, dimension, count,
                                                      out + q * count + begin);
    for (; q + 2 <= query_count; q += 2)
      strip_from_cache<Op, 2, kBatchRows>(queries + q * dimension, tile_begin, n, dimension, count,
                                          out + q * count + begin);
    for (; q < query_count; ++q)
      strip_from_cache<Op, 1, kScanRows>(queries + q * dimension, tile_begin, n, dimension, count,
                                         out + q * count + begin);
  }
}

template <class Op>
HWY_INLINE void gathered(const float* query, const float* const* rows, std::size_t count, std::size_t dimension,
                         float* out) {
  constexpr std::size_t R = kScanRows;
  const float* const queries[1] = {query};
  std::size_t r = 0;
  for (; r + R <= count; r += R) {
    const float* row[R];
    MNEME_UNROLL
    for (std::size_t k = 0; k < R; ++k) row[k] = rows[r + k];
    float sums[1][R];
    tile<Op>(queries, row, dimension, RowsAhead{r + 2 * R <= count ? rows + r + R : rows + r}, sums);
    MNEME_UNROLL
    for (std::size_t k = 0; k < R; ++k) out[r + k] = sums[0][k];
  }
  for (; r < count; ++r) out[r] = one<Op>(query, rows[r], dimension);
}

float InnerProduct(const float* a, const float* b, std::size_t n) { return one<Product>(a, b, n); }
float SquaredL2(const float* a, const float* b, std::size_t n) { return one<SquaredDifference>(a, b, n); }
double InnerProductF64(const float* a, const float* b, std::size_t n) { return one_in_double<Product>(a, b, n); }
double SquaredL2F64(const float* a, const float* b, std::size_t n) { return one_in_double<SquaredDifference>(a, b, n); }
void InnerProducts(const float* query, const float* rows, std::size_t count, std::size_t n, float* out) {
  strip_from_memory<Product, 1, kScanRows>(query, rows, count, n, count, out);
}
void SquaredL2s(const float* query, const float* rows, std::size_t count, std::size_t n, float* out) {
  strip_from_memory<SquaredDifference, 1, kScanRows>(query, rows, count, n, count, out);
}
void InnerProductsAt(const float* query, const float* const* rows, std::size_t count, std::size_t n, float* out) {
  gathered<Product>(query, rows, count, n, out);
}
void SquaredL2sAt(const float* query, const float* const* rows, std::size_t count, std::size_t n, float* out) {
  gathered<SquaredDifference>(query, rows, count, n, out);
}
void InnerProductsBatch(const float* queries, std::size_t query_count, const float* rows, std::size_t count,
                        std::size_t n, float* out) {
  batch<Product>(queries, query_count, rows, count, n, out);
}
void SquaredL2sBatch(const float* queries, std::size_t query_count, const float* rows, std::size_t count, std::size_t n,
                     float* out) {
  batch<SquaredDifference>(queries, query_count, rows, count, n, out);
}

}  // namespace mneme::index::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mneme::index {

HWY_EXPORT(InnerProduct);
HWY_EXPORT(SquaredL2);
HWY_EXPORT(InnerProductF64);
HWY_EXPORT(SquaredL2F64);
HWY_EXPORT(InnerProducts);
HWY_EXPORT(SquaredL2s);
HWY_EXPORT(InnerProductsAt);
HWY_EXPORT(SquaredL2sAt);
HWY_EXPORT(InnerProductsBatch);
HWY_EXPORT(SquaredL2sBatch);

float inner_product(const float* a, const float* b, std::size_t dimension) {
  return HWY_DYNAMIC_DISPATCH(InnerProduct)(a, b, dimension);
}
float squared_l2(const float* a, const float* b, std::size_t dimension) {
  return HWY_DYNAMIC_DISPATCH(SquaredL2)(a, b, dimension);
}
double inner_product_f64(const float* a, const float* b, std::size_t dimension) {
  return HWY_DYNAMIC_DISPATCH(InnerProductF64)(a, b, dimension);
}
double squared_l2_f64(const float* a, const float* b, std::size_t dimension) {
  return HWY_DYNAMIC_DISPATCH(SquaredL2F64)(a, b, dimension);
}
void inner_products(const float* query, const float* rows, std::size_t count, std::size_t dimension, float* out) {
  HWY_DYNAMIC_DISPATCH(InnerProducts)(query, rows, count, dimension, out);
}
void squared_l2s(const float* query, const float* rows, std::size_t count, std::size_t dimension, float* out) {
  HWY_DYNAMIC_DISPATCH(SquaredL2s)(query, rows, count, dimension, out);
}
void inner_products_at(const float* query, const float* const* rows, std::size_t count, std::size_t dimension,
                       float* out) {
  HWY_DYNAMIC_DISPATCH(InnerProductsAt)(query, rows, count, dimension, out);
}
void squared_l2s_at(const float* query, const float* const* rows, std::size_t count, std::size_t dimension,
                    float* out) {
  HWY_DYNAMIC_DISPATCH(SquaredL2sAt)(query, rows, count, dimension, out);
}
void inner_products_batch(const float* queries, std::size_t query_count, const float* rows, std::size_t count,
                          std::size_t dimension, float* out) {
  HWY_DYNAMIC_DISPATCH(InnerProductsBatch)(queries, query_count, rows, count, dimension, out);
}
void squared_l2s_batch(const float* queries, std::size_t query_count, const float* rows, std::size_t count,
                       std::size_t dimension, float* out) {
  HWY_DYNAMIC_DISPATCH(SquaredL2sBatch)(queries, query_count, rows, count, dimension, out);
}

double inner_product_reference(const float* a, const float* b, std::size_t dimension) {
  double sum = 0;
  for (std::size_t i = 0; i < dimension; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}
double squared_l2_reference(const float* a, const float* b, std::size_t dimension) {
  double sum = 0;
  for (std::size_t i = 0; i < dimension; ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += difference * difference;
  }
  return sum;
}

namespace {

// What this build has and the processor runs; the fallback without vectors is always there.
std::int64_t available_targets() {
  static const std::int64_t available = (hwy::SupportedTargets() | HWY_STATIC_TARGET) & HWY_TARGETS;
  return available;
}

}  // namespace

std::vector<std::string> kernel_targets() {
  std::vector<std::string> names;
  for (std::int64_t rest = available_targets(); rest != 0; rest &= rest - 1)
    names.emplace_back(hwy::TargetName(rest & -rest));
  return names;
}

bool force_kernel_target(const std::string& name) {
  std::int64_t wanted = 0;  // 0 lifts the restriction
  for (std::int64_t rest = available_targets(); rest != 0 && !name.empty(); rest &= rest - 1)
    if (name == hwy::TargetName(rest & -rest)) wanted = rest & -rest;
  if (wanted == 0 && !name.empty()) return false;
  hwy::SetSupportedTargetsForTest(wanted);
  return true;
}

}  // namespace mneme::index
#endif  // HWY_ONCE
// NOLINTEND(readability-identifier-naming)
