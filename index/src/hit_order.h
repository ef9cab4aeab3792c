// The best of many hits in the order of results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "mneme/index/vector_index.h"

namespace mneme::index {

/// Its memory is kept from call to call. Threads: one at a time.
class HitOrder {
 public:
  /// Leaves the `k` best of `hits`, best first (better(), top_k.h). No score is −0 or no number.
  /// Cost: O(hits), by the bytes of the scores where there are many.
  void keep_best(std::vector<Hit>& hits, std::size_t k);

 private:
  void sort_many(std::vector<Hit>& hits);

  std::vector<std::uint64_t> keys_, other_;
  std::vector<Hit> sorted_;
};

}  // namespace mneme::index
