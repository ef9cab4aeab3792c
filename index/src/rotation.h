// A random rotation that costs O(n log n): after it no few dimensions hold most of a vector, which is what makes codes
// of one bit a dimension work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mneme::index {

/// Three rounds of random signs, butterflies between halves, quarters, … and a random permutation. Each step is
/// orthogonal, so that inner products stay. Pure: the same dimension and seed make the same rotation.
/// Threads: const from any.
class Rotation {
 public:
  Rotation(std::size_t dimension, std::uint64_t seed);
  /// Of what comes out: the dimension, rounded up to a multiple of 64; the vector is padded with zeros first.
  std::size_t size() const { return size_; }
  static std::size_t size_for(std::size_t dimension) { return (dimension + 63) / 64 * 64; }
  std::size_t dimension() const { return dimension_; }
  /// `in` has dimension() floats, `out` size(), `scratch` size(); none overlap.
  void apply(const float* in, float* out, float* scratch) const;

 private:
  static constexpr std::size_t kRounds = 3;
  std::size_t dimension_, size_;
  std::vector<float> signs_;                 // by round and dimension
  std::vector<std::uint32_t> permutations_;  // by round and dimension: where the value comes from
};

}  // namespace mneme::index
