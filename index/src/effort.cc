#include "effort.h"

#include <tbb/blocked_range.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <random>
#include <unordered_map>

#include "exact_search.h"
#include "mneme/index/kernels.h"

namespace mneme::index {
namespace {

constexpr std::size_t kMadePerKind = 192;  // queries made where too few were asked
// Queries used of each kind, by kNeighbours: a search for many says much by itself.
constexpr std::array<std::size_t, 4> kQueriesUsed = {512, 512, 192, 64};
constexpr float kProbeSigmasMax = 1e6F, kKeepSigmasMin = 0.5F, kKeepSigmasMax = 4, kKeepSigmasStep = 0.25F;
// Of what the target leaves, by kNeighbours: samples are small (for one neighbour, right or wrong), and data moves on.
constexpr std::array<float, 4> kReserveMade = {0.8F, 0.5F, 0.5F, 0.4F}, kReserveAsked = {0.6F, 0.12F, 0.12F, 0.12F};
constexpr float kRelaxMost = 0.6F;                        // of the probing that exploring asks for
constexpr int kRelaxTriesMade = 2, kRelaxTriesAsked = 5;  // what is asked again and again deserves more
constexpr float kCostOfKept = 16;                         // an 8-bit product at a random place, in 1-bit estimates
constexpr std::size_t kRowsPerNeighbour = 8;              // for fewer rows per neighbour an exact search is as quick

}  // namespace

class Calibration {
 public:
  Calibration(const ExactRows& rows, const Codebook& codebook, std::span<const CodeSegmentPtr> segments,
              Slot delta_begin, const View& view, const std::atomic<bool>& stop)
      : rows_(rows), codebook_(codebook), segments_(segments), delta_begin_(delta_begin), view_(view), stop_(stop) {}

  EffortTable run(std::span<const float> asked) {
    for (std::size_t slot = 0; slot < view_.count; ++slot)
      if (rows_.visible(static_cast<Slot>(slot), view_)) live_.push_back(static_cast<Slot>(slot));
    EffortTable table;
    if (live_.empty()) return table;
    make_queries(asked);
    if (!find_truth()) return table;  // no memory: every search is exact until the next time
    for (std::size_t n = 0; n < EffortTable::kNeighbours.size(); ++n)
      if (EffortTable::kNeighbours[n] * kRowsPerNeighbour <= live_.size()) fill(table, n);
    if (stop_) return {};
    if (!nearness_.empty()) {
      std::sort(nearness_.begin(), nearness_.end());
      const std::size_t outermost = nearness_.size() / 64;
      table.nearness_least_ = nearness_[outermost];
      table.nearness_most_ = nearness_[nearness_.size() - 1 - outermost];
    }
    return table;
  }

 private:
  struct Kind {
    std::size_t first = 0, count = 0;  // of queries_
    bool is_row = false;
  };

