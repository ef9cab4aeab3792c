#include "exact_search.h"

#include <tbb/blocked_range.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <new>
#include <string>

#include "mneme/base/limits.h"
#include "mneme/index/kernels.h"
#include "top_k.h"
#include "vector_check.h"

namespace mneme::index {
namespace {

constexpr std::size_t kQueriesMax = 64;              // that share one pass over the rows
constexpr std::size_t kHeapHitsMax = 1 << 20;        // of one thread, 16 bytes each: bounds the group when k is large
constexpr std::size_t kRunRowsMax = 256;             // rows scored at a time: their scores stay in L1
constexpr std::size_t kRunBytes = 192 * kKiB;        // … and, for several queries, the rows themselves in L2
constexpr std::size_t kParallelBytesMin = 2 * kMiB;  // times queries; below, waking a worker costs more than it brings
constexpr std::size_t kTaskBytes = 512 * kKiB;

float to_score(double score) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  if (std::isnan(score)) return static_cast<float>(-kLargest);  // of rows from a file that nobody could have added
  return static_cast<float>(std::clamp(score, -kLargest, kLargest) + 0.0);  // −0 becomes 0
}

// One query, and how far its float32 kernel may be off.
//
// The float32 score only decides which rows are scored again in double, so it must never be taken for less than the
// true one. A sum of n float32 products is off by at most γ·Σ|qᵢxᵢ| ≤ γ·‖q‖·‖x‖ in any order of summation, with
// γ = n·2⁻²⁴ and a little more (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1), and by half of
// the smallest denormal for each product that underflows. For squared L2 all terms are positive: the error is γ·sum.
class Query {
 public:
  Query(const float* values, double squared_norm, std::size_t dimension, Metric metric)
      : values_(values), dimension_(dimension), metric_(metric) {
    const double norm = std::sqrt(squared_norm);
    inverse_norm_ = norm == 0 ? 0 : 1 / norm;
    gamma_ = static_cast<double>(dimension + 16) * 0x1.02p-24;
    per_scale_ = gamma_ * norm;
    underflow_ = static_cast<double>(dimension + 2) * std::numeric_limits<float>::denorm_min();
  }

  const float* values() const { return values_; }

  /// Whether a row may reach `threshold`, by its float32 kernel value and its scale.
  bool may_reach(float threshold, float kernel, double scale) const {
    if (!std::isfinite(kernel)) return true;  // overflowed: says nothing
    switch (metric_) {
      case Metric::InnerProduct:
        return kernel + per_scale_ * scale + underflow_ >= threshold;
      case Metric::Cosine:
        return (static_cast<double>(kernel) + underflow_) * scale * inverse_norm_ + gamma_ >= threshold;
      case Metric::SquaredL2:
        return static_cast<double>(kernel) * (gamma_ - 1) + underflow_ >= threshold;
    }
    return true;
  }

  /// The score that is reported and ordered by.
  float score(const float* row, double scale) const {
    switch (metric_) {
      case Metric::InnerProduct:
        return to_score(inner_product_f64(values_, row, dimension_));
      case Metric::Cosine:
        return to_score(std::clamp(inner_product_f64(values_, row, dimension_) * scale * inverse_norm_, -1.0, 1.0));
      case Metric::SquaredL2:
        return to_score(-squared_l2_f64(values_, row, dimension_));
    }
    return 0;
  }

 private:
  const float* values_;
  std::size_t dimension_;
  Metric metric_;
  double inverse_norm_, gamma_, per_scale_, underflow_;
};

// The best k-th score that any thread has reached, per query: what a hit must reach everywhere.
class Threshold {
 public:
  float get() const { return value_.load(std::memory_order_relaxed); }
  void raise(float value) {
    float seen = get();
    while (seen < value && !value_.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
    }
  }

 private:
  std::atomic<float> value_{-std::numeric_limits<float>::infinity()};
};

// Slots [first, first + count) of one block.
struct Run {
  std::size_t block, row_in_block;
  Slot first;
  std::size_t count;
};

// How many of bits [first, first + count) are set; the bitmap holds them all.
std::size_t bits_set(const SlotBitmap& bitmap, std::size_t first, std::size_t count) {
  std::size_t total = 0;
  const std::span<const std::uint64_t> words = bitmap.words();
  for (std::size_t at = first; at < first + count;) {
    const std::size_t in_word = at % 64;
    const std::size_t take = std::min(64 - in_word, first + count - at);
    std::uint64_t bits = words[at / 64] >> in_word;
    if (take < 64) bits &= (std::uint64_t{1} << take) - 1;
    total += static_cast<std::size_t>(std::popcount(bits));
    at += take;
  }
  return total;
}

// One pass of a group of queries over the rows.
class Pass {
 public:
  Pass(const ExactRows& rows, const SearchRequest& request, const View& view, std::span<const Query> queries)
      : rows_(rows),
        filter_(request.filter),
        view_(view),
        queries_(queries),
        k_(request.k),
        end_(filter_ == nullptr ? view.count : std::min(view.count, filter_->size())),
        row_bytes_(rows.dimension() * sizeof(float)),
        run_rows_(queries.size() == 1 ? kRunRowsMax : std::clamp<std::size_t>(kRunBytes / row_bytes_, 4, kRunRowsMax)),
        runs_per_block_((rows.blocks().rows_per_block() + run_rows_ - 1) / run_rows_),
        thresholds_(std::make_unique<Threshold[]>(queries.size())) {}

