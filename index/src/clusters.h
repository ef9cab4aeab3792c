// Clusters: the centroids that rows are grouped by, found by k-means over a sample.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "huge_array.h"
#include "mneme/base/result.h"
#include "nearest_centroid.h"

namespace mneme::index {

/// Threads: const from any.
class Clusters {
 public:
  Clusters() = default;  ///< none
  /// k-means over `rows` (n × dimension, row-major): `count` centroids, fewer when there are fewer rows. FAISS does the
  /// iterations, our kernels the assignments. @error Busy  no memory
  /// @error FailedPrecondition  `stop` became true
  static Result<Clusters> train(std::span<const float> rows, std::size_t dimension, std::size_t count,
                                const std::atomic<bool>& stop);

  /// Of centroids found before, row-major.
  static Clusters of(std::vector<float> centroids, std::size_t dimension) { return {std::move(centroids), dimension}; }

  std::span<const float> centroids() const { return centroids_; }
  std::size_t count() const { return half_squared_norms_.size(); }
  std::size_t dimension() const { return dimension_; }
  const float* centroid(std::size_t i) const { return centroids_.data() + i * dimension_; }
  float half_squared_norm(std::size_t i) const { return half_squared_norms_[i]; }
  std::uint64_t bytes_used() const {
    return (centroids_.size() + half_squared_norms_.size() + level_sizes_.size()) * sizeof(float) +
           levels_.bytes_used() + nearest_.bytes_used();
  }

  /// Where there are many centroids, their codes.
  const CentroidCodes& codes() const { return nearest_.codes(); }
  /// Centroids as integers of 16 bits, of which a product costs less than half of one of floats:
  /// centroid i[d] ≈ level_sizes()[i] × levels()[i × dimension() + d]. No level is above levels_max().
  const std::int16_t* levels() const { return levels_.data(); }
  std::span<const float> level_sizes() const { return level_sizes_; }
  int levels_max() const { return levels_max_; }
  /// Standard error of a product with a vector of length 1 whose largest value is `largest`, when both are such levels.
  float level_error(float largest) const;
  /// The nearest centroid (by squared distance) of each row. Uses oneTBB.
  void assign(std::span<const float> rows, std::span<std::uint32_t> nearest) const;

 private:
  Clusters(std::vector<float> centroids, std::size_t dimension);
  void make_levels();
  std::size_t dimension_ = 0;
  std::vector<float> centroids_;
  std::vector<float> half_squared_norms_;
  HugeArray<std::int16_t> levels_;
  std::vector<float> level_sizes_;
  int levels_max_ = 0;
  float level_size_most_ = 0, norm_most_ = 0;
  NearestCentroid nearest_;
};

}  // namespace mneme::index
