// CentroidCodes: 1-bit codes of many centroids. A query is compared with these, a bit a dimension, and with the few
// centroids themselves whose lists it then comes to.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "huge_array.h"
#include "scan_kernels.h"

namespace mneme::index {

/// Threads: const from any.
class CentroidCodes {
 public:
  /// From so many centroids on. Of 1,367 it pays (docs/performance.md); of fewer, of which a search comes to a large part
  /// and compares those whole anyway, it was not measured.
  static constexpr std::size_t kMin = 1024;

  CentroidCodes() = default;  ///< none
  /// Of centroids, row-major; `dimension` is a multiple of 8.
  CentroidCodes(std::span<const float> centroids, std::size_t dimension);

  bool empty() const { return blocks_.empty(); }
  /// room.scores[i] := about query · centroid i. The standard error is that of rows' codes (code_segment.h), of the
  /// centroid's distance from the mean of all. `made` are the query's tables; room is for all and kSpare more.
  /// @return false where products or their squares overflow; scores then mean nothing
  bool estimate(const float* query, const OneBitQuery& made, const Candidates& room) const;
  /// The standard error of each estimate for a query of length 1.
  std::span<const float> errors() const { return errors_; }
  std::uint64_t bytes_used() const { return blocks_.bytes_used() + (mean_.size() + errors_.size()) * sizeof(float); }

 private:
  std::size_t count_ = 0;
  std::vector<float> mean_, errors_;
  HugeArray<std::byte> blocks_;  // as those of a list, residuals from mean_
};

}  // namespace mneme::index
