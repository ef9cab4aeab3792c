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
  /// Instead of `vector`: this node's own vector of `generation`, as it is at the time of the search. The node itself is
  /// left out of what is found.
  std::optional<NodeId> like;
  GenerationId generation{0};
  /// 1 … limits::kNeighboursMax, one less with `like`.
  std::size_t k = 10;
  /// 1 = exact. A lower target permits an approximate search that keeps the promise.
  float recall_target = 1.0F;
  Filter filter;
  /// 0 … 1. 0 = the k nearest. Above, k are chosen one by one from the max(4k, k + 64) nearest (at most
  /// limits::kNeighboursMax): the nearest first, then always the one with the largest
  ///     (1 − diversity) · score − diversity · (its greatest similarity to one that is chosen),
  /// ties by row. Similarity is measured as scores are: cosine, inner product or −squared distance between the two
  /// nodes. Hits are in the order of the choice and keep their scores.
  /// Cost:   besides a search for so many, k × candidates × dimension multiply-adds.
  /// Source: Carbonell and Goldstein, The Use of MMR, Diversity-Based Reranking, SIGIR 1998, with λ = 1 − diversity.
  float diversity = 0.0F;
  /// Read as of this view; empty = now, every acknowledged write included.
  std::optional<ReadView> view;

  /// Search by more models at once, so that a space whose nodes are on their way from one model to the next is found
  /// whole: a node needs a vector of one of them. Scores of different models do not compare, ranks do. Each model gives
  /// its list of the max(4k, 64) nearest (at most limits::kNeighboursMax), all as of one LSN and all filtered, and a
  /// node's score is
  ///     the sum over the lists it is in of  weight / (60 + its rank there, from 1)
  /// which lies above 0 and at most at (sum of the weights) / 61. A node with vectors of two models is favoured so over
  /// one with either; nodes that are written with the new vector alone compete on equal terms with those not yet done.
  /// Best first, ties by row, each node once. Within a list
  /// equal scores rank by row. With `like` the vectors are that node's own, of those of the models that it has. A
  /// recall_target holds for each list. `diversity` does not go with this: likeness does not compare either.
  /// Cost:   one search per model.
  /// Source: Cormack, Clarke, Büttcher, Reciprocal Rank Fusion, SIGIR 2009; weights are ours.
  struct Also {
    GenerationId generation;    ///< another than those before it
    std::vector<float> vector;  ///< empty with `like` and in nearest_batch
    float weight = 1.0F;        ///< above 0 to 1,000
  };
  std::vector<Also> also;
  /// Of `vector` beside those of `also`.
  float weight = 1.0F;
};

/// score: higher is better. cosine in [−1, 1], ip = inner product, l2 = −squared distance; with Query::also see there.
struct SearchHit {
  NodeView node;
  float score;
};

/// A hit without its node. score: as in SearchHit.
struct Neighbour {
  NodeId id;
  RowId row;
  float score;

  friend bool operator==(const Neighbour&, const Neighbour&) = default;
};

/// A walk over a space's nodes by row, which is the order in which they were first written.
struct ScanQuery {
  Filter filter;
  RowId first{0};         ///< start here; to go on, the last row seen + 1
  std::size_t limit = 0;  ///< 0 = all
  std::optional<ReadView> view;
};

}  // namespace mneme
