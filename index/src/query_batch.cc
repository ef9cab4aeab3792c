#include "query_batch.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <numeric>

#include "mneme/index/kernels.h"

namespace mneme::index {
namespace {

constexpr std::size_t kBytesMax = 16u << 20;  // of products
constexpr std::size_t kAtATime = 32;          // queries that read the centroids once

}  // namespace

std::size_t QueryBatch::queries_max(const Codebook& codebook) {
  return std::clamp<std::size_t>(kBytesMax / sizeof(float) / codebook.clusters.count(), kMin, 8192);
}

QueryBatch::QueryBatch(const Codebook& codebook, std::span<const float> queries, bool parallel)
    : size_(codebook.rotation.size()), lists_(codebook.clusters.count()) {
  const std::size_t dimension = codebook.rotation.dimension(), count = queries.size() / dimension;
  rotated_.resize(count * size_);
  products_.resize(count * lists_);
  std::vector<std::uint32_t> nearest(count);
  const auto some = [&](std::size_t begin, std::size_t end) {
    std::vector<float> scratch(size_);
    for (std::size_t i = begin; i < end; ++i)
      codebook.rotation.apply(queries.data() + i * dimension, rotated_.data() + i * size_, scratch.data());
    float* const products = products_.data() + begin * lists_;
    inner_products_batch(rotated_.data() + begin * size_, end - begin, codebook.clusters.centroid(0), lists_, size_,
                         products);
    for (std::size_t i = begin; i < end; ++i) {
      const float* const first = products_.data() + i * lists_;
      nearest[i] = static_cast<std::uint32_t>(std::max_element(first, first + lists_) - first);
    }
  };
  const std::size_t parts = (count + kAtATime - 1) / kAtATime;
  const auto part = [&](std::size_t p) { some(p * kAtATime, std::min(count, (p + 1) * kAtATime)); };
  if (parallel)
    tbb::parallel_for(std::size_t{0}, parts, part);
  else
    for (std::size_t p = 0; p < parts; ++p) part(p);
  order_.resize(count);
  std::iota(order_.begin(), order_.end(), 0U);
  std::sort(order_.begin(), order_.end(), [&](std::uint32_t a, std::uint32_t b) { return nearest[a] < nearest[b]; });
}

}  // namespace mneme::index
