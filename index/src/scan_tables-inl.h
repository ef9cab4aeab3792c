// The tables in which the scan of 1-bit codes looks up what a query's dimensions sum to. Included once per instruction
// set, which decides how many dimensions a table has.
#if defined(MNEME_INDEX_SCAN_TABLES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MNEME_INDEX_SCAN_TABLES_INL_H
#undef MNEME_INDEX_SCAN_TABLES_INL_H
#else
#define MNEME_INDEX_SCAN_TABLES_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

// Tables of 64 entries: Ice Lake, Zen 4 and later. Highway 1.0.3 does not tell GCC that its target has them. It tells
// Clang, where an attribute of a function's own would replace what Highway says instead of adding to it.
#undef MNEME_WIDE_TABLES
#undef MNEME_WITH_WIDE_TABLES
#define MNEME_WIDE_TABLES (HWY_TARGET == HWY_AVX3_DL)
#if HWY_TARGET == HWY_AVX3_DL && !defined(__clang__)
#define MNEME_WITH_WIDE_TABLES __attribute__((target("avx512vbmi")))
#else
#define MNEME_WITH_WIDE_TABLES
#endif

#undef MNEME_UNROLL
#define MNEME_UNROLL _Pragma("GCC unroll 16")  // or sums lie in memory

HWY_BEFORE_NAMESPACE();
namespace mneme::index::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Dimensions of a group in the order of its tables. Wide: of three bytes the lower six bits of each, then the upper two
// of all three. Otherwise the lower and the upper four bits of a byte. So many sums of tables are added in eight bits.
#if MNEME_WIDE_TABLES
inline constexpr std::size_t kTableBits = 6, kTables = 4, kAddedAtOnce = 4;
inline constexpr std::size_t kOrder[] = {0,  1,  2,  3,  4,  5,  8, 9, 10, 11, 12, 13,
                                         16, 17, 18, 19, 20, 21, 6, 7, 14, 15, 22, 23};
#else
inline constexpr std::size_t kTableBits = 4, kTables = 2, kAddedAtOnce = 16;
inline constexpr std::size_t kOrder[] = {0, 1, 2, 3, 4, 5, 6, 7};
#endif
inline constexpr std::size_t kTableMax = 255 / kAddedAtOnce;  // the largest sum in a table
inline constexpr std::size_t kGroup = kTableBits * kTables, kTableSize = std::size_t{1} << kTableBits;

struct Sizes {
  float of_table = 0;  ///< the largest sum of sizes of the dimensions of a table
  float of_all = 0;
};
#if MNEME_WIDE_TABLES
HWY_INLINE __mmask16 first_lanes(std::size_t count) {
  return static_cast<__mmask16>((std::uint32_t{1} << std::min<std::size_t>(count, 16)) - 1);
}

// Lane t of a vector is of the t-th table of a group, again and again.
MNEME_WITH_WIDE_TABLES Sizes sizes_of(const float* query, std::size_t bytes) {
  static_assert(kGroup == 24 && kTables == 4);
  __m512i nth[kTableBits];
  for (std::size_t j = 0; j < kTableBits; ++j) {
    alignas(64) std::int32_t place[16];
    for (std::size_t lane = 0; lane < 16; ++lane)
      place[lane] = static_cast<std::int32_t>(kOrder[lane % kTables * kTableBits + j]);
    nth[j] = _mm512_load_si512(place);
  }
  __m512 most = _mm512_setzero_ps(), all = most;
  for (std::size_t first = 0; first < bytes * 8; first += kGroup) {
    const std::size_t left = bytes * 8 - first;
    const __m512 lower = _mm512_abs_ps(_mm512_maskz_loadu_ps(first_lanes(left), query + first));
    const __m512 upper = _mm512_abs_ps(_mm512_maskz_loadu_ps(
        first_lanes(std::min(left, kGroup) - std::min<std::size_t>(left, 16)), query + first + 16));
    __m512 sum = _mm512_setzero_ps();
    MNEME_UNROLL
    for (std::size_t j = 0; j < kTableBits; ++j) sum = _mm512_add_ps(sum, _mm512_permutex2var_ps(lower, nth[j], upper));
    most = _mm512_max_ps(most, sum);
    all = _mm512_add_ps(all, sum);
  }
  return {_mm512_reduce_max_ps(most), _mm512_reduce_add_ps(all) / (16 / kTables)};
}
#else
Sizes sizes_of(const float* query, std::size_t bytes) {
  Sizes sizes;
  for (std::size_t first = 0; first < bytes * 8; first += kGroup)
    for (std::size_t i = 0; i < kGroup; i += kTableBits) {
      float sum = 0;
      for (std::size_t j = 0; j < kTableBits; ++j) {
        const std::size_t d = first + kOrder[i + j];
        sum += d < bytes * 8 ? std::abs(query[d]) : 0;
      }
      sizes.of_table = std::max(sizes.of_table, sum);
      sizes.of_all += sum;
    }
  return sizes;
}
#endif

