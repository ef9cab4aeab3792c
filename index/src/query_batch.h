// QueryBatch: what many queries of one search share: they are rotated, compared with the centroids, and put in the order
// in which they probe the same lists, which then are in the cache.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "code_query.h"
#include "code_segment.h"

namespace mneme::index {

class QueryBatch {
 public:
  /// Many queries and few centroids: with many, one query at a time by their codes is quicker (docs/performance.md).
  static bool is_worth_it(const Codebook& codebook, std::size_t queries) {
    return queries >= kMin && codebook.clusters.codes().empty();
  }
  /// Queries that one batch of an index of so many lists holds: bounded memory.
  static std::size_t queries_max(const Codebook& codebook);

  /// `queries` is n × rotation.dimension(), row-major, and is only read here. Uses oneTBB if `parallel`.
  QueryBatch(const Codebook& codebook, std::span<const float> queries, bool parallel);

  /// Numbers of queries, like beside like.
  std::span<const std::uint32_t> order() const { return order_; }
  RotatedQuery rotated(std::size_t query) const {
    return {rotated_.data() + query * size_, products_.data() + query * lists_};
  }

 private:
  static constexpr std::size_t kMin = 16;
  std::size_t size_, lists_;
  std::vector<float> rotated_, products_;
  std::vector<std::uint32_t> order_;
};

}  // namespace mneme::index
