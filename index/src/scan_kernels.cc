#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "scan_kernels.cc"
// Like kernels.cc: no sizeless vectors.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)

#include "scan_kernels.h"

#include <algorithm>
#include <cmath>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wold-style-cast"  // Highway's headers, at the point of use
#endif
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "compress-inl.h"

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

HWY_BEFORE_NAMESPACE();
namespace mneme::index::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// The largest sum in a table: four of them are added in eight bits.
inline constexpr float kTableMax = 63;

// Dimensions of a group in the order of its tables. Wide: of three bytes the lower six bits of each, then the upper two
// of all three. Otherwise the lower and the upper four bits of a byte.
#if MNEME_WIDE_TABLES
inline constexpr std::size_t kTableBits = 6, kTables = 4;
inline constexpr std::size_t kOrder[] = {0,  1,  2,  3,  4,  5,  8, 9, 10, 11, 12, 13,
                                         16, 17, 18, 19, 20, 21, 6, 7, 14, 15, 22, 23};
#else
inline constexpr std::size_t kTableBits = 4, kTables = 2;
inline constexpr std::size_t kOrder[] = {0, 1, 2, 3, 4, 5, 6, 7};
#endif
inline constexpr std::size_t kGroup = kTableBits * kTables, kTableSize = std::size_t{1} << kTableBits;

// Entry i of a table := the sum of the levels of those dimensions whose bit in i agrees with the query's sign: what they
// sum to for no bit, and what each bit adds to that.
MNEME_WITH_WIDE_TABLES HWY_INLINE void fill_table(const std::uint8_t* added, std::uint8_t for_none,
                                                  std::uint8_t* entries) {
#if MNEME_WIDE_TABLES
  constexpr __mmask64 kBit[] = {0xAAAAAAAAAAAAAAAA, 0xCCCCCCCCCCCCCCCC, 0xF0F0F0F0F0F0F0F0,
                                0xFF00FF00FF00FF00, 0xFFFF0000FFFF0000, 0xFFFFFFFF00000000};
  __m512i sum = _mm512_set1_epi8(static_cast<char>(for_none));
  for (std::size_t i = 0; i < kTableBits; ++i)
    sum = _mm512_add_epi8(sum, _mm512_maskz_set1_epi8(kBit[i], static_cast<char>(added[i])));
  _mm512_storeu_si512(entries, sum);
#else
  entries[0] = for_none;
  for (std::size_t i = 0, filled = 1; i < kTableBits; ++i, filled *= 2)
    for (std::size_t e = 0; e < filled; ++e) entries[filled + e] = static_cast<std::uint8_t>(entries[e] + added[i]);
#endif
}

MNEME_WITH_WIDE_TABLES void MakeTables(const float* query, std::size_t bytes, OneBitQuery& out) {
  const std::size_t groups = (bytes * 8 + kGroup - 1) / kGroup;
  const auto value = [&](std::size_t group, std::size_t i) {
    const std::size_t d = group * kGroup + kOrder[i];
    return d < bytes * 8 ? query[d] : 0;
  };
  float largest = 0;
  for (std::size_t group = 0; group < groups; ++group)
    for (std::size_t i = 0; i < kGroup; i += kTableBits) {
      float sum = 0;
      for (std::size_t j = 0; j < kTableBits; ++j) sum += std::abs(value(group, i + j));
      largest = std::max(largest, sum);
    }
  // Each level is rounded, by half of one at most.
  const float inverse = largest > 0 && std::isfinite(largest) ? (kTableMax - kTableBits / 2.0F) / largest : 0;
  out.bytes = bytes;
  out.step = inverse > 0 ? 2 / inverse : 0;
  out.tables.resize(groups * kTables * kTableSize);
  std::uint32_t sum = 0;
  for (std::size_t group = 0; group < groups; ++group)
    for (std::size_t t = 0; t < kTables; ++t) {
      std::uint8_t added[kTableBits], for_none = 0;
      for (std::size_t i = 0; i < kTableBits; ++i) {
        const float scaled = value(group, t * kTableBits + i) * inverse;
        const auto level = static_cast<std::uint8_t>(std::abs(scaled) + 0.5F);
        sum += level;
        for_none = static_cast<std::uint8_t>(for_none + (scaled < 0 ? level : 0));
        added[i] = static_cast<std::uint8_t>(scaled < 0 ? -level : level);
      }
      fill_table(added, for_none, out.tables.data() + (group * kTables + t) * kTableSize);
    }
  out.sum_of_sizes = static_cast<float>(sum) * out.step / 2;
}

