// Kernels that put values into buckets, so that the highest can be found without sorting all. Compiled once per
// instruction set by Highway, chosen when the program runs.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mneme::index {

/// Values that to_buckets() takes at least; numbers of buckets are padded to a multiple of the other.
inline constexpr std::size_t kBucketedMin = 16, kBucketPadding = 64;

/// out[i] = 0 for the highest value, `last` for the lowest, in proportion between them; where their difference overflows,
/// a few numbers that order them as well. The values are finite.
void to_buckets(const float* values, std::size_t count, std::uint8_t last, std::uint8_t* out);
/// How many are at most `most`. `count` is a multiple of kBucketPadding.
std::size_t count_at_most(const std::uint8_t* buckets, std::size_t count, std::uint8_t most);
/// out[0], out[1], … = the places, rising, of those from `least` to `most`. `count` is a multiple of kBucketPadding.
/// @return how many there are
std::size_t find_between(const std::uint8_t* buckets, std::size_t count, std::uint8_t least, std::uint8_t most,
                         std::uint32_t* out);

}  // namespace mneme::index
