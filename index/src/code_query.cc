#include "code_query.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mneme::index {

void CodeQuery::prepare(const Codebook& codebook, const float* query, double squared_norm) {
  const std::size_t size = codebook.rotation.size();
  rotated_.resize(size);
  scratch_.resize(size);
  codebook.rotation.apply(query, rotated_.data(), scratch_.data());
  const double norm = std::sqrt(squared_norm);
  double factor = 1;
  if (codebook.metric == Metric::Cosine) factor = norm > 0 ? 1 / norm : 0;
  if (codebook.metric == Metric::SquaredL2) factor = 2;  // −‖q − x‖² = 2q·x − ‖x‖² − ‖q‖²
  if (factor != 1)
    for (float& value : rotated_) value *= static_cast<float>(factor);
  norm_ = static_cast<float>(norm * factor);
  bases_.resize(codebook.clusters.count());
  codebook.clusters.products(rotated_.data(), bases_.data());
  if (codebook.metric == Metric::SquaredL2)
    for (std::size_t i = 0; i < bases_.size(); ++i)
      bases_[i] -= 2 * codebook.clusters.half_squared_norm(i) + static_cast<float>(squared_norm);
  for (float& base : bases_)
    if (!std::isfinite(base)) base = -std::numeric_limits<float>::max();
  make_planes();
  one_bit_.with_offsets = codebook.metric == Metric::SquaredL2;
  make_eight_bit();
}

void CodeQuery::make_planes() {
  const std::size_t size = rotated_.size();
  const auto [least, most] = std::minmax_element(rotated_.begin(), rotated_.end());
  const float lowest = *least, step = (*most - *least) / 15;
  const float inverse = step > 0 ? 1 / step : 0;
  planes_.assign(size / 64 * 4, 0);
  std::uint32_t sum = 0;
  for (std::size_t word = 0; word < size / 64; ++word) {
    std::uint64_t plane[4] = {};
    for (std::size_t bit = 0; bit < 64; ++bit) {
      const auto level = static_cast<std::uint32_t>((rotated_[word * 64 + bit] - lowest) * inverse + 0.5F);
      sum += level;
      for (std::size_t p = 0; p < 4; ++p) plane[p] |= static_cast<std::uint64_t>(level >> p & 1) << bit;
    }
    std::copy_n(plane, 4, planes_.begin() + static_cast<std::ptrdiff_t>(word * 4));
  }
  one_bit_ = {planes_.data(), size / 64, step, lowest, static_cast<float>(sum), false};
}

void CodeQuery::make_eight_bit() {
  float largest = 0;
  for (const float value : rotated_) largest = std::max(largest, std::abs(value));
  eight_bit_scale_ = largest / 127;
  const float inverse = largest > 0 ? 127 / largest : 0;
  eight_bit_.resize(rotated_.size());
  sum_of_eight_bit_ = 0;
  for (std::size_t d = 0; d < rotated_.size(); ++d) {
    eight_bit_[d] = static_cast<std::int8_t>(std::lrint(rotated_[d] * inverse));
    sum_of_eight_bit_ += eight_bit_[d];
  }
}

void CodeQuery::score_eight_bit(const CodeSegment& segment, std::span<Candidate> rows) {
  products_.resize(rows.size());
  eight_bit_products(eight_bit_.data(), segment.eight_bit(), rotated_.size(), rows, products_.data());
  const std::int32_t bias = 128 * sum_of_eight_bit_;  // codes are stored 128 too high
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::uint32_t at = rows[i].position;
    rows[i].score = rows[i].base + segment.scale(at) * eight_bit_scale_ * static_cast<float>(products_[i] - bias) +
                    segment.offset(at);
  }
}

}  // namespace mneme::index