  std::vector<std::vector<Hit>> run(bool parallel) {
    const std::size_t runs = run_count();
    if (!parallel || end_ * row_bytes_ * queries_.size() < kParallelBytesMin) {
      Collector collector(*this);
      for (std::size_t r = 0; r < runs; ++r) scan(run_at(r), collector);
      return take(collector);
    }
    tbb::enumerable_thread_specific<Collector> collectors([this] { return Collector(*this); });
    const std::size_t grain = std::max<std::size_t>(1, kTaskBytes / (run_rows_ * row_bytes_));
    // Isolated, so that a waiting caller does not pick up unrelated work while it holds its locks.
    tbb::this_task_arena::isolate([&] {
      tbb::parallel_for(tbb::blocked_range<std::size_t>(0, runs, grain), [&](const auto& range) {
        Collector& collector = collectors.local();
        for (std::size_t r = range.begin(); r != range.end(); ++r) scan(run_at(r), collector);
      });
    });
    Collector all(*this);
    for (const Collector& collector : collectors)
      for (std::size_t q = 0; q < queries_.size(); ++q) all.best[q].merge(collector.best[q]);
    return take(all);
  }

 private:
  // What one thread gathers, and its scratch memory.
  struct Collector {
    explicit Collector(const Pass& pass)
        : best(pass.queries_.size(), TopK(pass.k_)), kernels(pass.queries_.size() * pass.run_rows_) {}
    std::vector<TopK> best;      // per query
    std::vector<float> kernels;  // query-major, one per row of the run
    std::vector<Slot> slots;     // of a sparse run: what the filter keeps
    std::vector<const float*> rows;
  };

  std::size_t run_count() const {
    const std::size_t per_block = rows_.blocks().rows_per_block();
    return end_ / per_block * runs_per_block_ + (end_ % per_block + run_rows_ - 1) / run_rows_;
  }

  Run run_at(std::size_t number) const {
    const std::size_t per_block = rows_.blocks().rows_per_block();
    const std::size_t block = number / runs_per_block_;
    const std::size_t row_in_block = number % runs_per_block_ * run_rows_;
    const std::size_t first = block * per_block + row_in_block;
    const std::size_t count = std::min({run_rows_, per_block - row_in_block, end_ - first});
    return {block, row_in_block, static_cast<Slot>(first), count};
  }

  void scan(const Run& run, Collector& collector) {
    if (filter_ != nullptr) {
      const std::size_t kept = bits_set(*filter_, run.first, run.count);
      if (kept == 0) return;
      if (kept * 4 < run.count) return scan_sparse(run, collector);
    }
    scan_dense(run, collector);
  }

  // Every row of the run goes through the kernel; filter and visibility are asked only about rows good enough.
  void scan_dense(const Run& run, Collector& collector) {
    const float* first = rows_.blocks().rows(run.block, run.row_in_block);
    const double* scales = rows_.blocks().scales(run.block, run.row_in_block);
    float* kernels = collector.kernels.data();
    run_kernel(first, run.count, kernels);
    for (std::size_t q = 0; q < queries_.size(); ++q) {
      const Query& query = queries_[q];
      float threshold = thresholds_[q].get();
      for (std::size_t i = 0; i < run.count; ++i) {
        if (!query.may_reach(threshold, kernels[q * run.count + i], scales[i])) continue;
        const Slot slot = run.first + static_cast<Slot>(i);
        if (filter_ != nullptr && !filter_->test(slot)) continue;
        if (!rows_.visible(slot, view_)) continue;
        threshold = offer(q, slot, first + i * rows_.dimension(), scales[i], collector);
      }
    }
  }

  // Only the rows that the filter keeps are read.
  void scan_sparse(const Run& run, Collector& collector) {
    collector.slots.clear();
    collector.rows.clear();
    for (std::size_t i = 0; i < run.count; ++i) {
      const Slot slot = run.first + static_cast<Slot>(i);
      if (!filter_->test(slot) || !rows_.visible(slot, view_)) continue;
      collector.slots.push_back(slot);
      collector.rows.push_back(rows_.blocks().rows(run.block, run.row_in_block + i));
    }
    const double* scales = rows_.blocks().scales(run.block, run.row_in_block);
    for (std::size_t q = 0; q < queries_.size(); ++q) {
      run_kernel_at(queries_[q], collector);
      float threshold = thresholds_[q].get();
      for (std::size_t i = 0; i < collector.slots.size(); ++i) {
        const Slot slot = collector.slots[i];
        const double scale = scales[slot - run.first];
        if (queries_[q].may_reach(threshold, collector.kernels[i], scale))
          threshold = offer(q, slot, collector.rows[i], scale, collector);
      }
    }
  }

