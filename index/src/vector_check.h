// The check that every vector passes on its way into an index, as row or as query.
#pragma once

#include <cmath>
#include <span>
#include <string>

#include "mneme/base/result.h"
#include "mneme/index/kernels.h"

namespace mneme::index {

/// Σ v², in double. One sum finds NaN and ∞, for squares of finite floats cannot overflow a double.
/// @error InvalidArgument  another dimension, or the first value that is not finite
inline Result<double> checked_squared_norm(std::span<const float> vector, std::size_t dimension) {
  if (vector.size() != dimension)
    return {Code::InvalidArgument, "vector has " + std::to_string(vector.size()) + " values, the index has dimension " +
                                       std::to_string(dimension)};
  const double sum = inner_product_f64(vector.data(), vector.data(), dimension);
  if (std::isfinite(sum)) return sum;
  std::size_t at = 0;
  while (at + 1 < dimension && std::isfinite(vector[at])) ++at;
  return {Code::InvalidArgument, "value " + std::to_string(at) + " of " + std::to_string(dimension) + " is " +
                                     std::to_string(vector[at]) + ", not finite"};
}

}  // namespace mneme::index
