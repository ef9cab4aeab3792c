// NOLINTBEGIN(readability-identifier-naming): functions that Highway dispatches are named as its own are
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "dense_kernels.cc"
// Like kernels.cc: no sizeless vectors.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)

#include "dense_kernels.h"

#include <algorithm>
#include <limits>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wold-style-cast"  // Highway's headers, at the point of use
#endif
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

// As in code_kernels.cc: the target has VNNI, but Highway 1.0.3 does not tell the compiler.
#undef MNEME_WITH_VNNI
#if HWY_TARGET == HWY_AVX3_DL && defined(__clang__)
#define MNEME_WITH_VNNI __attribute__((target(HWY_TARGET_STR ",avx512vnni")))
#elif HWY_TARGET == HWY_AVX3_DL
#define MNEME_WITH_VNNI __attribute__((target("avx512vnni")))
#else
#define MNEME_WITH_VNNI
#endif

HWY_BEFORE_NAMESPACE();
namespace mneme::index::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_AVX3_DL
bool DenseIsQuick() { return true; }

MNEME_WITH_VNNI void DenseProducts(const std::uint8_t* codes, std::size_t dimension, std::size_t rows,
                                   const std::int8_t* levels, std::int32_t* out) {
  constexpr std::size_t kAtATime = 16;
  for (std::size_t first = 0; first < rows; first += kAtATime, codes += kAtATime * dimension) {
    __m512i sums[kAtATime];
#pragma GCC unroll 16
    for (std::size_t r = 0; r < kAtATime; ++r) sums[r] = _mm512_setzero_si512();
    for (std::size_t d = 0; d < dimension; d += 4) {
      const __m512i level = _mm512_loadu_si512(levels + d * kDenseQueries);
#pragma GCC unroll 16
      for (std::size_t r = 0; r < kAtATime; ++r) {
        std::int32_t four;
        __builtin_memcpy(&four, codes + r * dimension + d, sizeof four);
        sums[r] = _mm512_dpbusd_epi32(sums[r], _mm512_set1_epi32(four), level);
      }
    }
#pragma GCC unroll 16
    for (std::size_t r = 0; r < kAtATime; ++r) _mm512_storeu_si512(out + (first + r) * kDenseQueries, sums[r]);
  }
}
#else
bool DenseIsQuick() { return false; }

void DenseProducts(const std::uint8_t* codes, std::size_t dimension, std::size_t rows, const std::int8_t* levels,
                   std::int32_t* out) {
  for (std::size_t r = 0; r < rows; ++r, codes += dimension)
    for (std::size_t q = 0; q < kDenseQueries; ++q) {
      std::int32_t sum = 0;
      for (std::size_t d = 0; d < dimension; ++d)
        sum += static_cast<std::int32_t>(codes[d]) * levels[dense_place(q, d, dimension)];
      out[r * kDenseQueries + q] = sum;
    }
}
#endif

void DenseScores(const std::int32_t* products, std::size_t rows, const float* scales, const float* offsets,
                 const DenseQueries& queries, float* scores, std::uint16_t* reached) {
  const hn::CappedTag<float, kDenseQueries> floats;
  const hn::RebindToSigned<decltype(floats)> ints;
  const std::size_t lanes = hn::Lanes(floats);
  std::fill_n(reached, rows, std::uint16_t{0});
  for (std::size_t q = 0; q < kDenseQueries; q += lanes) {
    const auto bias = hn::LoadU(ints, queries.biases + q);
    const auto step = hn::LoadU(floats, queries.steps + q);
    const auto base = hn::LoadU(floats, queries.bases + q);
    const auto least = hn::LoadU(floats, queries.least + q);
    for (std::size_t r = 0; r < rows; ++r) {
      const auto product = hn::ConvertTo(floats, hn::Sub(hn::LoadU(ints, products + r * kDenseQueries + q), bias));
      auto score = hn::MulAdd(product, hn::Mul(hn::Set(floats, scales[r]), step), base);
      if (offsets != nullptr) score = hn::Add(score, hn::Set(floats, offsets[r]));
      const auto counts = hn::Gt(score, least);
      if (hn::AllFalse(floats, counts)) continue;
      hn::StoreU(score, floats, scores + r * kDenseQueries + q);
      std::uint8_t bits[8] = {};
      hn::StoreMaskBits(floats, counts, bits);
      reached[r] = static_cast<std::uint16_t>(reached[r] | (bits[0] | static_cast<unsigned>(bits[1]) << 8) << q);
    }
  }
}

}  // namespace mneme::index::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#if HWY_ARCH_X86_64 && defined(__linux__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#define MNEME_WITH_TILES __attribute__((target("amx-tile,amx-int8")))
#define MNEME_HAS_TILES 1
#else
#define MNEME_HAS_TILES 0
#endif

