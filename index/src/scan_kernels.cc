// NOLINTBEGIN(readability-identifier-naming): functions that Highway dispatches are named as its own are
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
#include "scan_tables-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mneme::index::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

MNEME_WITH_WIDE_TABLES void MakeTables(const float* query, std::size_t bytes, OneBitQuery& out) {
  constexpr float kSumMax = 65535;
  const Sizes sizes = sizes_of(query, bytes);
  const std::size_t tables = (bytes * 8 + kGroup - 1) / kGroup * kTables;
  // The entries of each table, and what a row may sum to.
  float inverse = std::min((static_cast<float>(kTableMax) - kRounding) / sizes.of_table,
                           (kSumMax - kRounding * static_cast<float>(tables)) / sizes.of_all);
  if (!(sizes.of_table > 0) || !std::isfinite(sizes.of_all)) inverse = 0;
  out.bytes = bytes;
  out.step = inverse > 0 ? 2 / inverse : 0;
  out.tables.resize(tables * kTableSize);
  float all = inverse > 0 ? sizes.of_all * inverse : 0;
  fill_tables(query, bytes, inverse, out.tables.data(), all);
  out.sum_of_sizes = all * out.step / 2;
}

// sums[i] := the sum of levels that agree in row i of a block of `width` rows. May fetch what lies `ahead`.
#if MNEME_WIDE_TABLES
MNEME_WITH_WIDE_TABLES HWY_INLINE void sum_levels(const OneBitQuery& query, const std::uint8_t* signs,
                                                  std::size_t width, std::uintptr_t ahead, std::uint16_t* sums) {
  const __mmask64 lanes = width == 64 ? ~__mmask64{0} : (__mmask64{1} << width) - 1;
  const __m512i two = _mm512_set1_epi8(0x03), four = _mm512_set1_epi8(0x0F);
  const std::uint8_t* table = query.tables.data();
  __m512i all = _mm512_setzero_si512(), odd = _mm512_setzero_si512();
  const auto add = [&](__m512i a, __m512i b, __m512i c) {
    for (std::size_t line = 0; line < 3; ++line)
      _mm_prefetch(reinterpret_cast<const char*>(ahead) + line * kCacheLine, _MM_HINT_T0);
    ahead += 3 * kCacheLine;
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
HWY_INLINE void sum_levels(const OneBitQuery& query, const std::uint8_t* signs, std::size_t width, std::uintptr_t,
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
// Of `Vectors` times as many lanes as a vector has: tables are loaded once for all of them. Fetches what lies at `ahead`,
// a cache line for each byte of a row.
template <std::size_t Vectors, class D8>
HWY_INLINE void sum_lanes(D8 d8, const OneBitQuery& query, const std::uint8_t* signs, std::size_t width,
                          std::uintptr_t ahead, std::uint16_t* of_even, std::uint16_t* of_odd) {
  const hn::Repartition<std::uint16_t, D8> d16;
  constexpr std::size_t kLanes = hn::MaxLanes(d8);
  const auto low_bits = hn::Set(d8, 15);
  hn::Vec<decltype(d16)> all[Vectors], odd[Vectors];
  MNEME_UNROLL
  for (std::size_t v = 0; v < Vectors; ++v) all[v] = odd[v] = hn::Zero(d16);
  const std::uint8_t* table = query.tables.data();
  const auto look_up = [&](hn::Vec<D8>(&sums)[Vectors]) HWY_ATTR {
    __builtin_prefetch(reinterpret_cast<const void*>(ahead));
    ahead += kCacheLine;
    const auto of_low = hn::LoadDup128(d8, table), of_high = hn::LoadDup128(d8, table + kTableSize);
    MNEME_UNROLL
    for (std::size_t v = 0; v < Vectors; ++v) {
      const auto code = hn::LoadU(d8, signs + v * kLanes);
      const auto low = hn::And(code, low_bits);
      const auto high = hn::And(hn::BitCast(d8, hn::ShiftRight<4>(hn::BitCast(d16, code))), low_bits);
      sums[v] = hn::Add(hn::TableLookupBytes(of_low, low), hn::TableLookupBytes(of_high, high));
    }
    signs += width;
    table += kTables * kTableSize;
  };
  constexpr std::size_t kBytes = kAddedAtOnce / kTables;  // of which a row has a multiple
  for (std::size_t byte = 0; byte < query.bytes; byte += kBytes) {
    hn::Vec<D8> sums[Vectors], first[Vectors], second[Vectors];
    MNEME_UNROLL
    for (std::size_t v = 0; v < Vectors; ++v) sums[v] = hn::Zero(d8);
#pragma GCC unroll 1
    for (std::size_t i = 0; i < kBytes; i += 2) {  // more at once are more than the registers hold
      look_up(first);
      look_up(second);
      MNEME_UNROLL
      for (std::size_t v = 0; v < Vectors; ++v) sums[v] = hn::Add(sums[v], hn::Add(first[v], second[v]));
    }
    MNEME_UNROLL
    for (std::size_t v = 0; v < Vectors; ++v) {
      all[v] = hn::Add(all[v], hn::BitCast(d16, sums[v]));
      odd[v] = hn::Add(odd[v], hn::ShiftRight<8>(hn::BitCast(d16, sums[v])));
    }
  }
  MNEME_UNROLL
  for (std::size_t v = 0; v < Vectors; ++v) {
    hn::StoreU(hn::Sub(all[v], hn::ShiftLeft<8>(odd[v])), d16, of_even + v * kLanes / 2);
    hn::StoreU(odd[v], d16, of_odd + v * kLanes / 2);
  }
}

HWY_INLINE void sum_levels(const OneBitQuery& query, const std::uint8_t* signs, std::size_t width, std::uintptr_t ahead,
                           std::uint16_t* sums) {
  const hn::CappedTag<std::uint8_t, kBlockRows> whole;
  const hn::CappedTag<std::uint8_t, kCodeRows> least;
  constexpr std::size_t kAtOnce = 2, kLanes = hn::MaxLanes(whole);
  std::size_t lane = 0;
  for (; lane + kAtOnce * kLanes <= width; lane += kAtOnce * kLanes)
    sum_lanes<kAtOnce>(whole, query, signs + lane, width, ahead, sums + lane / 2, sums + width / 2 + lane / 2);
  for (; lane + kLanes <= width; lane += kLanes)
    sum_lanes<1>(whole, query, signs + lane, width, ahead, sums + lane / 2, sums + width / 2 + lane / 2);
  for (; lane < width; lane += hn::Lanes(least))
    sum_lanes<1>(least, query, signs + lane, width, ahead, sums + lane / 2, sums + width / 2 + lane / 2);
}
#endif

HWY_INLINE bool none_wanted(const std::uint16_t* masks, std::size_t count) {
  unsigned any = 0;
  for (std::size_t i = 0; i < count; ++i) any |= masks[i];
  return any == 0;
}

MNEME_WITH_WIDE_TABLES std::size_t ScanOneBit(const OneBitQuery& query, const OneBitList& list, float threshold,
                                              const Candidates& out, std::size_t count, Spread* spread) {
  const hn::CappedTag<float, kCodeRows> floats;
  const hn::RebindToSigned<decltype(floats)> ints;
  const hn::RebindToUnsigned<decltype(floats)> places;
  const hn::Rebind<std::uint16_t, decltype(floats)> halves;
  const std::size_t lanes = hn::Lanes(floats);
  const std::size_t bytes_per_row = row_bytes(query.bytes, query.with_offsets);
  const auto step = hn::Set(floats, query.step);
  const auto shift = hn::Set(floats, -query.sum_of_sizes);
  const auto base = hn::Set(floats, list.base);
  const auto least = hn::Set(floats, threshold);
  auto off = hn::Zero(floats), off_squared = hn::Zero(floats);
  std::size_t rows = 0;
  HWY_ALIGN std::uint16_t sums[kBlockRows + 32];  // the last is written whole
  for (std::size_t first = 0; first < list.rows; first += kBlockRows) {
    const std::size_t width = std::min(kBlockRows, padded_rows(list.rows - first));
    if (list.wanted != nullptr && none_wanted(list.wanted + first / kCodeRows, width / kCodeRows)) continue;
    const std::byte* const block = list.blocks + first * bytes_per_row;
    const std::byte* const after = list.ahead != nullptr ? list.ahead : block;
    const std::byte* const next = first + width < list.rows ? block + width * bytes_per_row : after;
    sum_levels(query, reinterpret_cast<const std::uint8_t*>(block), width, reinterpret_cast<std::uintptr_t>(next),
               sums);
    const auto* slope = reinterpret_cast<const float*>(block + query.bytes * width);
    for (std::size_t at = 0; at < width; at += lanes) {
      const auto sum = hn::ConvertTo(floats, hn::PromoteTo(ints, hn::LoadU(halves, sums + at)));
      auto score = hn::MulAdd(hn::LoadU(floats, slope + at), hn::MulAdd(sum, step, shift), base);
      if (query.with_offsets) score = hn::Add(score, hn::LoadU(floats, slope + width + at));
      auto wanted = hn::FirstN(floats, lanes);
      if (first + at + lanes > list.rows) {
        if (first + at >= list.rows) break;
        wanted = hn::FirstN(floats, list.rows - first - at);
      }
      if (list.wanted != nullptr) {
        const std::uint64_t bits = list.wanted[(first + at) / kCodeRows] >> (at % kCodeRows);
        wanted = hn::And(wanted, hn::LoadMaskBits(floats, reinterpret_cast<const std::uint8_t*>(&bits)));
      }
      const auto difference = hn::IfThenElseZero(wanted, hn::Sub(score, base));
      off = hn::Add(off, difference);
      off_squared = hn::MulAdd(difference, difference, off_squared);
      if (spread != nullptr) rows += hn::CountTrue(floats, wanted);
      const auto chosen = hn::And(wanted, hn::Gt(score, least));
      if (hn::AllFalse(floats, chosen)) continue;
      const auto position = hn::Iota(places, list.position + static_cast<std::uint32_t>(first + at));
      compress_to(floats, score, chosen, out.scores + count);
      compress_to(places, position, hn::RebindMask(places, chosen), out.positions + count);
      hn::StoreU(base, floats, out.bases + count);
      count += hn::CountTrue(floats, chosen);
    }
  }
  if (spread != nullptr) {
    spread->sum += hn::GetLane(hn::SumOfLanes(floats, off));
    spread->squares += hn::GetLane(hn::SumOfLanes(floats, off_squared));
    spread->rows += rows;
  }
  return count;
}

}  // namespace mneme::index::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mneme::index {

HWY_EXPORT(MakeTables);
HWY_EXPORT(ScanOneBit);

double one_bit_error(const ResidualSums& residual, std::size_t dimension) {
  const auto dimensions = static_cast<double>(dimension);
  // The share of the residual that its signs point along, and what is left across it in a random direction.
  const double along = residual.squares > 0 ? residual.sizes * residual.sizes / (residual.squares * dimensions) : 1;
  return std::sqrt(residual.squares * (1 - along) / along / std::max(1.0, dimensions - 1));
}

ResidualSums put_one_bit(const float* residual, std::size_t bytes, std::byte* block, const PlaceInList& place) {
  const std::size_t lane = lane_of(place.row, place.width);
  ResidualSums sums;
  for (std::size_t byte = 0; byte < bytes; ++byte) {
    unsigned bits = 0;
    for (unsigned bit = 0; bit < 8; ++bit) {
      const float value = residual[byte * 8 + bit];
      bits |= (value >= 0 ? 1U : 0U) << bit;
      sums.sizes += std::abs(value);
      sums.squares += static_cast<double>(value) * value;
    }
    block[byte * place.width + lane] = static_cast<std::byte>(bits);
  }
  reinterpret_cast<float*>(block + bytes * place.width)[place.row] =
      sums.sizes > 0 ? static_cast<float>(sums.squares / sums.sizes) : 0;
  return sums;
}

void make_tables(const float* query, std::size_t bytes, OneBitQuery& out) {
  HWY_DYNAMIC_DISPATCH(MakeTables)(query, bytes, out);
}
std::size_t scan_one_bit(const OneBitQuery& query, const OneBitList& list, float threshold, const Candidates& out,
                         std::size_t count, Spread* spread) {
  return HWY_DYNAMIC_DISPATCH(ScanOneBit)(query, list, threshold, out, count, spread);
}

}  // namespace mneme::index
#endif  // HWY_ONCE
// NOLINTEND(readability-identifier-naming)
