#include "rotation.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <random>
#include <utility>

#include "code_kernels.h"

namespace mneme::index {
Rotation::Rotation(std::size_t dimension, std::uint64_t seed)
    : dimension_(dimension), size_(size_for(dimension)), signs_(kRounds * size_), permutations_(signs_.size()) {
  std::mt19937_64 random(seed);
  for (float& sign : signs_) sign = (random() & 1) != 0 ? 1.0F : -1.0F;
  for (std::size_t round = 0; round < kRounds; ++round) {
    std::uint32_t* const from = permutations_.data() + round * size_;
    std::iota(from, from + size_, 0U);
    // By hand: the standard's shuffle may differ between libraries.
    for (std::size_t i = size_ - 1; i > 0; --i) std::swap(from[i], from[random() % (i + 1)]);
  }
}

void Rotation::apply(const float* in, float* out, float* scratch) const {
  // Where the size is no power of two, the first and the last part of such a size overlap and mix.
  const std::size_t part = std::bit_floor(size_);
  std::copy_n(in, dimension_, out);
  std::fill(out + dimension_, out + size_, 0.0F);
  for (std::size_t round = 0; round < kRounds; ++round) {
    const float* const signs = signs_.data() + round * size_;
    const std::uint32_t* const from = permutations_.data() + round * size_;
    for (std::size_t i = 0; i < size_; ++i) scratch[i] = out[i] * signs[i];
    butterflies(scratch, part);
    if (part != size_) butterflies(scratch + size_ - part, part);
    for (std::size_t i = 0; i < size_; ++i) out[i] = scratch[from[i]];
  }
}

}  // namespace mneme::index
