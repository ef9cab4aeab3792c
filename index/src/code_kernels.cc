#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "code_kernels.cc"
// Like kernels.cc: no sizeless vectors.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)

#include "code_kernels.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wold-style-cast"  // Highway's headers, at the point of use
#endif
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace mneme::index::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Words = hn::CappedTag<std::uint64_t, kBlockRows>;
using WordVec = hn::Vec<Words>;
inline constexpr std::size_t kPlanes = 4;
inline constexpr std::size_t kBlocksAhead = 12;

// Σ over planes and words of 2^p × popcount, for the rows of one vector.
HWY_INLINE WordVec weighted_counts(const OneBitQuery& query, const std::uint64_t* words) {
  const Words d;
  WordVec sum[kPlanes] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  for (std::size_t w = 0; w < query.words; ++w) {
    const WordVec code = hn::LoadU(d, words + w * kBlockRows);
    const std::uint64_t* plane = query.planes + w * kPlanes;
    HWY_UNROLL(4)
    for (std::size_t p = 0; p < kPlanes; ++p)
      sum[p] = hn::Add(sum[p], hn::PopulationCount(hn::And(code, hn::Set(d, plane[p]))));
  }
  const WordVec low = hn::Add(sum[0], hn::ShiftLeft<1>(sum[1]));
  const WordVec high = hn::Add(sum[2], hn::ShiftLeft<1>(sum[3]));
  return hn::Add(low, hn::ShiftLeft<2>(high));
}

// Counts are far below 2^52, so that their bits are the low mantissa of 2^52 + count.
HWY_INLINE hn::Vec<hn::Rebind<float, Words>> to_floats(WordVec counts) {
  const Words d;
  const hn::RebindToFloat<Words> doubles;
  const WordVec biased = hn::Or(counts, hn::Set(d, 0x4330000000000000ull));
  return hn::DemoteTo(hn::Rebind<float, Words>(), hn::Sub(hn::BitCast(doubles, biased), hn::Set(doubles, 0x1p52)));
}

Candidate* ScanOneBit(const OneBitQuery& query, const std::byte* blocks, std::size_t rows, std::uint32_t position,
                      float base, float threshold, Candidate* out) {
  const Words d;
  const hn::Rebind<float, Words> floats;
  const std::size_t lanes = hn::Lanes(d);
  const std::size_t bytes = block_bytes(query.words, query.with_offsets);
  const auto twice_step = hn::Set(floats, 2 * query.step);
  const auto offset = hn::Set(floats, -query.step * query.sum_of_levels);
  const auto lowest = hn::Set(floats, query.lowest);
  const auto from = hn::Set(floats, base);
  const auto least = hn::Set(floats, threshold);
  HWY_ALIGN float scores[kBlockRows];
  for (std::size_t row = 0; row < rows; row += kBlockRows, blocks += bytes) {
    const auto* words = reinterpret_cast<const std::uint64_t*>(blocks);
    const auto* slope = reinterpret_cast<const float*>(blocks + query.words * 64);
    const float* ones = slope + kBlockRows;
    for (std::size_t line = 0; line < bytes; line += 64) __builtin_prefetch(blocks + kBlocksAhead * bytes + line);
    bool any = false;
    for (std::size_t part = 0; part < kBlockRows; part += lanes) {
      const auto counts = to_floats(weighted_counts(query, words + part));
      const auto signs = hn::MulAdd(counts, twice_step, offset);
      auto score =
          hn::MulAdd(hn::LoadU(floats, slope + part), signs, hn::MulAdd(hn::LoadU(floats, ones + part), lowest, from));
      if (query.with_offsets) score = hn::Add(score, hn::LoadU(floats, ones + kBlockRows + part));
      hn::StoreU(score, floats, scores + part);
      any |= !hn::AllFalse(floats, hn::Gt(score, least));
    }
    if (!any) continue;
    const std::size_t n = rows - row < kBlockRows ? rows - row : kBlockRows;
    for (std::size_t i = 0; i < n; ++i) {
      *out = {scores[i], base, position + static_cast<std::uint32_t>(row + i)};
      out += scores[i] > threshold ? 1 : 0;
    }
  }
  return out;
}

