// NOLINTBEGIN(readability-identifier-naming): functions that Highway dispatches are named as its own are
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "code_kernels.cc"
// Like kernels.cc: no sizeless vectors.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)

#include "code_kernels.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wold-style-cast"  // Highway's headers, at the point of use
#endif
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "compress-inl.h"

#undef MNEME_UNROLL
#define MNEME_UNROLL _Pragma("GCC unroll 16")  // or sums lie in memory

HWY_BEFORE_NAMESPACE();
namespace mneme::index::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, Candidates::kSpare>;

std::size_t KeepAtLeast(float threshold, const Candidates& rows, std::size_t count) {
  const Floats floats;
  const hn::RebindToUnsigned<Floats> ints;
  const std::size_t lanes = hn::Lanes(floats);
  const auto least = hn::Set(floats, threshold);
  std::size_t kept = 0;  // never ahead of what is read
  for (std::size_t i = 0; i < count; i += lanes) {
    const auto score = hn::LoadU(floats, rows.scores + i), base = hn::LoadU(floats, rows.bases + i);
    const auto position = hn::LoadU(ints, rows.positions + i);
    auto chosen = hn::Ge(score, least);
    if (i + lanes > count) chosen = hn::And(chosen, hn::FirstN(floats, count - i));
    compress_to(floats, score, chosen, rows.scores + kept);
    compress_to(floats, base, chosen, rows.bases + kept);
    compress_to(ints, position, hn::RebindMask(ints, chosen), rows.positions + kept);
    kept += hn::CountTrue(floats, chosen);
  }
  return kept;
}

// Values above `pivot` to `above`, the others to the front of `values`. @return how many are above
std::size_t Split(float pivot, float* values, std::size_t count, float* above) {
  const Floats floats;
  const std::size_t lanes = hn::Lanes(floats);
  const auto middle = hn::Set(floats, pivot);
  std::size_t high = 0, low = 0;
  for (std::size_t i = 0; i < count; i += lanes) {
    const auto value = hn::LoadU(floats, values + i);
    const auto real = hn::FirstN(floats, count - i);
    const auto is_above = hn::And(hn::Gt(value, middle), real);
    const auto is_low = hn::AndNot(is_above, real);
    compress_to(floats, value, is_above, above + high);
    compress_to(floats, value, is_low, values + low);
    high += hn::CountTrue(floats, is_above);
    low += hn::CountTrue(floats, is_low);
  }
  return high;
}

void ReplaceNoNumbers(float* values, std::size_t count) {
  const Floats floats;
  const std::size_t lanes = hn::Lanes(floats);
  const auto least = hn::Set(floats, -std::numeric_limits<float>::infinity());
  for (std::size_t i = 0; i < count; i += lanes) {
    const auto value = hn::LoadU(floats, values + i);
    hn::StoreU(hn::IfThenElse(hn::IsNaN(value), least, value), floats, values + i);
  }
}

// The target has VNNI, but Highway 1.0.3 does not tell the compiler. For Clang the attribute replaces what Highway says,
// for GCC it adds to it.
#undef MNEME_WITH_VNNI
#if HWY_TARGET == HWY_AVX3_DL && defined(__clang__)
#define MNEME_WITH_VNNI __attribute__((target(HWY_TARGET_STR ",avx512vnni")))
#elif HWY_TARGET == HWY_AVX3_DL
#define MNEME_WITH_VNNI __attribute__((target("avx512vnni")))
#else
#define MNEME_WITH_VNNI
#endif

// Where products of bytes are added two by two in sixteen bits, a query has levels of seven bits: 2 × 255 × 63 is below
// 2^15.
#undef MNEME_PAIRS_OF_BYTES
#define MNEME_PAIRS_OF_BYTES \
  (HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SSSE3)

int EightBitLevelsMax() { return MNEME_PAIRS_OF_BYTES ? 63 : 127; }

#if MNEME_PAIRS_OF_BYTES
// Sums of four products each.
#if HWY_TARGET == HWY_AVX3
using EightBitSums = __m512i;
HWY_INLINE __m512i add_products(__m512i sums, const std::uint8_t* code, const std::int8_t* query) {
  const __m512i pairs = _mm512_maddubs_epi16(_mm512_loadu_si512(code), _mm512_loadu_si512(query));
  return _mm512_add_epi32(sums, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}
#elif HWY_TARGET == HWY_AVX2
using EightBitSums = __m256i;
HWY_INLINE __m256i add_products(__m256i sums, const std::uint8_t* code, const std::int8_t* query) {
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(code)),
                                             _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query)));
  return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
