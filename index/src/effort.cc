#include "effort.h"

#include <tbb/blocked_range.h>
#include <tbb/combinable.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "exact_search.h"
#include "mneme/index/kernels.h"

namespace mneme::index {
namespace {

constexpr std::size_t kQueriesPerKind = 192;
constexpr std::array<std::size_t, 4> kQueriesUsed = {192, 192, 128, 48};  // of each kind, by kNeighbours
constexpr std::array<float, 4> kKeepSigmas = {1.5F, 2.0F, 2.5F, 3.25F};   // tried
constexpr float kProbeSigmasMax = 24, kProbeSigmasStep = 0.5F;
// Of what the target leaves, by kNeighbours: the sample is small (for one neighbour, right or wrong), and data moves on.
constexpr std::array<float, 4> kReserve = {0.6F, 0.4F, 0.4F, 0.3F};
constexpr std::size_t kRowKind = 0;
constexpr float kCostOfKept = 16;             // an 8-bit product at a random place, in 1-bit estimates
constexpr std::size_t kRowsPerNeighbour = 8;  // for fewer rows per neighbour an exact search is as quick

}  // namespace

class Calibration {
 public:
  Calibration(const ExactRows& rows, const Codebook& codebook, std::span<const CodeSegmentPtr> segments,
              Slot delta_begin, const View& view)
      : rows_(rows), codebook_(codebook), segments_(segments), delta_begin_(delta_begin), view_(view) {}

  EffortTable run(std::span<const float> asked) {
    for (std::size_t slot = 0; slot < view_.count; ++slot)
      if (rows_.visible(static_cast<Slot>(slot), view_)) live_.push_back(static_cast<Slot>(slot));
    EffortTable table;
    if (live_.empty()) return table;
    make_queries(asked);
    if (!find_truth()) return table;  // no memory: every search is exact until the next time
    for (std::size_t n = 0; n < EffortTable::kNeighbours.size(); ++n)
      if (EffortTable::kNeighbours[n] * kRowsPerNeighbour <= live_.size()) fill(table, n);
    return table;
  }

 private:
  struct Measured {
    float recall = 0;  // of the worst kind
    double cost = 0;
  };

  const float* query(std::size_t kind, std::size_t i) const {
    return queries_.data() + (kind * kQueriesPerKind + i) * rows_.dimension();
  }

  void make_queries(std::span<const float> asked) {
    const std::size_t dimension = rows_.dimension();
    std::mt19937_64 random(7);
    const auto any = [&] { return rows_.blocks().row(live_[random() % live_.size()]); };
    for (std::size_t i = 0; i < 2 * kQueriesPerKind; ++i) {
      const float* const a = any();
      const float* const b = i < kQueriesPerKind ? a : any();
      for (std::size_t d = 0; d < dimension; ++d) queries_.push_back(a[d] / 2 + b[d] / 2);
    }
    kinds_ = 2;
    if (asked.size() >= kQueriesPerKind * dimension) {
      queries_.insert(queries_.end(), asked.begin(),
                      asked.begin() + static_cast<std::ptrdiff_t>(kQueriesPerKind * dimension));
      kinds_ = 3;
    }
  }

  bool find_truth() {
    SearchRequest request;
    request.queries = queries_;
    request.k = std::min(EffortTable::kNeighbours.back() + 1, live_.size());
    request.as_of = view_.as_of;
    auto hits = search_exact(rows_, request);
    if (hits) truth_ = std::move(*hits);
    return hits.ok();
  }

  // Of the k best after the first `given`, which are not counted. A row that scores as well as the last is right: rows
  // may be equal.
  static float recall_of(const std::vector<Hit>& hits, const std::vector<Hit>& truth, std::size_t k,
                         std::size_t given) {
    const float score = truth[k + given - 1].score;
    const float least = score - 1e-6F * std::max(1e-6F, std::abs(score));
    const auto right = static_cast<std::size_t>(
        std::count_if(hits.begin(), hits.end(), [&](const Hit& hit) { return hit.score >= least; }));
    return static_cast<float>(std::min(k, right - std::min(given, right))) / static_cast<float>(k);
  }