// The target has VNNI, but Highway 1.0.3 does not tell the compiler.
#undef MNEME_WITH_VNNI
#if HWY_TARGET == HWY_AVX3_DL
#define MNEME_WITH_VNNI __attribute__((target("avx512vnni")))
#else
#define MNEME_WITH_VNNI
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
#elif HWY_TARGET == HWY_SCALAR
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < stride; ++i) sum += static_cast<std::int32_t>(code[i]) * query[i];
  return sum;
#else
  const hn::ScalableTag<std::int16_t> d16;
  const hn::Rebind<std::uint8_t, decltype(d16)> du8;
  const hn::Rebind<std::int8_t, decltype(d16)> ds8;
  const hn::RepartitionToWide<decltype(d16)> d32;
  const std::size_t lanes = hn::Lanes(d16);
  auto sum = hn::Zero(d32);
  for (std::size_t i = 0; i < stride; i += lanes) {
    const auto a = hn::PromoteTo(d16, hn::LoadU(du8, code + i));
    const auto b = hn::PromoteTo(d16, hn::LoadU(ds8, query + i));
    const auto product = hn::Mul(a, b);  // at most 255 × 127, which 16 bits hold
    const auto wide = hn::BitCast(d32, product);
    sum = hn::Add(sum, hn::Add(hn::ShiftRight<16>(wide), hn::ShiftRight<16>(hn::ShiftLeft<16>(wide))));
  }
  return hn::GetLane(hn::SumOfLanes(d32, sum));
#endif
}

MNEME_WITH_VNNI void EightBitProducts(const std::int8_t* query, const std::uint8_t* codes, std::size_t stride,
                                      std::span<const Candidate> rows, std::int32_t* out) {
  constexpr std::size_t kAhead = 6;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i + kAhead < rows.size()) {
      const std::uint8_t* next = codes + rows[i + kAhead].position * stride;
      for (std::size_t line = 0; line < stride; line += 64) __builtin_prefetch(next + line);
    }
    out[i] = eight_bit_product(query, codes + rows[i].position * stride, stride);
  }
}

void Butterfly(float* a, float* b, std::size_t half) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  const auto root = hn::Set(d, 0.70710678118654752F);
  std::size_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    const auto x = hn::LoadU(d, a + i), y = hn::LoadU(d, b + i);
    hn::StoreU(hn::Mul(hn::Add(x, y), root), d, a + i);
    hn::StoreU(hn::Mul(hn::Sub(x, y), root), d, b + i);
  }
  for (; i < half; ++i) {
    const float x = a[i], y = b[i];
    a[i] = (x + y) * 0.70710678118654752F;
    b[i] = (x - y) * 0.70710678118654752F;
  }
}

}  // namespace mneme::index::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mneme::index {

HWY_EXPORT(ScanOneBit);
HWY_EXPORT(EightBitProducts);
HWY_EXPORT(Butterfly);

Candidate* scan_one_bit(const OneBitQuery& query, const std::byte* blocks, std::size_t rows, std::uint32_t position,
                        float base, float threshold, Candidate* out) {
  return HWY_DYNAMIC_DISPATCH(ScanOneBit)(query, blocks, rows, position, base, threshold, out);
}
void eight_bit_products(const std::int8_t* query, const std::uint8_t* codes, std::size_t stride,
                        std::span<const Candidate> rows, std::int32_t* out) {
  HWY_DYNAMIC_DISPATCH(EightBitProducts)(query, codes, stride, rows, out);
}
void butterfly(float* a, float* b, std::size_t half) { HWY_DYNAMIC_DISPATCH(Butterfly)(a, b, half); }

}  // namespace mneme::index
#endif  // HWY_ONCE
