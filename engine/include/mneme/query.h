// Query and what it finds.
#pragma once

#include <optional>
#include <vector>

#include "mneme/filter.h"
#include "mneme/node_view.h"
#include "mneme/read_view.h"

namespace mneme {

struct Query {
  /// The query vector; its length is the dimension of `generation`.
  std::vector<float> vector;
  GenerationId generation{0};
  /// 1 … limits::kNeighboursMax.
  std::size_t k = 10;
  /// 1 = exact. A lower target permits an approximate search that keeps the promise.
  float recall_target = 1.0F;
  Filter filter;
  /// Read as of this view; empty = now, every acknowledged write included.
  std::optional<ReadView> view;
};

/// score: higher is better. cosine in [−1, 1], ip = inner product, l2 = −squared distance.
struct SearchHit {
  NodeView node;
  float score;
};

/// A walk over a space's nodes by row, which is the order in which they were first written.
struct ScanQuery {
  Filter filter;
  RowId first{0};         ///< start here; to go on, the last row seen + 1
  std::size_t limit = 0;  ///< 0 = all
  std::optional<ReadView> view;
};

}  // namespace mneme