#if MNEME_WIDE_TABLES
inline constexpr float kRounding = kTableBits / 2.0F;  // of an entry, at most: each level is rounded

// Entry i of a table := the sum of the levels of those dimensions whose bit in i agrees with the query's sign: what they
// sum to for no bit, and what each bit adds to that. `all` becomes the sum of all levels.
MNEME_WITH_WIDE_TABLES void fill_tables(const float* query, std::size_t bytes, float inverse, std::uint8_t* out,
                                        float& all) {
  // Of each table eight bytes: what its dimensions add, and what no bit sums to. Those that an entry has are shuffled to
  // it, one after the other; the others leave zero.
  constexpr std::uint64_t kBit[] = {0xAAAAAAAAAAAAAAAA, 0xCCCCCCCCCCCCCCCC, 0xF0F0F0F0F0F0F0F0,
                                    0xFF00FF00FF00FF00, 0xFFFF0000FFFF0000, 0xFFFFFFFF00000000};
  constexpr int kForNone = 48;  // bits before that byte
  __m512i of_entry[kTableBits + 1];
  for (std::size_t j = 0; j < kTableBits; ++j)
    of_entry[j] = _mm512_mask_set1_epi8(_mm512_set1_epi8(-1), kBit[j], static_cast<char>(j));
  of_entry[kTableBits] = _mm512_set1_epi8(kForNone / 8);
  alignas(32) std::int8_t order[8 * kTables];
  for (std::size_t i = 0; i < sizeof order; ++i)
    order[i] = static_cast<std::int8_t>(i % 8 < kTableBits ? kOrder[i / 8 * kTableBits + i % 8] : kGroup);
  const __m256i in_order = _mm256_load_si256(reinterpret_cast<const __m256i*>(order));
  const __m256i zero = _mm256_setzero_si256();
  const __m512 sign = _mm512_set1_ps(-0.0F), half = _mm512_set1_ps(0.5F);
  __m256i sum_of_levels = zero;
  alignas(64) std::int8_t levels[32] = {};  // of a group; what follows it stays zero
  for (std::size_t first = 0; first < bytes * 8; first += kGroup) {
    for (std::size_t d = 0; d < kGroup; d += 16) {
      const std::size_t end = std::min(first + kGroup, bytes * 8), at = std::min(first + d, end);
      const __m512 scaled =
          _mm512_mul_ps(_mm512_maskz_loadu_ps(first_lanes(end - at), query + at), _mm512_set1_ps(inverse));
      const __m512i level = _mm512_cvttps_epi32(_mm512_add_ps(_mm512_andnot_ps(sign, scaled), half));
      const __mmask16 negative = _mm512_cmp_ps_mask(scaled, _mm512_setzero_ps(), _CMP_LT_OQ);
      _mm_store_si128(reinterpret_cast<__m128i*>(levels + d),
                      _mm512_cvtepi32_epi8(_mm512_mask_sub_epi32(level, negative, _mm512_setzero_si512(), level)));
    }
    const __m256i added =
        _mm256_permutexvar_epi8(in_order, _mm256_load_si256(reinterpret_cast<const __m256i*>(levels)));
    const __m256i for_none = _mm256_sad_epu8(_mm256_max_epi8(_mm256_sub_epi8(zero, added), zero), zero);
    sum_of_levels = _mm256_add_epi64(sum_of_levels, _mm256_sad_epu8(_mm256_abs_epi8(added), zero));
    alignas(32) std::int64_t of_table[kTables];
    _mm256_store_si256(reinterpret_cast<__m256i*>(of_table),
                       _mm256_or_si256(added, _mm256_slli_epi64(for_none, kForNone)));
    MNEME_UNROLL
    for (std::size_t t = 0; t < kTables; ++t, out += kTableSize) {
      const __m512i values = _mm512_set1_epi64(of_table[t]);
      __m512i sum = _mm512_shuffle_epi8(values, of_entry[kTableBits]);
      MNEME_UNROLL
      for (std::size_t j = 0; j < kTableBits; ++j) sum = _mm512_add_epi8(sum, _mm512_shuffle_epi8(values, of_entry[j]));
      _mm512_storeu_si512(out, sum);
    }
  }
  alignas(32) std::int64_t sums[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(sums), sum_of_levels);
  all = static_cast<float>(sums[0] + sums[1] + sums[2] + sums[3]);
}
#else
inline constexpr float kRounding = 0.51F;  // sums are rounded, not what they are of, but for a little

