#include "clusters.h"

#include <faiss/Clustering.h>
#include <faiss/IndexFlat.h>
#include <omp.h>
#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <new>
#include <numeric>
#include <string>
#include <utility>

#include "mneme/index/kernels.h"

namespace mneme::index {
namespace {

constexpr int kIterations = 6;  // later ones move rows between neighbours that are probed together anyway

std::vector<float> half_squared_norms_of(const std::vector<float>& centroids, std::size_t dimension) {
  std::vector<float> halves(centroids.size() / dimension);
  for (std::size_t i = 0; i < halves.size(); ++i)
    halves[i] = inner_product(&centroids[i * dimension], &centroids[i * dimension], dimension) / 2;
  return halves;
}

// So large that no product of two vectors of such levels reaches 2^31.
int levels_for(std::size_t dimension) {
  return static_cast<int>(std::min(32767.0, std::sqrt(2147483647.0 / static_cast<double>(dimension))));
}

// Puts like centroids beside each other: halves what is left by which of two far centroids each is nearer to, and again.
void order_by_likeness(const std::vector<float>& centroids, std::size_t dimension, std::span<std::uint32_t> order) {
  constexpr std::size_t kFew = 2;
  if (order.size() <= kFew) return;
  const auto at = [&](std::uint32_t i) { return &centroids[i * dimension]; };
  const auto furthest_from = [&](std::uint32_t i) {
    return *std::max_element(order.begin(), order.end(), [&](std::uint32_t x, std::uint32_t y) {
      return squared_l2(at(x), at(i), dimension) < squared_l2(at(y), at(i), dimension);
    });
  };
  const std::uint32_t one = furthest_from(order.front()), other = furthest_from(one);
  std::vector<std::pair<float, std::uint32_t>> sorted;
  for (const std::uint32_t i : order)
    sorted.emplace_back(squared_l2(at(i), at(one), dimension) - squared_l2(at(i), at(other), dimension), i);
  std::sort(sorted.begin(), sorted.end());
  std::transform(sorted.begin(), sorted.end(), order.begin(), [](const auto& entry) { return entry.second; });
  order_by_likeness(centroids, dimension, order.first(order.size() / 2));
  order_by_likeness(centroids, dimension, order.subspan(order.size() / 2));
}

struct Stopped {};

// What FAISS's k-means asks for the nearest centroid of each row. Its own flat index is scalar code behind OpenMP.
class Assigner final : public faiss::IndexFlatL2 {
 public:
  Assigner(std::size_t dimension, const std::atomic<bool>& stop)
      : IndexFlatL2(static_cast<faiss::Index::idx_t>(dimension)), stop_(stop) {}

  void search(idx_t n, const float* x, idx_t k, float* distances, idx_t* labels,
              const faiss::SearchParameters* params) const override {
    if (stop_) throw Stopped();  // between two iterations
    if (k != 1 || params != nullptr) return IndexFlatL2::search(n, x, k, distances, labels, params);
    const auto dimension = static_cast<std::size_t>(d);
    const std::vector<float> centroids(get_xb(), get_xb() + ntotal * d);
    const std::vector<float> halves = half_squared_norms_of(centroids, dimension);
    std::vector<std::uint32_t> nearest(static_cast<std::size_t>(n));
    std::vector<float> best(nearest.size());
    NearestCentroid(centroids, halves).find(centroids, halves, {x, nearest.size() * dimension}, nearest, best);
    for (std::size_t i = 0; i < nearest.size(); ++i) {
      labels[i] = nearest[i];
      distances[i] = -2 * best[i];  // without the row's own norm, which moves nothing
    }
  }

 private:
  const std::atomic<bool>& stop_;
};

}  // namespace

Clusters::Clusters(std::vector<float> centroids, std::size_t dimension)
    : dimension_(dimension),
      centroids_(std::move(centroids)),
      half_squared_norms_(half_squared_norms_of(centroids_, dimension)),
      levels_max_(levels_for(dimension)),
      nearest_(centroids_, half_squared_norms_) {
  make_levels();
}

void Clusters::make_levels() {
  levels_ = HugeArray<std::int16_t>(centroids_.size());
  level_sizes_.resize(count());
  for (std::size_t i = 0; i < count(); ++i) {
    float largest = 0;
    for (std::size_t d = 0; d < dimension_; ++d) largest = std::max(largest, std::abs(centroid(i)[d]));
    level_sizes_[i] = largest / static_cast<float>(levels_max_);
    const float inverse = largest > 0 ? static_cast<float>(levels_max_) / largest : 0;
    for (std::size_t d = 0; d < dimension_; ++d)
      levels_[i * dimension_ + d] = static_cast<std::int16_t>(std::lrint(centroid(i)[d] * inverse));
    level_size_most_ = std::max(level_size_most_, level_sizes_[i]);
    norm_most_ = std::max(norm_most_, std::sqrt(2 * half_squared_norms_[i]));
  }
}

float Clusters::level_error(float largest) const {
  const float of_query = largest / static_cast<float>(levels_max_) * norm_most_;
  return std::sqrt((level_size_most_ * level_size_most_ + of_query * of_query) / 12);
}

Result<Clusters> Clusters::train(std::span<const float> rows, std::size_t dimension, std::size_t count,
                                 const std::atomic<bool>& stop) try {
  const std::size_t row_count = rows.size() / dimension;
  count = std::max<std::size_t>(1, std::min(count, row_count));
  faiss::ClusteringParameters parameters;
  parameters.niter = kIterations;
  parameters.min_points_per_centroid = 1;
  parameters.max_points_per_centroid = 1 << 20;  // the caller has sampled
  parameters.seed = 1;
  omp_set_num_threads(1);  // this thread's; FAISS's parallel regions would each start a team
  faiss::Clustering clustering(static_cast<int>(dimension), static_cast<int>(count), parameters);
  Assigner assigner(dimension, stop);
  clustering.train(static_cast<faiss::Index::idx_t>(row_count), rows.data(), assigner);
  std::vector<std::uint32_t> order(clustering.centroids.size() / dimension);
  std::iota(order.begin(), order.end(), 0U);
  order_by_likeness(clustering.centroids, dimension, order);
  std::vector<float> ordered;
  ordered.reserve(clustering.centroids.size());
  for (const std::uint32_t i : order)
    ordered.insert(ordered.end(), &clustering.centroids[i * dimension],
                   &clustering.centroids[i * dimension] + dimension);
  return Clusters(std::move(ordered), dimension);
} catch (const Stopped&) {
  return {Code::FailedPrecondition, "clusters: stopped"};
} catch (const std::bad_alloc&) {
  return {Code::Busy, "clusters: no memory to group " + std::to_string(rows.size() / dimension) + " rows"};
} catch (const std::exception& failure) {
  return {Code::Internal, std::string("clusters: ") + failure.what()};
}

void Clusters::assign(std::span<const float> rows, std::span<std::uint32_t> nearest) const {
  std::vector<float> best(nearest.size());
  nearest_.find(centroids_, half_squared_norms_, rows, nearest, best);
}

}  // namespace mneme::index
