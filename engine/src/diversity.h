// A diverse choice among candidates: maximal marginal relevance.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "mneme/base/ids.h"

namespace mneme {

struct DiversityCandidate {
  RowId row;
  float score;          ///< by the query; higher is better
  const float* vector;  ///< `dimension` floats
};

/// Positions of up to `k` candidates in the order in which they are chosen. The first is the best by score. Each next
/// one maximises (1 − diversity) · score − diversity · s, where s is its greatest similarity to one chosen before, in
/// the same measure as scores: cosine, inner product or −squared distance. Ties go to the lower row. Pure.
///
/// @param diversity  0 (by score alone) to 1
/// Cost:   chosen × candidates × dimension multiply-adds.
/// Source: Carbonell and Goldstein, The Use of MMR, Diversity-Based Reranking, SIGIR 1998, with λ = 1 − diversity.
std::vector<std::size_t> choose_diverse(std::span<const DiversityCandidate> candidates, std::size_t k, double diversity,
                                        std::size_t dimension, Metric metric);

}  // namespace mneme