// Entry i of a table := the sum of the sizes of those dimensions whose bit in i agrees with the query's sign, in levels.
// `all` is right as it is.
#if HWY_TARGET == HWY_SCALAR
void fill_tables(const float* query, std::size_t bytes, float inverse, std::uint8_t* out, float&) {
  for (std::size_t d = 0; d < bytes * 8; d += kTableBits, out += kTableSize)
    for (std::size_t entry = 0; entry < kTableSize; ++entry) {
      float sum = 0;
      for (std::size_t i = 0; i < kTableBits; ++i)
        if ((entry >> i & 1) == (query[d + i] < 0 ? 0U : 1U)) sum += std::abs(query[d + i]);
      out[entry] = static_cast<std::uint8_t>(sum * inverse + 0.5F);
    }
}
#else
HWY_INLINE void to_levels(const float* values, float inverse, std::int16_t* out) {
  const hn::CappedTag<float, 8> floats;
  const hn::Rebind<std::int16_t, decltype(floats)> d16;
  for (std::size_t i = 0; i < 8; i += hn::Lanes(floats))
    hn::StoreU(hn::DemoteTo(d16, hn::NearestInt(hn::Mul(hn::LoadU(floats, values + i), hn::Set(floats, inverse)))), d16,
               out + i);
}

// In sixteen bits, of which the lower kPart are rounded away. For no bit the sum is that of the negative sizes; each bit
// adds its value to that, the last to the second half of the entries.
void fill_tables(const float* query, std::size_t bytes, float inverse, std::uint8_t* out, float&) {
  constexpr int kPart = 11;
  static_assert((kTableMax + 1) << kPart <= 1 << 15);
  const hn::CappedTag<std::int16_t, 8> d16;  // the values of two tables, or half of one's entries
  const hn::Rebind<std::uint8_t, decltype(d16)> d8;
  const hn::Repartition<std::uint8_t, decltype(d16)> in_bytes;
  const hn::RebindToUnsigned<decltype(d16)> du16;
  HWY_ALIGN static constexpr std::int16_t kIfSet[3][8] = {
      {0, -1, 0, -1, 0, -1, 0, -1}, {0, 0, -1, -1, 0, 0, -1, -1}, {0, 0, 0, 0, -1, -1, -1, -1}};
  std::int16_t values[8];
  const auto zero = hn::Zero(d16);
  for (std::size_t d = 0; d < bytes * 8; d += 8) {
    to_levels(query + d, inverse * (1 << kPart), values);
    const auto value = hn::LoadU(d16, values);
    const auto negative = hn::Max(hn::Sub(zero, value), zero);
    for (std::size_t t = 0; t < 2; ++t, out += kTableSize) {
      const auto of_dimension = [&](auto of, std::size_t i) HWY_ATTR {
        const std::size_t at = 2 * (kTableBits * t + i);
        const auto bytes_of = hn::Set(du16, static_cast<std::uint16_t>(at | (at + 1) << 8));
        return hn::BitCast(d16, hn::TableLookupBytes(hn::BitCast(in_bytes, of), hn::BitCast(in_bytes, bytes_of)));
      };
      auto sum = of_dimension(negative, 3);
      MNEME_UNROLL
      for (std::size_t i = 0; i < 3; ++i)
        sum =
            hn::Add(sum, hn::Add(of_dimension(negative, i), hn::And(hn::Load(d16, kIfSet[i]), of_dimension(value, i))));
      const auto half = hn::Set(d16, 1 << (kPart - 1));
      const auto lower = hn::Add(sum, half), upper = hn::Add(lower, of_dimension(value, 3));
      hn::StoreU(hn::DemoteTo(d8, hn::ShiftRight<kPart>(lower)), d8, out);
      hn::StoreU(hn::DemoteTo(d8, hn::ShiftRight<kPart>(upper)), d8, out + 8);
    }
  }
}
#endif
#endif

}  // namespace mneme::index::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