  void run_kernel(const float* first, std::size_t count, float* out) const {
    const std::size_t dimension = rows_.dimension();
    const bool l2 = rows_.metric() == Metric::SquaredL2;
    const float* values = queries_[0].values();  // the group's queries are contiguous
    if (queries_.size() == 1)
      (l2 ? squared_l2s : inner_products)(values, first, count, dimension, out);
    else
      (l2 ? squared_l2s_batch : inner_products_batch)(values, queries_.size(), first, count, dimension, out);
  }

  void run_kernel_at(const Query& query, Collector& collector) const {
    const auto kernel = rows_.metric() == Metric::SquaredL2 ? squared_l2s_at : inner_products_at;
    kernel(query.values(), collector.rows.data(), collector.rows.size(), rows_.dimension(), collector.kernels.data());
  }

  // Scores the row exactly; @return the threshold from now on.
  float offer(std::size_t q, Slot slot, const float* row, double scale, Collector& collector) {
    TopK& best = collector.best[q];
    best.offer({slot, rows_.row(slot), queries_[q].score(row, scale)});
    thresholds_[q].raise(best.threshold());
    return thresholds_[q].get();
  }

  std::vector<std::vector<Hit>> take(Collector& collector) const {
    std::vector<std::vector<Hit>> hits;
    for (TopK& best : collector.best) hits.push_back(best.take());
    return hits;
  }

  const ExactRows& rows_;
  const SlotBitmap* filter_;
  const View view_;
  const std::span<const Query> queries_;
  const std::size_t k_, end_, row_bytes_, run_rows_, runs_per_block_;
  std::unique_ptr<Threshold[]> thresholds_;
};

// What came from a file is verified before it is used: everything, or with a filter the rows that it keeps.
Status verify_rows(const ExactRows& rows, const SlotBitmap* filter, const View& view) {
  if (rows.blocks().is_verified()) return ok_status();
  if (filter == nullptr) return rows.blocks().verify(0, view.count);
  const std::span<const std::uint64_t> words = filter->words();
  for (std::size_t word = 0; word < words.size(); ++word)
    for (std::uint64_t bits = words[word]; bits != 0; bits &= bits - 1) {
      const std::size_t slot = word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
      if (slot >= view.count) return ok_status();
      MNEME_TRY(rows.blocks().verify(slot, slot + 1));
    }
  return ok_status();
}

Result<std::vector<Query>> checked_queries(const ExactRows& rows, const SearchRequest& request) {
  const std::size_t dimension = rows.dimension();
  if (request.queries.size() % dimension != 0)
    return {Code::InvalidArgument, "exact index: search: " + std::to_string(request.queries.size()) +
                                       " query values are no multiple of dimension " + std::to_string(dimension)};
  if (request.k < 1 || request.k > limits::kNeighboursMax)
    return {Code::InvalidArgument, "exact index: search: k is " + std::to_string(request.k) + ", allowed are 1 to " +
                                       std::to_string(limits::kNeighboursMax)};
  std::vector<Query> queries;
  queries.reserve(request.queries.size() / dimension);
  for (std::size_t at = 0; at < request.queries.size(); at += dimension) {
    const Result<double> squared_norm = checked_squared_norm(request.queries.subspan(at, dimension), dimension);
    if (!squared_norm)
      return squared_norm.status().with_context("exact index: search: query " + std::to_string(at / dimension));
    queries.emplace_back(request.queries.data() + at, *squared_norm, dimension, rows.metric());
  }
  return queries;
}

}  // namespace

Result<std::vector<std::vector<Hit>>> search_exact(const ExactRows& rows, const SearchRequest& request) try {
  MNEME_ASSIGN(const std::vector<Query> queries, checked_queries(rows, request));
  const View view = rows.view(request.as_of);
  MNEME_TRY(verify_rows(rows, request.filter, view));
  const std::size_t group = std::clamp<std::size_t>(kHeapHitsMax / request.k, 1, kQueriesMax);
  std::vector<std::vector<Hit>> hits;
  hits.reserve(queries.size());
  for (std::size_t begin = 0; begin < queries.size(); begin += group) {
    const auto part = std::span(queries).subspan(begin, std::min(group, queries.size() - begin));
    for (auto& of_query : Pass(rows, request, view, part).run(request.parallel)) hits.push_back(std::move(of_query));
  }
  return hits;
} catch (const std::bad_alloc&) {
  return {Code::Busy, "exact index: search: no memory for the " + std::to_string(request.k) + " best of each of " +
                          std::to_string(request.queries.size() / rows.dimension()) + " queries"};
}

}  // namespace mneme::index
