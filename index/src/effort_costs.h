// EffortCosts: what searches at an effort would cost, told from exploring a part of the queries.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "exploration.h"

namespace mneme::index {

/// For one k. Refers to what it was told of. Threads: any once all is added.
class EffortCosts {
 public:
  void add(const Explored& query, std::span<const ListRows> lists);
  /// Of all together, in 1-bit estimates; the effort has these levels of keep_sigmas and rest_sigmas. Where centroids are
  /// met by their codes, lists that a search comes to and passes by count as well.
  double of(const Effort& effort, std::size_t keep_level, std::size_t rest_level) const;

 private:
  struct Query {
    const Explored* explored;
    std::vector<std::uint32_t> estimated;  // by level of rest_sigmas and rank: in the lists up to this one
  };
  std::vector<Query> queries_;
};

}  // namespace mneme::index