#else
using EightBitSums = __m128i;
HWY_INLINE __m128i add_products(__m128i sums, const std::uint8_t* code, const std::int8_t* query) {
  const __m128i pairs = _mm_maddubs_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(code)),
                                          _mm_loadu_si128(reinterpret_cast<const __m128i*>(query)));
  return _mm_add_epi32(sums, _mm_madd_epi16(pairs, _mm_set1_epi16(1)));
}
#endif
#endif

// One row against the query.
MNEME_WITH_VNNI inline std::int32_t eight_bit_product(const std::int8_t* query, const std::uint8_t* code,
                                                      std::size_t stride) {
#if HWY_TARGET == HWY_AVX3_DL
  __m512i sum[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  std::size_t i = 0;
  for (; i + 128 <= stride; i += 128) {
    sum[0] = _mm512_dpbusd_epi32(sum[0], _mm512_loadu_si512(code + i), _mm512_loadu_si512(query + i));
    sum[1] = _mm512_dpbusd_epi32(sum[1], _mm512_loadu_si512(code + i + 64), _mm512_loadu_si512(query + i + 64));
  }
  if (i < stride) sum[0] = _mm512_dpbusd_epi32(sum[0], _mm512_loadu_si512(code + i), _mm512_loadu_si512(query + i));
  return _mm512_reduce_add_epi32(_mm512_add_epi32(sum[0], sum[1]));
#elif MNEME_PAIRS_OF_BYTES
  const hn::ScalableTag<std::int32_t> d32;
  constexpr std::size_t kBytes = sizeof(EightBitSums), kSums = kCacheLine / kBytes;
  EightBitSums sum[kSums] = {};
  for (std::size_t i = 0; i < stride; i += kCacheLine) MNEME_UNROLL
  for (std::size_t s = 0; s < kSums; ++s) sum[s] = add_products(sum[s], code + i + s * kBytes, query + i + s * kBytes);
  hn::Vec<decltype(d32)> total{sum[0]};
  MNEME_UNROLL
  for (std::size_t s = 1; s < kSums; ++s) total = hn::Add(total, hn::Vec<decltype(d32)>{sum[s]});
  return hn::GetLane(hn::SumOfLanes(d32, total));
#elif HWY_TARGET == HWY_SCALAR
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < stride; ++i) sum += static_cast<std::int32_t>(code[i]) * query[i];
  return sum;
#else
  const hn::ScalableTag<std::int16_t> d16;
  const hn::Rebind<std::uint8_t, decltype(d16)> du8;
  const hn::Rebind<std::int8_t, decltype(d16)> ds8;
  const hn::RepartitionToWide<decltype(d16)> d32;
  auto even = hn::Zero(d32), odd = hn::Zero(d32);
  for (std::size_t i = 0; i < stride; i += hn::Lanes(d16))
    even = hn::ReorderWidenMulAccumulate(d32, hn::PromoteTo(d16, hn::LoadU(du8, code + i)),
                                         hn::PromoteTo(d16, hn::LoadU(ds8, query + i)), even, odd);
  return hn::GetLane(hn::SumOfLanes(d32, hn::Add(even, odd)));
#endif
}

MNEME_WITH_VNNI void EightBitProducts(const std::int8_t* query, const std::uint8_t* codes, std::size_t stride,
                                      std::span<const std::uint32_t> positions, std::int32_t* out) {
  constexpr std::size_t kAhead = 6;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    if (i + kAhead < positions.size()) {
      const std::uint8_t* next = codes + positions[i + kAhead] * stride;
      for (std::size_t line = 0; line < stride; line += kCacheLine) __builtin_prefetch(next + line);
    }
    out[i] = eight_bit_product(query, codes + positions[i] * stride, stride);
  }
}

