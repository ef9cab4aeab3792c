#include "nearest_centroid.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "code_kernels.h"
#include "mneme/index/kernels.h"

namespace mneme::index {
namespace {

constexpr std::size_t kRowsAtATime = 64;
constexpr int kLevelsMax = 127;
// Of the standard error of a product of two vectors of levels: what one in a hundred million exceeds.
constexpr float kErrorSigmas = 5.7F;

}  // namespace

NearestCentroid::NearestCentroid(std::span<const float> centroids, std::span<const float> half_squared_norms) {
  const std::size_t count = half_squared_norms.size(), dimension = centroids.size() / std::max<std::size_t>(1, count);
  if (!eight_bit_batches_are_quick() || dimension % 64 != 0) return;
  const std::size_t padded = (count + kCentroidBlock - 1) / kCentroidBlock * kCentroidBlock;
  levels_ = HugeArray<std::uint8_t>(padded * dimension);
  steps_.resize(padded);
  less_.assign(padded, std::numeric_limits<float>::infinity());  // none of those that fill the last block is chosen
  error_of_norm_.resize(padded);
  error_of_step_.resize(padded);
  std::vector<std::int8_t> levels(dimension);
  for (std::size_t c = 0; c < count; ++c) {
    steps_[c] = to_eight_bit(&centroids[c * dimension], dimension, kLevelsMax, levels.data());
    for (std::size_t d = 0; d < dimension; ++d)
      levels_[level_place(c, d, dimension)] = static_cast<std::uint8_t>(levels[d] + 128);
    less_[c] = half_squared_norms[c];
    error_of_norm_[c] = kErrorSigmas / std::sqrt(12.0F) * steps_[c];
    error_of_step_[c] = kErrorSigmas / std::sqrt(12.0F) * std::sqrt(2 * half_squared_norms[c]);
  }
}

/// Some rows in the forms that are compared.
struct NearestCentroid::Scratch {
  std::vector<std::int8_t> levels;
  std::vector<std::int32_t> products;
  std::vector<float> scores;
  std::vector<std::uint32_t> few;
};

// The centroids that may be the nearest; all where numbers are too large to tell.
void NearestCentroid::choose_few(const float* row, const std::int32_t* products, std::int32_t bias, float step,
                                 float* most, std::vector<std::uint32_t>& few) const {
  const std::size_t dimension = levels_.size() / padded();
  const float norm = std::sqrt(inner_product(row, row, dimension));
  const CentroidScores of{steps_.data(), less_.data(), error_of_norm_.data(), error_of_step_.data()};
  const float least = bound_scores(of, products, padded(), bias, step, norm, most);
  few.clear();
  for (std::uint32_t c = 0; c < padded(); ++c)
    if (most[c] >= least) few.push_back(c);
  if (std::isfinite(least) && !few.empty()) return;
  few.clear();
  for (std::uint32_t c = 0; c < padded() && std::isfinite(steps_[c]); ++c)
    if (less_[c] < std::numeric_limits<float>::infinity()) few.push_back(c);
}

void NearestCentroid::find(std::span<const float> centroids, std::span<const float> half_squared_norms,
                           std::span<const float> rows, std::span<std::uint32_t> nearest, std::span<float> best) const {
  const std::size_t count = half_squared_norms.size(), dimension = centroids.size() / count;
  const auto in_floats = [&](std::size_t first, std::size_t n, Scratch& scratch) {
    scratch.scores.resize(n * count);
    inner_products_batch(&rows[first * dimension], n, centroids.data(), count, dimension, scratch.scores.data());
    for (std::size_t i = 0; i < n; ++i) {
      const float* const product = scratch.scores.data() + i * count;
      std::uint32_t at = 0;
      for (std::uint32_t c = 1; c < count; ++c)
        if (product[c] - half_squared_norms[c] > product[at] - half_squared_norms[at]) at = c;
      nearest[first + i] = at;
      best[first + i] = product[at] - half_squared_norms[at];
    }
  };
  const auto in_levels = [&](std::size_t first, std::size_t n, Scratch& scratch) {
    scratch.levels.resize(n * dimension);
    scratch.products.resize(n * padded());
    scratch.scores.resize(padded());
    float steps[kRowsAtATime];
    for (std::size_t i = 0; i < n; ++i)
      steps[i] =
          to_eight_bit(&rows[(first + i) * dimension], dimension, kLevelsMax, scratch.levels.data() + i * dimension);
    eight_bit_products_batch(scratch.levels.data(), n, levels_.data(), padded() / kCentroidBlock, dimension,
                             scratch.products.data());
    for (std::size_t i = 0; i < n; ++i) {
      const float* const row = &rows[(first + i) * dimension];
      const std::int8_t* const levels = scratch.levels.data() + i * dimension;
      const std::int32_t bias = 128 * std::accumulate(levels, levels + dimension, std::int32_t{0});
      choose_few(row, scratch.products.data() + i * padded(), bias, steps[i], scratch.scores.data(), scratch.few);
      float most = -std::numeric_limits<float>::infinity();
      nearest[first + i] = 0;
      for (const std::uint32_t c : scratch.few) {
        const float score = inner_product(row, &centroids[c * dimension], dimension) - half_squared_norms[c];
        if (!(score > most)) continue;
        most = score;
        nearest[first + i] = c;
      }
      best[first + i] = most;
    }
  };
  const std::size_t pieces = (nearest.size() + kRowsAtATime - 1) / kRowsAtATime;
  tbb::parallel_for(tbb::blocked_range<std::size_t>(0, pieces), [&](const auto& range) {
    Scratch scratch;
    for (std::size_t piece = range.begin(); piece < range.end(); ++piece) {
      const std::size_t first = piece * kRowsAtATime, n = std::min(kRowsAtATime, nearest.size() - first);
      if (levels_.empty())
        in_floats(first, n, scratch);
      else
        in_levels(first, n, scratch);
    }
  });
}

}  // namespace mneme::index
