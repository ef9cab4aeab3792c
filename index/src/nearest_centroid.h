// NearestCentroid: which of some centroids each row is nearest to. By 8-bit products where the processor has instructions
// for them, by 1-bit codes where it has not and centroids are many; float32 decides among the few that those leave.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "centroid_codes.h"
#include "huge_array.h"

namespace mneme::index {

/// Threads: const from any.
class NearestCentroid {
 public:
  NearestCentroid() = default;
  /// `centroids` (row-major) and `half_squared_norms` outlive this or move with it: they are given again to find().
  NearestCentroid(std::span<const float> centroids, std::span<const float> half_squared_norms);

  /// The centroid c with the largest x·c − ‖c‖²/2 for each row x, and that largest. By codes it may be another, about as
  /// near, for a row in a few hundred. Uses oneTBB.
  void find(std::span<const float> centroids, std::span<const float> half_squared_norms, std::span<const float> rows,
            std::span<std::uint32_t> nearest, std::span<float> best) const;

  /// Of the centroids, where there are many.
  const CentroidCodes& codes() const { return codes_; }
  std::uint64_t bytes_used() const {
    return codes_.bytes_used() + levels_.bytes_used() + 4 * steps_.size() * sizeof(float);
  }

 private:
  /// What the rows are compared with.
  struct Centroids {
    std::span<const float> values, half_squared_norms;
    std::size_t count() const { return half_squared_norms.size(); }
    std::size_t dimension() const { return values.size() / count(); }
    float score(const float* row, std::size_t centroid) const;
  };
  /// Some rows, and what is found for each.
  struct Rows {
    std::span<const float> values;
    std::span<std::uint32_t> nearest;
    std::span<float> best;
  };
  struct Scratch;
  /// For the i-th row, where it is nearer than what that has.
  static void take_nearer(const Centroids& centroids, const Rows& rows, std::size_t i, std::uint32_t centroid);
  void by_codes(const Centroids& centroids, const Rows& rows, Scratch& scratch) const;
  void by_levels(const Centroids& centroids, const Rows& rows, Scratch& scratch) const;
  static void by_floats(const Centroids& centroids, const Rows& rows, Scratch& scratch);
  std::size_t padded() const { return steps_.size(); }
  void choose_few(const float* row, const std::int32_t* products, std::int32_t bias, float step, float* most,
                  std::vector<std::uint32_t>& few) const;

  CentroidCodes codes_;
  HugeArray<std::uint8_t> levels_;  // as code_kernels.h orders them; none where they would not be quick
  std::vector<float> steps_, less_, error_of_norm_, error_of_step_;
};

}  // namespace mneme::index