#if HWY_TARGET != HWY_SCALAR
template <std::size_t R>
HWY_INLINE void sixteen_bit_rows(const std::int16_t* query, const std::int16_t* rows, std::size_t stride,
                                 std::int32_t* out) {
  const hn::CappedTag<std::int16_t, 32> d16;
  const hn::RepartitionToWide<decltype(d16)> d32;
  hn::Vec<decltype(d32)> even[R], odd[R];
  MNEME_UNROLL
  for (std::size_t r = 0; r < R; ++r) even[r] = odd[r] = hn::Zero(d32);
  for (std::size_t at = 0; at < stride; at += hn::Lanes(d16)) {
    const auto value = hn::LoadU(d16, query + at);
    MNEME_UNROLL
    for (std::size_t r = 0; r < R; ++r)
      even[r] = hn::ReorderWidenMulAccumulate(d32, value, hn::LoadU(d16, rows + r * stride + at), even[r], odd[r]);
  }
  MNEME_UNROLL
  for (std::size_t r = 0; r < R; ++r) out[r] = hn::GetLane(hn::SumOfLanes(d32, hn::Add(even[r], odd[r])));
}
#endif

void SixteenBitProducts(const std::int16_t* query, const std::int16_t* rows, std::size_t count, std::size_t stride,
                        std::int32_t* out) {
#if HWY_TARGET == HWY_SCALAR
  for (std::size_t i = 0; i < count; ++i, rows += stride) {
    out[i] = 0;
    for (std::size_t d = 0; d < stride; ++d) out[i] += static_cast<std::int32_t>(query[d]) * rows[d];
  }
#else
  constexpr std::size_t kRows = 4;  // that share what is loaded of the query
  for (; count >= kRows; count -= kRows, rows += kRows * stride, out += kRows)
    sixteen_bit_rows<kRows>(query, rows, stride, out);
  for (; count > 0; --count, rows += stride, ++out) sixteen_bit_rows<1>(query, rows, stride, out);
#endif
}

float LargestOf(const float* values, std::size_t count) {
  const hn::CappedTag<float, 16> floats;
  const std::size_t lanes = hn::Lanes(floats), whole = count / lanes * lanes;
  auto most = hn::Zero(floats);
  for (std::size_t i = 0; i < whole; i += lanes) most = hn::Max(most, hn::Abs(hn::LoadU(floats, values + i)));
  float largest = hn::GetLane(hn::MaxOfLanes(floats, most));
  for (std::size_t i = whole; i < count; ++i) largest = std::max(largest, std::abs(values[i]));
  return largest;
}

template <class Level>
void ToLevels(const float* values, std::size_t count, float inverse, Level* out) {
  const hn::CappedTag<float, 16> floats;
  const hn::Rebind<Level, decltype(floats)> levels;
  const std::size_t lanes = hn::Lanes(floats), whole = count / lanes * lanes;
  const auto scale = hn::Set(floats, inverse);
  for (std::size_t i = 0; i < whole; i += lanes)
    hn::StoreU(hn::DemoteTo(levels, hn::NearestInt(hn::Mul(hn::LoadU(floats, values + i), scale))), levels, out + i);
  for (std::size_t i = whole; i < count; ++i) out[i] = static_cast<Level>(std::lrint(values[i] * inverse));
}
void ToEightBit(const float* values, std::size_t count, float inverse, std::int8_t* out) {
  ToLevels(values, count, inverse, out);
}
void ToSixteenBit(const float* values, std::size_t count, float inverse, std::int16_t* out) {
  ToLevels(values, count, inverse, out);
}

#if HWY_TARGET == HWY_AVX3_DL
bool EightBitBatchesAreQuick() { return true; }

// Some rows against one block: each lane sums for one centroid, four dimensions at a time.
template <std::size_t R>
MNEME_WITH_VNNI inline void eight_bit_rows(const std::int8_t* rows, const std::uint8_t* levels, std::size_t dimension,
                                           std::size_t stride, std::int32_t* out) {
  constexpr std::size_t kVectors = kCentroidBlock / 16;
  __m512i sums[R][kVectors];
  MNEME_UNROLL
  for (std::size_t r = 0; r < R; ++r) MNEME_UNROLL
  for (std::size_t v = 0; v < kVectors; ++v) sums[r][v] = _mm512_setzero_si512();
  for (std::size_t d = 0; d < dimension; d += 4, levels += 4 * kCentroidBlock) {
    __m512i level[kVectors];
    MNEME_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) level[v] = _mm512_loadu_si512(levels + 64 * v);
    MNEME_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      std::int32_t four;
      __builtin_memcpy(&four, rows + r * dimension + d, sizeof four);
      const __m512i values = _mm512_set1_epi32(four);
      MNEME_UNROLL
      for (std::size_t v = 0; v < kVectors; ++v) sums[r][v] = _mm512_dpbusd_epi32(sums[r][v], level[v], values);
    }
  }
  MNEME_UNROLL
  for (std::size_t r = 0; r < R; ++r) MNEME_UNROLL
  for (std::size_t v = 0; v < kVectors; ++v) _mm512_storeu_si512(out + r * stride + 16 * v, sums[r][v]);
}

