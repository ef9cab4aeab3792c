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
// Of that of an estimate by codes, where the second nearest would do.
constexpr float kCodeSigmas = 3;
constexpr float kNothing = -std::numeric_limits<float>::infinity();

}  // namespace

NearestCentroid::NearestCentroid(std::span<const float> centroids, std::span<const float> half_squared_norms) {
  const std::size_t count = half_squared_norms.size(), dimension = centroids.size() / std::max<std::size_t>(1, count);
  if (count >= CentroidCodes::kMin && dimension % 8 == 0) codes_ = CentroidCodes(centroids, dimension);
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

/// Rows in the forms that are compared.
struct NearestCentroid::Scratch {
  std::vector<std::int8_t> levels;
  std::vector<std::int32_t> products;
  std::vector<float> scores, bases;
  std::vector<std::uint32_t> few;
  OneBitQuery one_bit;
};

float NearestCentroid::Centroids::score(const float* row, std::size_t centroid) const {
  const std::size_t size = dimension();
  return inner_product(row, &values[centroid * size], size) - half_squared_norms[centroid];
}

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

void NearestCentroid::take_nearer(const Centroids& centroids, const Rows& rows, std::size_t i, std::uint32_t centroid) {
  const float score = centroids.score(&rows.values[i * centroids.dimension()], centroid);
  if (!(score > rows.best[i])) return;
  rows.best[i] = score;
  rows.nearest[i] = centroid;
}

void NearestCentroid::by_codes(const Centroids& centroids, const Rows& rows, Scratch& scratch) const {
  const std::size_t dimension = centroids.dimension(), room = centroids.count() + Candidates::kSpare;
  scratch.scores.resize(room);
  scratch.bases.resize(room);
  scratch.few.resize(room);
  for (std::size_t i = 0; i < rows.nearest.size(); ++i) {
    const float* const row = &rows.values[i * dimension];
    make_tables(row, dimension / 8, scratch.one_bit);
    float* const most = scratch.scores.data();
    if (!codes_.estimate(row, scratch.one_bit, {most, scratch.bases.data(), scratch.few.data()})) {
      by_floats(centroids, {{row, dimension}, rows.nearest.subspan(i, 1), rows.best.subspan(i, 1)}, scratch);
      continue;
    }
    const float sigmas = kCodeSigmas * std::sqrt(inner_product(row, row, dimension));
    for (std::size_t c = 0; c < centroids.count(); ++c)
      most[c] += sigmas * codes_.errors()[c] - centroids.half_squared_norms[c];
    const auto likely = static_cast<std::uint32_t>(std::max_element(most, most + centroids.count()) - most);
    rows.nearest[i] = likely;
    rows.best[i] = centroids.score(row, likely);
    for (std::uint32_t c = 0; c < centroids.count(); ++c)
      if (most[c] > rows.best[i] && c != likely) take_nearer(centroids, rows, i, c);
  }
}

void NearestCentroid::by_levels(const Centroids& centroids, const Rows& rows, Scratch& scratch) const {
  const std::size_t dimension = centroids.dimension(), n = rows.nearest.size();
  scratch.levels.resize(n * dimension);
  scratch.products.resize(n * padded());
  scratch.scores.resize(padded());
  float steps[kRowsAtATime];
  for (std::size_t i = 0; i < n; ++i)
    steps[i] = to_eight_bit(&rows.values[i * dimension], dimension, kLevelsMax, scratch.levels.data() + i * dimension);
  eight_bit_products_batch(scratch.levels.data(), n, levels_.data(), padded() / kCentroidBlock, dimension,
                           scratch.products.data());
  for (std::size_t i = 0; i < n; ++i) {
    const float* const row = &rows.values[i * dimension];
    const std::int8_t* const levels = scratch.levels.data() + i * dimension;
    const std::int32_t bias = 128 * std::accumulate(levels, levels + dimension, std::int32_t{0});
    choose_few(row, scratch.products.data() + i * padded(), bias, steps[i], scratch.scores.data(), scratch.few);
    rows.best[i] = kNothing;
    rows.nearest[i] = 0;
    for (const std::uint32_t c : scratch.few) take_nearer(centroids, rows, i, c);
  }
}

void NearestCentroid::by_floats(const Centroids& centroids, const Rows& rows, Scratch& scratch) {
  const std::size_t count = centroids.count(), n = rows.nearest.size();
  scratch.scores.resize(std::max(scratch.scores.size(), n * count));
  inner_products_batch(rows.values.data(), n, centroids.values.data(), count, centroids.dimension(),
                       scratch.scores.data());
  for (std::size_t i = 0; i < n; ++i) {
    const float* const product = scratch.scores.data() + i * count;
    std::uint32_t at = 0;
    for (std::uint32_t c = 1; c < count; ++c)
      if (product[c] - centroids.half_squared_norms[c] > product[at] - centroids.half_squared_norms[at]) at = c;
    rows.nearest[i] = at;
    rows.best[i] = product[at] - centroids.half_squared_norms[at];
  }
}

void NearestCentroid::find(std::span<const float> centroids, std::span<const float> half_squared_norms,
                           std::span<const float> rows, std::span<std::uint32_t> nearest, std::span<float> best) const {
  const Centroids all{centroids, half_squared_norms};
  const std::size_t dimension = all.dimension();
  const std::size_t pieces = (nearest.size() + kRowsAtATime - 1) / kRowsAtATime;
  tbb::parallel_for(tbb::blocked_range<std::size_t>(0, pieces), [&](const auto& range) {
    Scratch scratch;
    for (std::size_t piece = range.begin(); piece < range.end(); ++piece) {
      const std::size_t first = piece * kRowsAtATime, n = std::min(kRowsAtATime, nearest.size() - first);
      const Rows some{rows.subspan(first * dimension, n * dimension), nearest.subspan(first, n),
                      best.subspan(first, n)};
      if (!levels_.empty())
        by_levels(all, some, scratch);
      else if (!codes_.empty())
        by_codes(all, some, scratch);
      else
        by_floats(all, some, scratch);
    }
  });
}

}  // namespace mneme::index
