// The lanes of a vector for which a mask is true, one after the other. Included once per instruction set.
//
// Highway 1.0.3's Compress for vectors of 16 and 32 bytes looks its permutation up in an array on the stack, which GCC
// copies there every time: 1 KiB, or fifty times what the rest costs. These tables are static.
#if defined(MNEME_INDEX_COMPRESS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MNEME_INDEX_COMPRESS_INL_H
#undef MNEME_INDEX_COMPRESS_INL_H
#else
#define MNEME_INDEX_COMPRESS_INL_H
#endif

#include <hwy/highway.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "compress_table.h"

HWY_BEFORE_NAMESPACE();
namespace mneme::index::HWY_NAMESPACE {

/// Writes the chosen lanes to the front of `out`, which a whole vector is written to. Lanes of 32 bits, at most 16.
template <class D, class V, class M>
HWY_INLINE void compress_to(D d, V values, M chosen, hwy::HWY_NAMESPACE::TFromD<D>* out) {
  namespace hn = hwy::HWY_NAMESPACE;
#if HWY_TARGET == HWY_AVX2
  const unsigned bits = static_cast<unsigned>(
      _mm256_movemask_ps(_mm256_castsi256_ps(hn::BitCast(hn::RebindToSigned<D>(), hn::VecFromMask(d, chosen)).raw)));
  const __m256i order = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(&kCompressOrder[bits])));
  const hn::RebindToUnsigned<D> du;
  hn::StoreU(hn::BitCast(d, hn::Vec<decltype(du)>{_mm256_permutevar8x32_epi32(hn::BitCast(du, values).raw, order)}), d,
             out);
#elif HWY_TARGET == HWY_SSSE3 || HWY_TARGET == HWY_SSE4
  const hn::Repartition<std::uint8_t, D> bytes;
  const unsigned bits = static_cast<unsigned>(
      _mm_movemask_ps(_mm_castsi128_ps(hn::BitCast(hn::RebindToSigned<D>(), hn::VecFromMask(d, chosen)).raw)));
  const auto order = hn::LoadU(bytes, kCompressBytes[bits].data());
  hn::StoreU(hn::BitCast(d, hn::TableLookupBytes(hn::BitCast(bytes, values), order)), d, out);
#else
  hn::StoreU(hn::Compress(values, chosen), d, out);
#endif
}

}  // namespace mneme::index::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
