#include "code_query.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "mneme/index/kernels.h"

namespace mneme::index {

void CodeQuery::prepare(const Codebook& codebook, const float* query, double squared_norm, const RotatedQuery& known,
                        float base_error) {
  const std::size_t size = codebook.rotation.size();
  codebook_ = &codebook;
  squared_norm_ = squared_norm;
  rotated_.resize(size);
  scratch_.resize(size);
  if (known.values != nullptr)
    std::copy_n(known.values, size, rotated_.begin());
  else
    codebook.rotation.apply(query, rotated_.data(), scratch_.data());
  const double norm = std::sqrt(squared_norm);
  factor_ = 1;
  if (codebook.metric == Metric::Cosine) factor_ = norm > 0 ? 1 / norm : 0;
  if (codebook.metric == Metric::SquaredL2) factor_ = 2;  // −‖q − x‖² = 2q·x − ‖x‖² − ‖q‖²
  if (factor_ != 1)
    for (float& value : rotated_) value *= static_cast<float>(factor_);
  norm_ = static_cast<float>(norm * factor_);
  largest_ = largest_of(rotated_.data(), size);
  make_tables(rotated_.data(), rotated_.size() / 8, one_bit_);
  make_bases(codebook, known, base_error);
  one_bit_.with_offsets = codebook.metric == Metric::SquaredL2;
  make_eight_bit();
}

void CodeQuery::make_bases(const Codebook& codebook, const RotatedQuery& known, float base_error) {
  const Clusters& clusters = codebook.clusters;
  bases_.resize(clusters.count());
  are_estimates_ = false;
  if (known.products != nullptr) {
    for (std::size_t i = 0; i < bases_.size(); ++i) bases_[i] = known.products[i] * static_cast<float>(factor_);
  } else {
    is_sixteen_bit_ = make_sixteen_bit(clusters, base_error);
    are_estimates_ = !clusters.codes().empty() && estimate_bases(clusters);
    if (!are_estimates_) find_products(clusters, 0, clusters.count(), bases_.data());
  }
  // Estimates are numbers, products may overflow.
  if (!are_estimates_ || codebook.metric == Metric::SquaredL2)
    for (std::size_t i = 0; i < bases_.size(); ++i) bases_[i] = base_of(bases_[i], i);
  for (const std::uint32_t list : found_) exact_[list] = std::numeric_limits<float>::quiet_NaN();
  found_.clear();
  if (are_estimates_ && exact_.size() != bases_.size())
    exact_.assign(bases_.size(), std::numeric_limits<float>::quiet_NaN());
}

bool CodeQuery::estimate_bases(const Clusters& clusters) {
  const std::size_t room = clusters.count() + Candidates::kSpare;
  bases_.resize(room);
  room_.resize(room);
  positions_.resize(room);
  one_bit_.with_offsets = false;
  const bool are_numbers =
      clusters.codes().estimate(rotated_.data(), one_bit_, {bases_.data(), room_.data(), positions_.data()});
  bases_.resize(clusters.count());
  return are_numbers;
}

// Where what that rounds away is small beside what codes of rows do. Not where the rows of a list lie close together and
// far from the origin.
bool CodeQuery::make_sixteen_bit(const Clusters& clusters, float base_error) {
  if (!(clusters.level_error(largest_ / norm_) <= base_error)) return false;  // also where it is no number
  sixteen_bit_scale_ = largest_ / static_cast<float>(clusters.levels_max());
  const float inverse = sixteen_bit_scale_ > 0 ? 1 / sixteen_bit_scale_ : 0;
  sixteen_bit_.resize(rotated_.size());
  to_sixteen_bit(rotated_.data(), rotated_.size(), inverse, sixteen_bit_.data());
  return true;
}

// With `count` centroids from `first` on.
void CodeQuery::find_products(const Clusters& clusters, std::size_t first, std::size_t count, float* out) {
  const std::size_t size = rotated_.size();
  if (!is_sixteen_bit_) return inner_products(rotated_.data(), clusters.centroid(first), count, size, out);
  products_.resize(std::max(products_.size(), count));
  sixteen_bit_products(sixteen_bit_.data(), clusters.levels() + first * size, count, size, products_.data());
  for (std::size_t i = 0; i < count; ++i)
    out[i] = sixteen_bit_scale_ * clusters.level_sizes()[first + i] * static_cast<float>(products_[i]);
}

// Of a product of the prepared query with the centroid.
float CodeQuery::base_of(float product, std::size_t list) const {
  if (codebook_->metric == Metric::SquaredL2)
    product -= 2 * codebook_->clusters.half_squared_norm(list) + static_cast<float>(squared_norm_);
  return std::isfinite(product) ? product : -std::numeric_limits<float>::max();
}

void CodeQuery::fetch_base(std::size_t list) const {
  if (!are_estimates_ || !is_sixteen_bit_ || !std::isnan(exact_[list])) return;
  const std::size_t size = rotated_.size();
  const std::int16_t* const levels = codebook_->clusters.levels() + list * size;
  for (std::size_t d = 0; d < size; d += kCacheLine / sizeof *levels) __builtin_prefetch(levels + d);
}

float CodeQuery::find_base(std::size_t list) {
  float product = 0;
  find_products(codebook_->clusters, list, 1, &product);
  found_.push_back(static_cast<std::uint32_t>(list));
  return exact_[list] = base_of(product, list);
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
