#include "near_truth.h"

#include <tbb/blocked_range.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>

#include "exact_search.h"
#include "mneme/base/mutex.h"
#include "mneme/index/kernels.h"

namespace mneme::index {
namespace {

constexpr std::size_t kChecked = 8;        // queries that are answered exactly as well
constexpr std::size_t kMissedMost = 1000;  // one neighbour of so many
// The best few estimates of many are the luckiest: the bar is the k-th of at least kLeast, and lies lower where that is
// still few of the rows.
constexpr std::size_t kLeast = 32, kFew = 400;
constexpr float kSigmasOfFew = 6, kSigmasOfMany = 4.5F, kEightBitSigmasOfAll = 5.5F;
constexpr float kRounding = 1e-5F;  // two sums of the same products, one of them in float32

using Answers = std::vector<std::vector<Hit>>;

class NearTruth {
 public:
  NearTruth(const ExactRows& rows, const Codebook& codebook, std::span<const CodeSegmentPtr> segments, Slot delta_begin,
            const View& view, std::span<const float> queries, std::size_t k, const std::atomic<bool>& stop)
      : rows_(rows),
        codebook_(codebook),
        segments_(segments),
        delta_begin_(delta_begin),
        view_(view),
        queries_(queries),
        k_(k),
        stop_(stop) {}

  Result<Answers> run() const {
    const std::size_t count = queries_.size() / rows_.dimension();
    if (count <= 2 * kChecked) return exactly(queries_);
    MNEME_ASSIGN(Answers answers, by_codes(count));
    std::vector<float> checked;
    std::vector<std::size_t> which;
    for (std::size_t i = 0; i < kChecked; ++i) {
      which.push_back(i * count / kChecked);
      const std::span<const float> one = query(which.back());
      checked.insert(checked.end(), one.begin(), one.end());
    }
    MNEME_ASSIGN(Answers truth, exactly(checked));
    std::size_t missed = 0, all = 0;
    for (std::size_t i = 0; i < kChecked; ++i) {
      missed += missed_of(truth[i], answers[which[i]]);
      all += truth[i].size();
      answers[which[i]] = std::move(truth[i]);
    }
    // Who explores reads as many neighbours of every query.
    const std::size_t wanted = answers.front().size();  // the first was answered exactly
    const bool is_short = std::any_of(answers.begin(), answers.end(),
                                      [&](const std::vector<Hit>& found) { return found.size() < wanted; });
    if (is_short || missed * kMissedMost > all) return exactly(queries_);
    return answers;
  }

 private:
  std::span<const float> query(std::size_t i) const {
    return queries_.subspan(i * rows_.dimension(), rows_.dimension());
  }

  Result<Answers> exactly(std::span<const float> queries) const {
    SearchRequest request;
    request.queries = queries;
    request.k = k_;
    request.as_of = view_.as_of;
    return search_exact(rows_, request);
  }

  Result<Answers> by_codes(std::size_t count) const {
    Answers answers(count);
    Mutex mutex;
    Status failed;
    tbb::enumerable_thread_specific<FunnelSearch> searches;
    tbb::parallel_for(tbb::blocked_range<std::size_t>(0, count, 4), [&](const auto& range) {
      FunnelSearch& search = searches.local();
      for (std::size_t i = range.begin(); i < range.end() && !stop_; ++i) {
        FunnelRequest request;
        request.query = query(i).data();
        request.squared_norm = inner_product_f64(request.query, request.query, rows_.dimension());
        request.k = std::max(k_, kLeast);
        request.effort = {1e6F, k_ < kFew ? kSigmasOfFew : kSigmasOfMany, SIZE_MAX};
        request.eight_bit_sigmas = kEightBitSigmasOfAll;
        request.view = view_;
        request.check_visible = true;
        search.run(rows_, codebook_, segments_, delta_begin_, request, answers[i]);
        answers[i].resize(std::min(k_, answers[i].size()));
        if (search.damage()) continue;
        MutexLock lock(mutex);
        failed = search.damage();
      }
    });
    if (!failed) return failed;
    if (stop_)
      return {Code::FailedPrecondition, "index: neighbours of " + std::to_string(count) + " queries: told to stop"};
    return answers;
  }

  // Of `truth`; one that is as near as the last that was found is as good.
  static std::size_t missed_of(const std::vector<Hit>& truth, const std::vector<Hit>& found) {
    if (found.size() < truth.size()) return truth.size() - found.size();
    if (found.empty()) return 0;
    const float least = found.back().score + kRounding * std::abs(found.back().score);
    std::vector<Slot> slots;
    for (const Hit& hit : found) slots.push_back(hit.slot);
    std::sort(slots.begin(), slots.end());
    return static_cast<std::size_t>(std::count_if(truth.begin(), truth.end(), [&](const Hit& hit) {
      return hit.score > least && !std::binary_search(slots.begin(), slots.end(), hit.slot);
    }));
  }

  const ExactRows& rows_;
  const Codebook& codebook_;
  const std::span<const CodeSegmentPtr> segments_;
  const Slot delta_begin_;
  const View view_;
  const std::span<const float> queries_;
  const std::size_t k_;
  const std::atomic<bool>& stop_;
};

}  // namespace

Result<std::vector<std::vector<Hit>>> near_truth(const ExactRows& rows, const Codebook& codebook,
                                                 std::span<const CodeSegmentPtr> segments, Slot delta_begin,
                                                 const View& view, std::span<const float> queries, std::size_t k,
                                                 const std::atomic<bool>& stop) {
  return NearTruth(rows, codebook, segments, delta_begin, view, queries, k, stop).run();
}

}  // namespace mneme::index