MNEME_WITH_VNNI void EightBitProductsBatch(const std::int8_t* rows, std::size_t row_count, const std::uint8_t* levels,
                                           std::size_t blocks, std::size_t dimension, std::int32_t* out) {
  constexpr std::size_t kRows = 6;  // and a block's levels are what the registers hold
  const std::size_t stride = blocks * kCentroidBlock;
  for (std::size_t block = 0; block < blocks; ++block, levels += kCentroidBlock * dimension, out += kCentroidBlock) {
    std::size_t r = 0;
    for (; r + kRows <= row_count; r += kRows)
      eight_bit_rows<kRows>(rows + r * dimension, levels, dimension, stride, out + r * stride);
    for (; r < row_count; ++r) eight_bit_rows<1>(rows + r * dimension, levels, dimension, stride, out + r * stride);
  }
}
#else
bool EightBitBatchesAreQuick() { return false; }

void EightBitProductsBatch(const std::int8_t* rows, std::size_t row_count, const std::uint8_t* levels,
                           std::size_t blocks, std::size_t dimension, std::int32_t* out) {
  const std::size_t stride = blocks * kCentroidBlock;
  for (std::size_t r = 0; r < row_count; ++r, rows += dimension)
    for (std::size_t c = 0; c < stride; ++c) {
      std::int32_t sum = 0;
      for (std::size_t d = 0; d < dimension; ++d)
        sum += static_cast<std::int32_t>(rows[d]) * levels[level_place(c, d, dimension)];
      out[r * stride + c] = sum;
    }
}
#endif

float BoundScores(const CentroidScores& of, const std::int32_t* products, std::size_t count, std::int32_t bias,
                  float step, float norm, float* most) {
  const hn::CappedTag<float, 16> floats;
  const hn::RebindToSigned<decltype(floats)> ints;
  const auto steps = hn::Set(floats, step), norms = hn::Set(floats, norm);
  auto best = hn::Set(floats, -std::numeric_limits<float>::infinity());
  for (std::size_t i = 0; i < count; i += hn::Lanes(floats)) {
    const auto product = hn::ConvertTo(floats, hn::Sub(hn::LoadU(ints, products + i), hn::Set(ints, bias)));
    const auto score =
        hn::Sub(hn::Mul(hn::Mul(product, steps), hn::LoadU(floats, of.steps + i)), hn::LoadU(floats, of.less + i));
    const auto error = hn::MulAdd(norms, hn::LoadU(floats, of.error_of_norm + i),
                                  hn::Mul(steps, hn::LoadU(floats, of.error_of_step + i)));
    hn::StoreU(hn::Add(score, error), floats, most + i);
    best = hn::Max(best, hn::Sub(score, error));
  }
  return hn::GetLane(hn::MaxOfLanes(floats, best));
}

// Below a vector's width butterflies would not use it; the permutations between them mix.
void Butterflies(float* values, std::size_t size) {
  constexpr std::size_t kLeastHalf = 16;
  const hn::CappedTag<float, kLeastHalf> d;
  const auto root = hn::Set(d, 0.70710678118654752F);
  for (std::size_t half = size / 2; half >= kLeastHalf; half /= 2)
    for (float* a = values; a < values + size; a += 2 * half)
      for (std::size_t i = 0; i < half; i += hn::Lanes(d)) {
        const auto x = hn::LoadU(d, a + i), y = hn::LoadU(d, a + half + i);
        hn::StoreU(hn::Mul(hn::Add(x, y), root), d, a + i);
        hn::StoreU(hn::Mul(hn::Sub(x, y), root), d, a + half + i);
      }
}

}  // namespace mneme::index::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mneme::index {

HWY_EXPORT(KeepAtLeast);
HWY_EXPORT(Split);
HWY_EXPORT(ReplaceNoNumbers);
HWY_EXPORT(EightBitProducts);
HWY_EXPORT(SixteenBitProducts);
HWY_EXPORT(Butterflies);
HWY_EXPORT(EightBitLevelsMax);
HWY_EXPORT(LargestOf);
HWY_EXPORT(ToEightBit);
HWY_EXPORT(ToSixteenBit);
HWY_EXPORT(EightBitBatchesAreQuick);
HWY_EXPORT(EightBitProductsBatch);
HWY_EXPORT(BoundScores);

