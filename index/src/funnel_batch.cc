#include "funnel_batch.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <optional>

#include "dense_batch.h"
#include "mneme/base/mutex.h"
#include "query_batch.h"

namespace mneme::index {
namespace {

constexpr std::size_t kDenseMin = 128;  // queries that are worth a trial
constexpr std::size_t kTrial = 16;

class BatchSearch {
 public:
  BatchSearch(const ExactRows& rows, const Sealed& now, const FunnelRequest& shared, const SearchRequest& request,
              std::span<const double> squared_norms, const AskedFn& asked, std::span<std::vector<Hit>> hits)
      : rows_(rows),
        now_(now),
        shared_(shared),
        request_(request),
        squared_norms_(squared_norms),
        asked_(asked),
        hits_(hits) {}

  Status run(bool may_be_dense) {
    const std::size_t at_a_time = QueryBatch::queries_max(*now_.codebook);
    for (std::size_t first = 0; first < hits_.size(); first += at_a_time)
      MNEME_TRY(run_part(first, std::min(at_a_time, hits_.size() - first), may_be_dense));
    return ok_status();
  }

 private:
  Status run_part(std::size_t first, std::size_t count, bool may_be_dense) {
    first_ = first;
    batch_.reset();
    if (QueryBatch::is_worth_it(*now_.codebook, count))
      batch_.emplace(*now_.codebook, request_.queries.subspan(first * dimension(), count * dimension()),
                     request_.parallel);
    std::vector<std::size_t> left(count);  // in the order of their lists
    for (std::size_t at = 0; at < count; ++at) left[at] = batch_ ? batch_->order()[at] : at;
    if (may_be_dense && count >= kDenseMin) {
      MNEME_ASSIGN(const Work usual, try_some(left));
      if (DenseBatch::is_quicker(now_, usual)) return by_dense(left);
    }
    return by_funnel(left);
  }

  std::size_t dimension() const { return rows_.dimension(); }
  std::span<const float> query(std::size_t i) const {
    return request_.queries.subspan((first_ + i) * dimension(), dimension());
  }

  RotatedQuery rotated(std::size_t i) const { return batch_ ? batch_->rotated(i) : RotatedQuery{}; }

  // Answers a few of `left`, spread over it, and takes them out. @return what one of them needed
  Result<Work> try_some(std::vector<std::size_t>& left) {
    std::vector<std::size_t> others;
    Work total;
    std::size_t tried = 0;
    for (std::size_t at = 0; at < left.size(); ++at) {
      if (at != tried * left.size() / kTrial) {
        others.push_back(left[at]);
        continue;
      }
      ++tried;
      MNEME_ASSIGN(const Work work, search_one(left[at]));
      total.estimated += work.estimated;
      total.kept += work.kept;
    }
    left = std::move(others);
    total.estimated /= tried;
    total.kept /= tried;
    return total;
  }

  Result<Work> search_one(std::size_t i, bool check_visible = false) const {
    thread_local FunnelSearch search;
    FunnelRequest one = shared_;
    one.query = query(i).data();
    one.squared_norm = squared_norms_[first_ + i];
    one.rotated = rotated(i);
    one.check_visible = one.check_visible || check_visible;
    const bool whole = search.run(rows_, *now_.codebook, now_.segments, now_.end, one, hits_[first_ + i]);
    MNEME_TRY(search.damage());
    if (!whole) return search_one(i, true);
    asked_(query(i), search.work().unusual);
    return search.work();
  }

  // Calls `some(begin, end)` for parts of [0, count) until one fails.
  template <class Some>
  Status in_parts(std::size_t count, const Some& some) const {
    if (count < 2 || !request_.parallel) return some(0, count);
    Mutex mutex;
    Status failed;
    tbb::parallel_for(tbb::blocked_range<std::size_t>(0, count), [&](const auto& range) {
      Status done = some(range.begin(), range.end());
      if (done) return;
      MutexLock lock(mutex);
      failed = std::move(done);
    });
    return failed;
  }

  Status by_funnel(std::span<const std::size_t> left) const {
    return in_parts(left.size(), [&](std::size_t begin, std::size_t end) -> Status {
      for (std::size_t at = begin; at < end; ++at) MNEME_TRY(search_one(left[at]).status());
      return ok_status();
    });
  }

  Status by_dense(std::span<const std::size_t> left) const {
    const std::size_t threads =
        request_.parallel ? static_cast<std::size_t>(tbb::this_task_arena::max_concurrency()) : 1;
    const std::size_t size = std::clamp((left.size() + threads - 1) / threads, kDenseQueries, DenseBatch::kQueriesMax);
    return in_parts((left.size() + size - 1) / size, [&](std::size_t begin, std::size_t end) -> Status {
      DenseBatch dense(rows_, now_);
      for (std::size_t group = begin; group < end; ++group)
        MNEME_TRY(run_group(dense, left.subspan(group * size, std::min(size, left.size() - group * size))));
      return ok_status();
    });
  }

  Status run_group(DenseBatch& dense, std::span<const std::size_t> group) const {
    std::vector<DenseQuery> queries;
    for (const std::size_t i : group)
      queries.push_back({query(i).data(), squared_norms_[first_ + i], rotated(i), &hits_[first_ + i]});
    MNEME_TRY(dense.run(shared_, queries));
    for (std::size_t at = 0; at < group.size(); ++at) {
      if (queries[at].whole)
        asked_(query(group[at]), false);
      else
        MNEME_TRY(search_one(group[at], true).status());
    }
    return ok_status();
  }

  const ExactRows& rows_;
  const Sealed& now_;
  const FunnelRequest& shared_;
  const SearchRequest& request_;
  const std::span<const double> squared_norms_;
  const AskedFn& asked_;
  const std::span<std::vector<Hit>> hits_;
  std::size_t first_ = 0;  // of the part that is under way
  std::optional<QueryBatch> batch_;
};

}  // namespace

Status search_queries(const ExactRows& rows, const Sealed& now, const FunnelRequest& shared,
                      const SearchRequest& request, std::span<const double> squared_norms, bool may_be_dense,
                      const AskedFn& asked, std::span<std::vector<Hit>> hits) {
  return BatchSearch(rows, now, shared, request, squared_norms, asked, hits).run(may_be_dense);
}

}  // namespace mneme::index