  void make_queries(std::span<const float> asked) {
    const std::size_t dimension = rows_.dimension();
    was_asked_ = !asked.empty();
    if (was_asked_) {
      queries_.assign(asked.begin(), asked.end());
      kinds_ = {{0, asked.size() / dimension, false}};
      return;
    }
    std::mt19937_64 random(7);
    const auto any = [&] { return rows_.blocks().row(live_[random() % live_.size()]); };
    for (std::size_t i = 0; i < 2 * kMadePerKind; ++i) {
      const float* const a = any();
      const float* const b = i < kMadePerKind ? a : any();
      for (std::size_t d = 0; d < dimension; ++d) queries_.push_back(a[d] / 2 + b[d] / 2);
    }
    kinds_ = {{0, kMadePerKind, true}, {kMadePerKind, kMadePerKind, false}};
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

  /// What the queries of one kind need to find each of their neighbours, and what efforts cost them.
  struct Needs {
    std::vector<Explored::Row> of_neighbours;  // infinite where not even all was enough
    std::vector<Explored> explored;
  };

  Needs explore(std::size_t n, const Kind& kind) {
    const std::size_t k = EffortTable::kNeighbours[n], given = kind.is_row ? 1 : 0;  // a row finds itself
    Needs needs;
    needs.explored.resize(std::min(kind.count, kQueriesUsed[n]));
    needs.of_neighbours.resize(needs.explored.size() * k);
    if (n == 0) nearness_.resize(kind.first + needs.explored.size());
    tbb::parallel_for(tbb::blocked_range<std::size_t>(0, needs.explored.size(), 4), [&](const auto& range) {
      FunnelSearch& search = searches_.local();
      for (std::size_t i = range.begin(); i < range.end() && !stop_; ++i) {
        Explored& explored = needs.explored[i];
        search.explore(rows_, codebook_, segments_,
                       request(kind.first + i, k + given, {kProbeSigmasMax, kKeepSigmasMax}), explored);
        std::unordered_map<Slot, Explored::Row> found;
        for (const Explored::Row& row : explored.rows) found[row.slot] = row;
        for (std::size_t rank = 0; rank < k; ++rank) {
          const auto at = found.find(truth_[kind.first + i][rank + given].slot);
          needs.of_neighbours[i * k + rank] = at != found.end() ? at->second : kNever;
        }
        explored.rows.shrink_to_fit();
        if (n == 0) nearness_[kind.first + i] = explored.nearness;
      }
    });
    return needs;
  }

  static double cost(const std::vector<Needs>& all, const Effort& effort) {
    std::size_t estimated = 0, kept = 0;
    for (const Needs& needs : all)
      for (const Explored& explored : needs.explored) {
        const std::size_t lists = std::min(effort.lists_max, explored.lists.size());
        for (std::size_t i = 0; i < lists && explored.lists[i].probe_sigmas <= effort.probe_sigmas; ++i)
          estimated += explored.lists[i].rows;
        for (const Explored::Row& row : explored.rows) kept += row.keep_sigmas <= effort.keep_sigmas ? 1 : 0;
      }
    return static_cast<double>(estimated) + kCostOfKept * static_cast<double>(kept);
  }

  // The least probing with which each kind finds the share it should under the other limits; infinite if none does.
  static float least_probing(const std::vector<Needs>& all, float keep, std::size_t lists_max, float share) {
    float most = 0;
    for (const Needs& needs : all) {
      std::vector<float> probes;
      for (const Explored::Row& row : needs.of_neighbours)
        if (row.keep_sigmas <= keep && row.list_rank < lists_max) probes.push_back(row.probe_sigmas);
      const auto wanted = static_cast<std::size_t>(std::ceil(share * static_cast<float>(needs.of_neighbours.size())));
      if (probes.size() < wanted || wanted == 0) return std::numeric_limits<float>::infinity();
      const auto last = probes.begin() + static_cast<std::ptrdiff_t>(wanted - 1);
      std::nth_element(probes.begin(), last, probes.end());
      most = std::max(most, *last);
    }
    return most;
  }

  void fill(EffortTable& table, std::size_t n) {
    std::vector<Needs> all;
    for (const Kind& kind : kinds_) all.push_back(explore(n, kind));
    const std::size_t lists = codebook_.clusters.count();
    for (std::size_t t = 0; t < EffortTable::kTargets.size() && !stop_; ++t) {
      const float reserve = (was_asked_ ? kReserveAsked : kReserveMade)[n];
      const float share = EffortTable::kTargets[t] + reserve * (1 - EffortTable::kTargets[t]);
      double cheapest = std::numeric_limits<double>::infinity();
      // Made-up queries do not show how far those to come will lie: no limit of lists is taken from them.
      for (std::size_t most = lists; most > (was_asked_ ? lists / 64 : lists - 1); most = most * 4 / 5)
        for (float keep = kKeepSigmasMin; keep <= kKeepSigmasMax; keep += kKeepSigmasStep) {
          const Effort effort{least_probing(all, keep, most, share), keep, most};
          if (!std::isfinite(effort.probe_sigmas)) continue;
          const double this_cost = cost(all, effort);
          if (this_cost >= cheapest) continue;
          cheapest = this_cost;
          table.efforts_[n][t] = effort;
        }
      if (table.efforts_[n][t]) relax(n, share, *table.efforts_[n][t]);
    }
  }

  // What exploring says is a little too much: a search that stops early keeps what the whole one would have dropped.
  // The least probing, of a few that are tried, with which searches still find the share.
  void relax(std::size_t n, float share, Effort& effort) {
    float low = kRelaxMost * effort.probe_sigmas;
    for (int i = 0; i < (was_asked_ ? kRelaxTriesAsked : kRelaxTriesMade); ++i) {
      const Effort middle{(low + effort.probe_sigmas) / 2, effort.keep_sigmas, effort.lists_max};
      if (recall(n, middle) >= share)
        effort = middle;
      else
        low = middle.probe_sigmas;
    }
  }

  /// Of the worst kind.
  float recall(std::size_t n, const Effort& effort) {
    float least = 1;
    for (const Kind& kind : kinds_) least = std::min(least, recall(n, effort, kind));
    return least;
  }

  float recall(std::size_t n, const Effort& effort, const Kind& kind) {
    const std::size_t k = EffortTable::kNeighbours[n], given = kind.is_row ? 1 : 0;
    const std::size_t queries = std::min(kind.count, kQueriesUsed[n]);
    std::atomic<std::size_t> right{0};
    tbb::parallel_for(tbb::blocked_range<std::size_t>(0, queries, 4), [&](const auto& range) {
      FunnelSearch& search = searches_.local();
      std::vector<Hit> hits;
      for (std::size_t i = range.begin(); i < range.end() && !stop_; ++i) {
        search.run(rows_, codebook_, segments_, delta_begin_, request(kind.first + i, k + given, effort), hits);
        right += right_of(hits, truth_[kind.first + i], k, given);
      }
    });
    return static_cast<float>(right) / static_cast<float>(queries * k);
  }

  // Of the k best after the first `given`, which are not counted. A row that scores as well as the last is right: rows
  // may be equal.
  static std::size_t right_of(const std::vector<Hit>& hits, const std::vector<Hit>& truth, std::size_t k,
                              std::size_t given) {
    const float score = truth[k + given - 1].score;
    const float least = score - 1e-6F * std::max(1e-6F, std::abs(score));
    const auto right = static_cast<std::size_t>(
        std::count_if(hits.begin(), hits.end(), [&](const Hit& hit) { return hit.score >= least; }));
    return std::min(k, right - std::min(given, right));
  }

  FunnelRequest request(std::size_t query, std::size_t k, const Effort& effort) const {
    const float* const values = queries_.data() + query * rows_.dimension();
    FunnelRequest request;
    request.query = values;
    request.squared_norm = inner_product_f64(values, values, rows_.dimension());
    request.k = k;
    request.effort = effort;
    request.view = view_;
    return request;
  }

  static constexpr float kInfinite = std::numeric_limits<float>::infinity();
  static constexpr Explored::Row kNever = {kNoSlot, kInfinite, kInfinite, ~std::uint32_t{0}};

  const ExactRows& rows_;
  const Codebook& codebook_;
  const std::span<const CodeSegmentPtr> segments_;
  const Slot delta_begin_;
  const View view_;
  const std::atomic<bool>& stop_;
  std::vector<Slot> live_;
  std::vector<float> queries_;
  std::vector<Kind> kinds_;
  bool was_asked_ = false;
  std::vector<float> nearness_;
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
                std::max(low->keep_sigmas, far.keep_sigmas), std::max(low->lists_max, far.lists_max)};
}

EffortTable calibrate(const ExactRows& rows, const Codebook& codebook, std::span<const CodeSegmentPtr> segments,
                      Slot delta_begin, const View& view, std::span<const float> asked, const std::atomic<bool>& stop) {
  return Calibration(rows, codebook, segments, delta_begin, view, stop).run(asked);
}

}  // namespace mneme::index