  Measured measure(std::size_t n, const Effort& effort) {
    const std::size_t k = EffortTable::kNeighbours[n], used = kQueriesUsed[n];
    std::vector<float> recalls(kinds_ * used);
    tbb::combinable<double> cost;
    tbb::parallel_for(tbb::blocked_range<std::size_t>(0, recalls.size(), 4), [&](const auto& range) {
      FunnelSearch& search = searches_.local();
      std::vector<Hit> hits;
      for (std::size_t i = range.begin(); i < range.end(); ++i) {
        const std::size_t kind = i / used, at = i % used;
        const std::size_t given = kind == kRowKind ? 1 : 0;  // a row finds itself
        FunnelRequest request{query(kind, at), 0, k + given, effort, view_};
        request.squared_norm = inner_product_f64(request.query, request.query, rows_.dimension());
        search.run(rows_, codebook_, segments_, delta_begin_, request, hits);
        recalls[i] = recall_of(hits, truth_[kind * kQueriesPerKind + at], k, given);
        cost.local() +=
            static_cast<double>(search.work().estimated) + kCostOfKept * static_cast<double>(search.work().kept);
      }
    });
    Measured measured{1, cost.combine(std::plus<>())};
    for (std::size_t kind = 0; kind < kinds_; ++kind) {
      float sum = 0;
      for (std::size_t i = 0; i < used; ++i) sum += recalls[kind * used + i];
      measured.recall = std::min(measured.recall, sum / static_cast<float>(used));
    }
    return measured;
  }

  // The least probing that reaches each target, for each way to keep; the cheapest of them.
  void fill(EffortTable& table, std::size_t n) {
    std::array<double, EffortTable::kTargets.size()> cheapest;
    cheapest.fill(std::numeric_limits<double>::infinity());
    for (const float keep : kKeepSigmas) {
      const auto steps = static_cast<std::size_t>(kProbeSigmasMax / kProbeSigmasStep);
      std::vector<std::optional<Measured>> seen(steps + 1);
      const auto at = [&](std::size_t step) -> const Measured& {
        if (!seen[step]) seen[step] = measure(n, {static_cast<float>(step) * kProbeSigmasStep, keep});
        return *seen[step];
      };
      for (std::size_t t = 0; t < EffortTable::kTargets.size(); ++t) {
        const float wanted = EffortTable::kTargets[t] + kReserve[n] * (1 - EffortTable::kTargets[t]);
        if (at(steps).recall < wanted) break;
        std::size_t low = 0, high = steps;  // high reaches it
        while (low < high) {
          const std::size_t middle = (low + high) / 2;
          (at(middle).recall >= wanted ? high : low) = at(middle).recall >= wanted ? middle : middle + 1;
        }
        if (at(high).cost >= cheapest[t]) continue;
        cheapest[t] = at(high).cost;
        table.efforts_[n][t] = Effort{static_cast<float>(high) * kProbeSigmasStep, keep};
      }
    }
  }

  const ExactRows& rows_;
  const Codebook& codebook_;
  const std::span<const CodeSegmentPtr> segments_;
  const Slot delta_begin_;
  const View view_;
  std::vector<Slot> live_;
  std::vector<float> queries_;
  std::size_t kinds_ = 0;
  std::vector<std::vector<Hit>> truth_;
  tbb::enumerable_thread_specific<FunnelSearch> searches_;
};

std::optional<Effort> EffortTable::find(std::size_t k, float recall_target) const {
  const auto target = std::lower_bound(kTargets.begin(), kTargets.end(), recall_target);
  if (target == kTargets.end()) return std::nullopt;
  const auto t = static_cast<std::size_t>(target - kTargets.begin());
  const auto above = std::lower_bound(kNeighbours.begin(), kNeighbours.end(), k);
  const std::size_t high = std::min(static_cast<std::size_t>(above - kNeighbours.begin()), kNeighbours.size() - 1);
  if (!efforts_[high][t] || k >= kNeighbours[high] || high == 0) return efforts_[high][t];
  const std::optional<Effort>& low = efforts_[high - 1][t];
  if (!low) return std::nullopt;
  // Fewer neighbours lie further out, in standard deviations; what is between is between by the logarithm.
  const auto log = [](std::size_t n) { return std::log(static_cast<float>(n)); };
  const float share = (log(k) - log(kNeighbours[high - 1])) / (log(kNeighbours[high]) - log(kNeighbours[high - 1]));
  const Effort& far = *efforts_[high][t];
  return Effort{low->probe_sigmas + share * (far.probe_sigmas - low->probe_sigmas),
                std::max(low->keep_sigmas, far.keep_sigmas)};
}

EffortTable calibrate(const ExactRows& rows, const Codebook& codebook, std::span<const CodeSegmentPtr> segments,
                      Slot delta_begin, const View& view, std::span<const float> asked) {
  return Calibration(rows, codebook, segments, delta_begin, view).run(asked);
}

}  // namespace mneme::index
