#include "centroid_codes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "mneme/index/kernels.h"

namespace mneme::index {

CentroidCodes::CentroidCodes(std::span<const float> centroids, std::size_t dimension)
    : count_(centroids.size() / dimension), mean_(dimension), errors_(count_) {
  std::vector<double> sums(dimension);
  for (std::size_t i = 0; i < centroids.size(); ++i) sums[i % dimension] += centroids[i];
  for (std::size_t d = 0; d < dimension; ++d)
    mean_[d] = static_cast<float>(sums[d] / static_cast<double>(std::max<std::size_t>(1, count_)));

  const std::size_t bytes = dimension / 8, row = row_bytes(bytes, false);
  blocks_ = HugeArray<std::byte>(padded_rows(count_) * row);
  std::vector<float> residual(dimension);
  for (std::size_t i = 0; i < count_; ++i) {
    for (std::size_t d = 0; d < dimension; ++d) residual[d] = centroids[i * dimension + d] - mean_[d];
    const PlaceInList place = place_in_list(i, count_);
    const ResidualSums residual_sums = put_one_bit(residual.data(), bytes, blocks_.data() + place.first * row, place);
    errors_[i] = static_cast<float>(one_bit_error(residual_sums, dimension));
  }
}

bool CentroidCodes::estimate(const float* query, const OneBitQuery& made, const Candidates& room) const {
  const float base = inner_product(query, mean_.data(), mean_.size());
  const OneBitList all{blocks_.data(), count_, 0, base};
  Spread spread;
  const std::size_t found = scan_one_bit(made, all, -std::numeric_limits<float>::infinity(), room, 0, &spread);
  return found == count_ && std::isfinite(spread.squares);
}

}  // namespace mneme::index
