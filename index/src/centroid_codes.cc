#include "centroid_codes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "mneme/index/kernels.h"

namespace mneme::index {

CentroidCodes::CentroidCodes(std::span<const float> centroids, std::size_t dimension)
    : count_(centroids.size() / dimension), mean_(dimension) {
  std::vector<double> sums(dimension);
  for (std::size_t i = 0; i < centroids.size(); ++i) sums[i % dimension] += centroids[i];
  for (std::size_t d = 0; d < dimension; ++d)
    mean_[d] = static_cast<float>(sums[d] / static_cast<double>(std::max<std::size_t>(1, count_)));

  const std::size_t bytes = dimension / 8, padded = (count_ + kCodeRows - 1) / kCodeRows * kCodeRows;
  blocks_ = HugeArray<std::byte>(padded * row_bytes(bytes, false));
  for (std::size_t i = 0; i < count_; ++i) {
    const std::size_t first = i / kBlockRows * kBlockRows, width = std::min(kBlockRows, padded - first);
    std::byte* const block = blocks_.data() + first * row_bytes(bytes, false);
    const float* const centroid = &centroids[i * dimension];
    double sizes = 0, squares = 0;
    for (std::size_t d = 0; d < dimension; ++d) {
      const float residual = centroid[d] - mean_[d];
      if (residual >= 0) block[d / 8 * width + lane_of(i - first, width)] |= std::byte{1} << (d % 8);
      sizes += std::abs(residual);
      squares += static_cast<double>(residual) * residual;
    }
    reinterpret_cast<float*>(block + bytes * width)[i - first] = sizes > 0 ? static_cast<float>(squares / sizes) : 0;
  }
}

bool CentroidCodes::estimate(const float* query, const OneBitQuery& made, const Candidates& room) const {
  const float base = inner_product(query, mean_.data(), mean_.size());
  const OneBitList all{blocks_.data(), count_, 0, base};
  return scan_one_bit(made, all, -std::numeric_limits<float>::infinity(), room, 0) == count_;
}

}  // namespace mneme::index
