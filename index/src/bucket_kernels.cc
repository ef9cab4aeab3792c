// NOLINTBEGIN(readability-identifier-naming): functions that Highway dispatches are named as its own are
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bucket_kernels.cc"
// Like kernels.cc: no sizeless vectors.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)

#include "bucket_kernels.h"

#include <bit>
#include <cstring>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wold-style-cast"  // Highway's headers, at the point of use
#endif
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace mneme::index::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

void ToBuckets(const float* values, std::size_t count, std::uint8_t last, std::uint8_t* out) {
  const hn::CappedTag<float, kBucketedMin> floats;
  const hn::RebindToSigned<decltype(floats)> ints;
  const hn::Rebind<std::uint8_t, decltype(floats)> bytes;
  const std::size_t lanes = hn::Lanes(floats);
  auto most = hn::LoadU(floats, values + count - lanes), least = most;
  for (std::size_t i = 0; i + lanes < count; i += lanes) {
    const auto value = hn::LoadU(floats, values + i);
    most = hn::Max(most, value);
    least = hn::Min(least, value);
  }
  const auto highest = hn::MaxOfLanes(floats, most);
  const float range = hn::GetLane(highest) - hn::GetLane(hn::MinOfLanes(floats, least));
  const auto per_bucket = hn::Set(floats, range > 0 ? static_cast<float>(last) / range : 0);
  const auto limit = hn::Set(floats, static_cast<float>(last));
  const auto put = [&](std::size_t i) HWY_ATTR {
    const auto bucket = hn::Mul(hn::Sub(highest, hn::LoadU(floats, values + i)), per_bucket);
    const auto within = hn::IfThenElse(hn::Lt(bucket, limit), bucket, limit);  // also where it is no number
    hn::StoreU(hn::DemoteTo(bytes, hn::ConvertTo(ints, within)), bytes, out + i);
  };
  for (std::size_t i = 0; i + lanes < count; i += lanes) put(i);
  put(count - lanes);
}

std::size_t CountAtMost(const std::uint8_t* values, std::size_t count, std::uint8_t most) {
  const hn::CappedTag<std::uint8_t, kBucketPadding> bytes;
  const auto limit = hn::Set(bytes, most);
  std::size_t found = 0;
  for (std::size_t i = 0; i < count; i += hn::Lanes(bytes))
    found += hn::CountTrue(bytes, hn::Eq(hn::Max(hn::LoadU(bytes, values + i), limit), limit));
  return found;
}

std::size_t FindBetween(const std::uint8_t* values, std::size_t count, std::uint8_t least, std::uint8_t most,
                        std::uint32_t* out) {
  const hn::CappedTag<std::uint8_t, kBucketPadding> bytes;
  const auto lower = hn::Set(bytes, least), upper = hn::Set(bytes, most);
  const std::uint32_t* const begin = out;
  for (std::size_t i = 0; i < count; i += hn::Lanes(bytes)) {
    const auto value = hn::LoadU(bytes, values + i);
    const auto is_between = hn::Eq(hn::Min(hn::Max(value, lower), upper), value);
    std::uint8_t packed[8] = {};
    hn::StoreMaskBits(bytes, is_between, packed);
    std::uint64_t bits = 0;
    std::memcpy(&bits, packed, sizeof bits);
    for (; bits != 0; bits &= bits - 1)
      *out++ = static_cast<std::uint32_t>(i) + static_cast<std::uint32_t>(std::countr_zero(bits));
  }
  return static_cast<std::size_t>(out - begin);
}

}  // namespace mneme::index::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mneme::index {

HWY_EXPORT(ToBuckets);
HWY_EXPORT(CountAtMost);
HWY_EXPORT(FindBetween);

void to_buckets(const float* values, std::size_t count, std::uint8_t last, std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(ToBuckets)(values, count, last, out);
}
std::size_t count_at_most(const std::uint8_t* buckets, std::size_t count, std::uint8_t most) {
  return HWY_DYNAMIC_DISPATCH(CountAtMost)(buckets, count, most);
}
std::size_t find_between(const std::uint8_t* buckets, std::size_t count, std::uint8_t least, std::uint8_t most,
                         std::uint32_t* out) {
  return HWY_DYNAMIC_DISPATCH(FindBetween)(buckets, count, least, most, out);
}

}  // namespace mneme::index
#endif  // HWY_ONCE
// NOLINTEND(readability-identifier-naming)
