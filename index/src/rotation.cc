#include "rotation.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <random>
#include <utility>

#include "code_kernels.h"

namespace mneme::index {
namespace {

void permute(const float* from, const std::uint32_t* places, std::size_t size, float* to) {
  for (std::size_t i = 0; i < size; ++i) to[i] = from[places[i]];
}
void permute_and_multiply(const float* from, const std::uint32_t* places, const float* factors, std::size_t size,
                          float* to) {
  for (std::size_t i = 0; i < size; ++i) to[i] = from[places[i]] * factors[i];
}

}  // namespace

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
  const auto mix = [&](float* values) {
    butterflies(values, part);
    if (part != size_) butterflies(values + size_ - part, part);
  };
  // A round is signs, mixing and a permutation, which is made together with the signs of the next.
  float *from = scratch, *to = out;
  for (std::size_t i = 0; i < dimension_; ++i) from[i] = in[i] * signs_[i];
  std::fill(from + dimension_, from + size_, 0.0F);
  mix(from);
  for (std::size_t round = 1; round < kRounds; ++round, std::swap(from, to)) {
    permute_and_multiply(from, permutations_.data() + (round - 1) * size_, signs_.data() + round * size_, size_, to);
    mix(to);
  }
  static_assert(kRounds % 2 == 1, "the last permutation ends in `out`");
  permute(from, permutations_.data() + (kRounds - 1) * size_, size_, out);
}

}  // namespace mneme::index