std::size_t keep_at_least(float threshold, const Candidates& rows, std::size_t count) {
  return HWY_DYNAMIC_DISPATCH(KeepAtLeast)(threshold, rows, count);
}
void eight_bit_products(const std::int8_t* query, const std::uint8_t* codes, std::size_t stride,
                        std::span<const std::uint32_t> positions, std::int32_t* out) {
  HWY_DYNAMIC_DISPATCH(EightBitProducts)(query, codes, stride, positions, out);
}
void sixteen_bit_products(const std::int16_t* query, const std::int16_t* rows, std::size_t count, std::size_t stride,
                          std::int32_t* out) {
  HWY_DYNAMIC_DISPATCH(SixteenBitProducts)(query, rows, count, stride, out);
}

int eight_bit_levels_max() { return HWY_DYNAMIC_DISPATCH(EightBitLevelsMax)(); }
float largest_of(const float* values, std::size_t count) { return HWY_DYNAMIC_DISPATCH(LargestOf)(values, count); }
float to_eight_bit(const float* values, std::size_t count, int most, std::int8_t* out) {
  const float largest = largest_of(values, count), inverse = static_cast<float>(most) / largest;
  const bool is_usual = largest > 0 && std::isfinite(inverse);  // of the smallest numbers no inverse is finite
  HWY_DYNAMIC_DISPATCH(ToEightBit)(values, count, is_usual ? inverse : 0, out);
  return is_usual ? largest / static_cast<float>(most) : 0;
}
void to_sixteen_bit(const float* values, std::size_t count, float inverse, std::int16_t* out) {
  HWY_DYNAMIC_DISPATCH(ToSixteenBit)(values, count, inverse, out);
}
bool eight_bit_batches_are_quick() { return HWY_DYNAMIC_DISPATCH(EightBitBatchesAreQuick)(); }
void eight_bit_products_batch(const std::int8_t* rows, std::size_t row_count, const std::uint8_t* levels,
                              std::size_t blocks, std::size_t dimension, std::int32_t* out) {
  HWY_DYNAMIC_DISPATCH(EightBitProductsBatch)(rows, row_count, levels, blocks, dimension, out);
}

float bound_scores(const CentroidScores& of, const std::int32_t* products, std::size_t count, std::int32_t bias,
                   float step, float norm, float* most) {
  return HWY_DYNAMIC_DISPATCH(BoundScores)(of, products, count, bias, step, norm, most);
}

// Quickselect whose pivot is what a sample says the k-th largest is (Floyd and Rivest, 1975), split by whole vectors.
float kth_largest(float* values, std::size_t count, std::size_t k, float* scratch) {
  constexpr std::size_t kSmall = 64, kSample = 31;
  HWY_DYNAMIC_DISPATCH(ReplaceNoNumbers)(values, count);
  while (count > kSmall) {
    float sample[kSample];
    for (std::size_t i = 0; i < kSample; ++i) sample[i] = values[i * (count - 1) / (kSample - 1)];
    const std::size_t rank = std::min(kSample - 1, k * kSample / count);
    std::nth_element(sample, sample + rank, sample + kSample, std::greater<>());
    const std::size_t above = HWY_DYNAMIC_DISPATCH(Split)(sample[rank], values, count, scratch);
    if (k <= above) {
      std::swap(values, scratch);
      count = above;
      continue;
    }
    k -= above;
    count -= above;
    if (above > 0) continue;
    // None is above the pivot: it and its equals are the largest.
    const auto smaller = std::partition(values, values + count, [&](float value) { return value == sample[rank]; });
    const auto equal = static_cast<std::size_t>(smaller - values);
    if (k <= equal) return sample[rank];
    k -= equal;
    count -= equal;
    values = smaller;
  }
  std::nth_element(values, values + (k - 1), values + count, std::greater<>());
  return values[k - 1];
}
void butterflies(float* values, std::size_t size) { HWY_DYNAMIC_DISPATCH(Butterflies)(values, size); }

}  // namespace mneme::index
#endif  // HWY_ONCE
// NOLINTEND(readability-identifier-naming)
