#include "diversity.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "mneme/index/kernels.h"

namespace mneme {
namespace {

// One that is not chosen yet.
struct Waiting {
  std::size_t position;
  const float* vector;
  double inverse_norm;                                        // cosine only; 0 of the zero vector
  double closest = -std::numeric_limits<double>::infinity();  // the greatest similarity to a chosen one
};

// In double: no overflow, and equal vectors tie whatever the processor.
double similarity(const Waiting& a, const Waiting& b, std::size_t dimension, Metric metric) {
  if (metric == Metric::SquaredL2) return -index::squared_l2_f64(a.vector, b.vector, dimension);
  const double product = index::inner_product_f64(a.vector, b.vector, dimension);
  return metric == Metric::Cosine ? std::clamp(product * a.inverse_norm * b.inverse_norm, -1.0, 1.0) : product;
}

double inverse_norm(const float* vector, std::size_t dimension, Metric metric) {
  if (metric != Metric::Cosine) return 1;
  const double squared = index::inner_product_f64(vector, vector, dimension);
  return squared == 0 ? 0 : 1 / std::sqrt(squared);
}

}  // namespace

std::vector<std::size_t> choose_diverse(std::span<const DiversityCandidate> candidates, std::size_t k, double diversity,
                                        std::size_t dimension, Metric metric) {
  std::vector<Waiting> waiting;
  waiting.reserve(candidates.size());
  for (std::size_t i = 0; i < candidates.size(); ++i)
    waiting.push_back({i, candidates[i].vector, inverse_norm(candidates[i].vector, dimension, metric)});
  std::vector<std::size_t> chosen;
  const auto value_of = [&](const Waiting& one) {
    const double score = candidates[one.position].score;
    return chosen.empty() ? score : (1 - diversity) * score - diversity * one.closest;
  };
  while (chosen.size() < k && !waiting.empty()) {
    std::size_t best = 0;
    double best_value = value_of(waiting[0]);
    for (std::size_t i = 1; i < waiting.size(); ++i) {
      const double value = value_of(waiting[i]);
      const bool lower_row = candidates[waiting[i].position].row < candidates[waiting[best].position].row;
      if (value < best_value || (value == best_value && !lower_row)) continue;
      best = i;
      best_value = value;
    }
    const Waiting taken = waiting[best];
    waiting[best] = waiting.back();
    waiting.pop_back();
    chosen.push_back(taken.position);
    if (chosen.size() == k) break;
    for (Waiting& one : waiting) one.closest = std::max(one.closest, similarity(taken, one, dimension, metric));
  }
  return chosen;
}

}  // namespace mneme
