// CodeQuery: one query in the forms that the codes are compared with. Made once per query, in memory that is reused.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "code_kernels.h"
#include "code_segment.h"

namespace mneme::index {

/// What a batch has found out about one of its queries. Null: nothing.
struct RotatedQuery {
  const float* values = nullptr;    ///< codebook.rotation.size() of them
  const float* products = nullptr;  ///< with each centroid
};

class CodeQuery {
 public:
  /// Rotates and quantises. The query's norm is finite; `squared_norm` is its square. Bases of a query of length 1 may
  /// have a standard error of `base_error`.
  void prepare(const Codebook& codebook, const float* query, double squared_norm, const RotatedQuery& known,
               float base_error);

  /// Of the prepared vector: 1 for cosine, the query's for inner product, twice the query's for squared L2. Errors of
  /// codes are in units of it.
  float norm() const { return norm_; }
  const OneBitQuery& one_bit() const { return one_bit_; }
  /// What the query scores with the centroid of each list, or about that where there are many (centroid_codes.h).
  std::span<const float> near_bases() const { return bases_; }
  /// How many standard errors near_bases() may be too low.
  float slack() const { return are_estimates_ ? kSlack : 0; }
  /// What it scores with the centroid of this list. Cost: a product at first, where there are many.
  float base(std::size_t list) {
    if (!are_estimates_) return bases_[list];
    return std::isnan(exact_[list]) ? find_base(list) : exact_[list];
  }
  /// Brings nearer what base(list) will read, for a list that it will be asked of soon.
  void fetch_base(std::size_t list) const;
  /// Scores of rows by their 8-bit codes, in place of the estimates.
  void score_eight_bit(const CodeSegment& segment, const Candidates& rows, std::size_t count);
  /// Its levels, rotation.size() of them, and what codes, stored 128 too high, add to a product with them.
  std::span<const std::int8_t> eight_bit() const { return eight_bit_; }
  std::int32_t eight_bit_bias() const { return 128 * sum_of_eight_bit_; }
  /// Largest level of the 8-bit query in units of its values: half of it is what rounding may leave.
  float eight_bit_step() const { return eight_bit_scale_; }

 private:
  // Of estimates, whose errors are about as large as a random residual's product: probing is in units of the latter.
  static constexpr float kSlack = 2;
  void make_bases(const Codebook& codebook, const RotatedQuery& known, float base_error);
  bool estimate_bases(const Clusters& clusters);
  bool make_sixteen_bit(const Clusters& clusters, float base_error);
  void find_products(const Clusters& clusters, std::size_t first, std::size_t count, float* out);
  float base_of(float product, std::size_t list) const;
  float find_base(std::size_t list);
  void make_eight_bit();

  const Codebook* codebook_ = nullptr;  // of the prepared query
  std::vector<float> rotated_, scratch_, bases_;
  std::vector<float> exact_;          // by list, where bases_ are estimates; no number: not found yet
  std::vector<std::uint32_t> found_;  // of exact_
  bool are_estimates_ = false, is_sixteen_bit_ = false;
  float sixteen_bit_scale_ = 0;
  std::vector<float> room_;
  std::vector<std::uint32_t> positions_;
  std::vector<std::int8_t> eight_bit_;
  std::vector<std::int16_t> sixteen_bit_;
  std::vector<std::int32_t> products_;
  OneBitQuery one_bit_;
  double squared_norm_ = 0, factor_ = 1;  // the query's own, and of what was prepared to it
  float norm_ = 0, largest_ = 0, eight_bit_scale_ = 0;
  std::int32_t sum_of_eight_bit_ = 0;
};

}  // namespace mneme::index