// sums[i] := the sum of levels that agree in row i of a block of `width` rows.
#if MNEME_WIDE_TABLES
MNEME_WITH_WIDE_TABLES HWY_INLINE void sum_levels(const OneBitQuery& query, const std::uint8_t* signs,
                                                  std::size_t width, std::uint16_t* sums) {
  const __mmask64 lanes = width == 64 ? ~__mmask64{0} : (__mmask64{1} << width) - 1;
  const __m512i two = _mm512_set1_epi8(0x03), four = _mm512_set1_epi8(0x0F);
  const std::uint8_t* table = query.tables.data();
  __m512i all = _mm512_setzero_si512(), odd = _mm512_setzero_si512();
  const auto add = [&](__m512i a, __m512i b, __m512i c) {
    const __m512i upper = _mm512_ternarylogic_epi32(two, _mm512_srli_epi16(a, 6), _mm512_srli_epi16(b, 4), 0xCA);
    const __m512i top = _mm512_ternarylogic_epi32(four, upper, _mm512_srli_epi16(c, 2), 0xCA);
    const __m512i x = _mm512_add_epi8(_mm512_permutexvar_epi8(a, _mm512_loadu_si512(table)),
                                      _mm512_permutexvar_epi8(b, _mm512_loadu_si512(table + 64)));
    const __m512i y = _mm512_add_epi8(_mm512_permutexvar_epi8(c, _mm512_loadu_si512(table + 128)),
                                      _mm512_permutexvar_epi8(top, _mm512_loadu_si512(table + 192)));
    const __m512i sum = _mm512_add_epi8(x, y);
    all = _mm512_add_epi16(all, sum);
    odd = _mm512_add_epi16(odd, _mm512_srli_epi16(sum, 8));
    table += 256;
  };
  std::size_t byte = 0;
  if (width == 64) {
    for (; byte + 3 <= query.bytes; byte += 3, signs += 192)
      add(_mm512_loadu_si512(signs), _mm512_loadu_si512(signs + 64), _mm512_loadu_si512(signs + 128));
  } else {
    for (; byte + 3 <= query.bytes; byte += 3, signs += 3 * width)
      add(_mm512_maskz_loadu_epi8(lanes, signs), _mm512_maskz_loadu_epi8(lanes, signs + width),
          _mm512_maskz_loadu_epi8(lanes, signs + 2 * width));
  }
  if (byte < query.bytes)
    add(_mm512_maskz_loadu_epi8(lanes, signs),
        byte + 1 < query.bytes ? _mm512_maskz_loadu_epi8(lanes, signs + width) : _mm512_setzero_si512(),
        _mm512_setzero_si512());
  _mm512_storeu_si512(sums, _mm512_sub_epi16(all, _mm512_slli_epi16(odd, 8)));
  _mm512_storeu_si512(sums + width / 2, odd);
}
#elif HWY_TARGET == HWY_SCALAR
HWY_INLINE void sum_levels(const OneBitQuery& query, const std::uint8_t* signs, std::size_t width,
                           std::uint16_t* sums) {
  for (std::size_t row = 0; row < width; ++row) {
    std::uint32_t sum = 0;
    for (std::size_t byte = 0; byte < query.bytes; ++byte) {
      const std::uint8_t code = signs[byte * width + lane_of(row, width)];
      sum += query.tables[byte * 32 + (code & 15)];
      sum += query.tables[byte * 32 + 16 + (code >> 4)];
    }
    sums[row] = static_cast<std::uint16_t>(sum);
  }
}
#else
template <class D8>
HWY_INLINE void sum_lanes(D8 d8, const OneBitQuery& query, const std::uint8_t* signs, std::size_t width,
                          std::uint16_t* of_even, std::uint16_t* of_odd) {
  const hn::Repartition<std::uint16_t, D8> d16;
  const auto low_bits = hn::Set(d8, 15);
  auto all = hn::Zero(d16), odd = hn::Zero(d16);
  const std::uint8_t* table = query.tables.data();
  const auto look_up = [&](std::size_t byte) {
    const auto code = hn::LoadU(d8, signs + byte * width);
    const auto low = hn::And(code, low_bits);
    const auto high = hn::And(hn::BitCast(d8, hn::ShiftRight<4>(hn::BitCast(d16, code))), low_bits);
    return hn::Add(hn::TableLookupBytes(hn::LoadDup128(d8, table + byte * 32), low),
                   hn::TableLookupBytes(hn::LoadDup128(d8, table + byte * 32 + 16), high));
  };
  for (std::size_t byte = 0; byte < query.bytes; byte += 2) {  // a row has a multiple of eight bytes
    const auto sum = hn::BitCast(d16, hn::Add(look_up(byte), look_up(byte + 1)));
    all = hn::Add(all, sum);
    odd = hn::Add(odd, hn::ShiftRight<8>(sum));
  }
  hn::StoreU(hn::Sub(all, hn::ShiftLeft<8>(odd)), d16, of_even);
  hn::StoreU(odd, d16, of_odd);
}