namespace mneme::index {

HWY_EXPORT(DenseIsQuick);
HWY_EXPORT(DenseProducts);
HWY_EXPORT(DenseScores);

namespace {

#if MNEME_HAS_TILES
// Intel SDM volume 1, chapter 18. Tiles 0 to 3 hold sums, 4 and 5 codes, 6 levels: 16 rows of 64 bytes each.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);
constexpr TileConfig kTiles;

// The processor has them, and the system gives this process the room to save them in.
bool may_use_tiles() {
  static const bool may = [] {
    constexpr unsigned kTileBit = 1U << 24, kInt8Bit = 1U << 25;
    constexpr long kAskForPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
    if ((d & kTileBit) == 0 || (d & kInt8Bit) == 0) return false;
    return ::syscall(SYS_arch_prctl, kAskForPermission, kTileData) == 0;
  }();
  return may;
}

// The intrinsics do not tell the compiler that they read memory.
inline void memory_is_as_written() { asm volatile("" ::: "memory"); }

MNEME_WITH_TILES void configure_tiles() {
  memory_is_as_written();
  _tile_loadconfig(&kTiles);
}
MNEME_WITH_TILES void release_tiles() { _tile_release(); }

MNEME_WITH_TILES void products_of_64(const std::uint8_t* codes, std::size_t dimension, const std::int8_t* levels,
                                     std::int32_t* out) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (std::size_t d = 0; d < dimension; d += 64) {
    _tile_loadd(6, levels + d * kDenseQueries, 64);
    _tile_loadd(4, codes + d, dimension);
    _tile_dpbusd(0, 4, 6);
    _tile_loadd(5, codes + 16 * dimension + d, dimension);
    _tile_dpbusd(1, 5, 6);
    _tile_loadd(4, codes + 32 * dimension + d, dimension);
    _tile_dpbusd(2, 4, 6);
    _tile_loadd(5, codes + 48 * dimension + d, dimension);
    _tile_dpbusd(3, 5, 6);
  }
  _tile_stored(0, out, 64);
  _tile_stored(1, out + 256, 64);
  _tile_stored(2, out + 512, 64);
  _tile_stored(3, out + 768, 64);
}

MNEME_WITH_TILES void products_of_16(const std::uint8_t* codes, std::size_t dimension, const std::int8_t* levels,
                                     std::int32_t* out) {
  _tile_zero(0);
  for (std::size_t d = 0; d < dimension; d += 64) {
    _tile_loadd(6, levels + d * kDenseQueries, 64);
    _tile_loadd(4, codes + d, dimension);
    _tile_dpbusd(0, 4, 6);
  }
  _tile_stored(0, out, 64);
}

void products_by_tiles(const std::uint8_t* codes, std::size_t dimension, std::size_t rows, const std::int8_t* levels,
                       std::int32_t* out) {
  memory_is_as_written();
  if (rows == kDenseRows) {
    products_of_64(codes, dimension, levels, out);
  } else {
    for (std::size_t r = 0; r < rows; r += 16)
      products_of_16(codes + r * dimension, dimension, levels, out + r * kDenseQueries);
  }
  memory_is_as_written();
}
#endif

thread_local bool tiles_are_configured = false;

}  // namespace

float dense_cost() {
  constexpr float kByTiles = 0.25F, kByVectors = 0.7F;
  if (DenseScope::has_tiles()) return kByTiles;
  return HWY_DYNAMIC_DISPATCH(DenseIsQuick)() ? kByVectors : std::numeric_limits<float>::infinity();
}

bool DenseScope::has_tiles() {
#if MNEME_HAS_TILES
  return may_use_tiles();
#else
  return false;
#endif
}

DenseScope::DenseScope(bool with_tiles) {
#if MNEME_HAS_TILES
  tiles_are_configured = with_tiles && may_use_tiles();
  if (tiles_are_configured) configure_tiles();
#else
  (void)with_tiles;
#endif
}

DenseScope::~DenseScope() {
#if MNEME_HAS_TILES
  if (tiles_are_configured) release_tiles();
#endif
  tiles_are_configured = false;
}

void dense_products(const std::uint8_t* codes, std::size_t dimension, std::size_t rows, const std::int8_t* levels,
                    std::int32_t* out) {
#if MNEME_HAS_TILES
  if (tiles_are_configured) return products_by_tiles(codes, dimension, rows, levels, out);
#endif
  HWY_DYNAMIC_DISPATCH(DenseProducts)(codes, dimension, rows, levels, out);
}

void dense_scores(const std::int32_t* products, std::size_t rows, const float* scales, const float* offsets,
                  const DenseQueries& queries, float* scores, std::uint16_t* reached) {
  HWY_DYNAMIC_DISPATCH(DenseScores)(products, rows, scales, offsets, queries, scores, reached);
}

}  // namespace mneme::index
#endif  // HWY_ONCE
// NOLINTEND(readability-identifier-naming)
