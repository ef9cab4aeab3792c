#include "code_query.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace mneme::index {

void CodeQuery::prepare(const Codebook& codebook, const float* query, double squared_norm, const RotatedQuery& known,
                        float base_error) {
  const std::size_t size = codebook.rotation.size();
  rotated_.resize(size);
  scratch_.resize(size);
  if (known.values != nullptr)
    std::copy_n(known.values, size, rotated_.begin());
  else
    codebook.rotation.apply(query, rotated_.data(), scratch_.data());
  const double norm = std::sqrt(squared_norm);
  double factor = 1;
  if (codebook.metric == Metric::Cosine) factor = norm > 0 ? 1 / norm : 0;
  if (codebook.metric == Metric::SquaredL2) factor = 2;  // −‖q − x‖² = 2q·x − ‖x‖² − ‖q‖²
  if (factor != 1)
    for (float& value : rotated_) value *= static_cast<float>(factor);
  norm_ = static_cast<float>(norm * factor);
  largest_ = largest_of(rotated_.data(), size);
  if (known.products != nullptr) {
    bases_.assign(known.products, known.products + codebook.clusters.count());
    for (float& base : bases_) base *= static_cast<float>(factor);
  } else {
    make_bases(codebook.clusters, base_error);
  }
  if (codebook.metric == Metric::SquaredL2)
    for (std::size_t i = 0; i < bases_.size(); ++i)
      bases_[i] -= 2 * codebook.clusters.half_squared_norm(i) + static_cast<float>(squared_norm);
  for (float& base : bases_)
    if (!std::isfinite(base)) base = -std::numeric_limits<float>::max();
  make_tables(rotated_.data(), rotated_.size() / 8, one_bit_);
  one_bit_.with_offsets = codebook.metric == Metric::SquaredL2;
  make_eight_bit();
}

// In integers, where what that rounds away is small beside what codes of rows do. Not where the rows of a list lie close
// together and far from the origin.
void CodeQuery::make_bases(const Clusters& clusters, float base_error) {
  bases_.resize(clusters.count());
  if (!(clusters.level_error(largest_ / norm_) <= base_error))  // also where it is no number
    return clusters.products(rotated_.data(), bases_.data());
  const float level_size = largest_ / static_cast<float>(clusters.levels_max());
  const float inverse = level_size > 0 ? 1 / level_size : 0;
  sixteen_bit_.resize(rotated_.size());
  to_sixteen_bit(rotated_.data(), rotated_.size(), inverse, sixteen_bit_.data());
  products_.resize(clusters.count());
  sixteen_bit_products(sixteen_bit_.data(), clusters.levels(), clusters.count(), rotated_.size(), products_.data());
  const std::span<const float> sizes = clusters.level_sizes();
  for (std::size_t i = 0; i < bases_.size(); ++i) bases_[i] = level_size * sizes[i] * static_cast<float>(products_[i]);
}

void CodeQuery::make_eight_bit() {
  eight_bit_.resize(rotated_.size());
  eight_bit_scale_ = to_eight_bit(rotated_.data(), rotated_.size(), eight_bit_levels_max(), eight_bit_.data());
  sum_of_eight_bit_ = std::accumulate(eight_bit_.begin(), eight_bit_.end(), std::int32_t{0});
}

void CodeQuery::score_eight_bit(const CodeSegment& segment, const Candidates& rows, std::size_t count) {
  products_.resize(count);
  eight_bit_products(eight_bit_.data(), segment.eight_bit(), rotated_.size(), {rows.positions, count},
                     products_.data());
  const std::int32_t bias = eight_bit_bias();
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t at = rows.positions[i];
    rows.scores[i] = rows.bases[i] + segment.scale(at) * eight_bit_scale_ * static_cast<float>(products_[i] - bias) +
                     segment.offset(at);
  }
}

}  // namespace mneme::index
