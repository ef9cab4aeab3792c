// NearestCentroid: which of some centroids each row is nearest to. By 8-bit products where the processor has instructions
// for them, and in float32 for the few centroids that those leave.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "huge_array.h"

namespace mneme::index {

/// Threads: const from any.
class NearestCentroid {
 public:
  NearestCentroid() = default;
  /// `centroids` (row-major) and `half_squared_norms` outlive this or move with it: they are given again to find().
  NearestCentroid(std::span<const float> centroids, std::span<const float> half_squared_norms);

  /// The centroid c with the largest x·c − ‖c‖²/2 for each row x, and that largest. Uses oneTBB.
  void find(std::span<const float> centroids, std::span<const float> half_squared_norms, std::span<const float> rows,
            std::span<std::uint32_t> nearest, std::span<float> best) const;

  std::uint64_t bytes_used() const { return levels_.bytes_used() + 4 * steps_.size() * sizeof(float); }

 private:
  struct Scratch;
  std::size_t padded() const { return steps_.size(); }
  void choose_few(const float* row, const std::int32_t* products, std::int32_t bias, float step, float* most,
                  std::vector<std::uint32_t>& few) const;

  HugeArray<std::uint8_t> levels_;  // as code_kernels.h orders them; none where they would not be quick
  std::vector<float> steps_, less_, error_of_norm_, error_of_step_;
};

}  // namespace mneme::index