HWY_INLINE void sum_levels(const OneBitQuery& query, const std::uint8_t* signs, std::size_t width,
                           std::uint16_t* sums) {
  const hn::CappedTag<std::uint8_t, kBlockRows> whole;
  const hn::CappedTag<std::uint8_t, kCodeRows> least;
  std::size_t lane = 0;
  for (; lane + hn::Lanes(whole) <= width; lane += hn::Lanes(whole))
    sum_lanes(whole, query, signs + lane, width, sums + lane / 2, sums + width / 2 + lane / 2);
  for (; lane < width; lane += hn::Lanes(least))
    sum_lanes(least, query, signs + lane, width, sums + lane / 2, sums + width / 2 + lane / 2);
}
#endif

HWY_INLINE bool none_wanted(const std::uint16_t* masks, std::size_t count) {
  unsigned any = 0;
  for (std::size_t i = 0; i < count; ++i) any |= masks[i];
  return any == 0;
}

MNEME_WITH_WIDE_TABLES std::size_t ScanOneBit(const OneBitQuery& query, const OneBitList& list, float threshold,
                                              const Candidates& out, std::size_t count) {
  const hn::CappedTag<float, kCodeRows> floats;
  const hn::RebindToSigned<decltype(floats)> ints;
  const hn::RebindToUnsigned<decltype(floats)> places;
  const hn::Rebind<std::uint16_t, decltype(floats)> halves;
  const std::size_t lanes = hn::Lanes(floats);
  const std::size_t bytes_per_row = row_bytes(query.bytes, query.with_offsets);
  const auto padded = [](std::size_t rows) { return (rows + kCodeRows - 1) / kCodeRows * kCodeRows; };
  const auto step = hn::Set(floats, query.step);
  const auto shift = hn::Set(floats, -query.sum_of_sizes);
  const auto base = hn::Set(floats, list.base);
  const auto least = hn::Set(floats, threshold);
  HWY_ALIGN std::uint16_t sums[kBlockRows + 32];  // the last is written whole
  for (std::size_t first = 0; first < list.rows; first += kBlockRows) {
    const std::size_t width = std::min(kBlockRows, padded(list.rows - first));
    if (list.wanted != nullptr && none_wanted(list.wanted + first / kCodeRows, width / kCodeRows)) continue;
    const std::byte* const block = list.blocks + first * bytes_per_row;  // the processor fetches ahead as well as we
    sum_levels(query, reinterpret_cast<const std::uint8_t*>(block), width, sums);
    const auto* slope = reinterpret_cast<const float*>(block + query.bytes * width);
    for (std::size_t at = 0; at < width; at += lanes) {
      const auto sum = hn::ConvertTo(floats, hn::PromoteTo(ints, hn::LoadU(halves, sums + at)));
      auto score = hn::MulAdd(hn::LoadU(floats, slope + at), hn::MulAdd(sum, step, shift), base);
      if (query.with_offsets) score = hn::Add(score, hn::LoadU(floats, slope + width + at));
      auto chosen = hn::Gt(score, least);
      if (first + at + lanes > list.rows) {
        if (first + at >= list.rows) break;
        chosen = hn::And(chosen, hn::FirstN(floats, list.rows - first - at));
      }
      if (list.wanted != nullptr) {
        const std::uint64_t bits = list.wanted[(first + at) / kCodeRows] >> (at % kCodeRows);
        chosen = hn::And(chosen, hn::LoadMaskBits(floats, reinterpret_cast<const std::uint8_t*>(&bits)));
      }
      if (hn::AllFalse(floats, chosen)) continue;
      const auto position = hn::Iota(places, list.position + static_cast<std::uint32_t>(first + at));
      compress_to(floats, score, chosen, out.scores + count);
      compress_to(places, position, hn::RebindMask(places, chosen), out.positions + count);
      hn::StoreU(base, floats, out.bases + count);
      count += hn::CountTrue(floats, chosen);
    }
  }
  return count;
}

}  // namespace mneme::index::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mneme::index {

HWY_EXPORT(MakeTables);
HWY_EXPORT(ScanOneBit);

void make_tables(const float* query, std::size_t bytes, OneBitQuery& out) {
  HWY_DYNAMIC_DISPATCH(MakeTables)(query, bytes, out);
}
std::size_t scan_one_bit(const OneBitQuery& query, const OneBitList& list, float threshold, const Candidates& out,
                         std::size_t count) {
  return HWY_DYNAMIC_DISPATCH(ScanOneBit)(query, list, threshold, out, count);
}

}  // namespace mneme::index
#endif  // HWY_ONCE
