#include "effort.h"

#include <tbb/blocked_range.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "effort_costs.h"
#include "exploration.h"
#include "mneme/index/kernels.h"
#include "near_truth.h"

namespace mneme::index {
namespace {

constexpr std::size_t kMadePerKind = 192;  // queries made where too few were asked
// Queries used of each kind, by kNeighbours: a search for many says much by itself.
constexpr std::array<std::size_t, 4> kQueriesUsed = {EffortTable::kAskedForOne, 512, 320, 64};
// Of what the target leaves, by kNeighbours: samples are small (for one neighbour, right or wrong), and data moves on.
constexpr std::array<float, 4> kReserveMade = {0.8F, 0.5F, 0.5F, 0.4F}, kReserveAsked = {0.6F, 0.12F, 0.12F, 0.12F};
// … and as much more for each target as luck counts for more where few may be missed.
constexpr std::array<float, 3> kLuckOfAsked = {1, 1, 4};
// Where recall differs much from query to query, a sample says less about all: so many of its standard errors are added
// to the target, less what the promise allows to be missed.
constexpr float kErrorsOfSample = 2, kAllowed = 0.01F;
// Queries, by kNeighbours, on which searches confirm what exploring tells; how much less they may find, of what the target
// leaves; how much more is probed each time that they find less.
constexpr std::array<std::size_t, 4> kQueriesConfirmed = {128, 128, 64, 16};
constexpr float kLessConfirmed = 0.06F, kMoreProbing = 1.1F;
constexpr std::size_t kLuckOfConfirmed = 2;  // neighbours, at any target
constexpr int kConfirmTries = 5;
constexpr std::size_t kQueriesPerOutermost = 256;         // so few at either end do not tell what is usual
constexpr float kRelaxMost = 0.6F;                        // of the probing that exploring asks for
constexpr int kRelaxTriesMade = 2, kRelaxTriesAsked = 5;  // what is asked again and again deserves more
constexpr std::size_t kQueriesCosted = 128;               // about so many of a kind tell what an effort costs
constexpr float kRounding = 1e-5F;                        // sums of the same products, one in float32
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
    if (!find_truth()) return table;  // no memory, or damage: every search is exact until the next time
    explore();
    for (std::size_t n = 0; n < explored_.size() && !stop_; ++n) fill(table, n);
    if (stop_) return {};
    if (!nearness_.empty()) {
      std::sort(nearness_.begin(), nearness_.end());
      const std::size_t outermost = nearness_.size() / kQueriesPerOutermost;
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
    std::mt19937_64 random(7);
    if (was_asked_) {
      // In any order but that in which they came: the first of them are used most.
      std::vector<std::size_t> order(asked.size() / dimension);
      std::iota(order.begin(), order.end(), std::size_t{0});
      for (std::size_t i = 0; i < order.size(); ++i) std::swap(order[i], order[i + random() % (order.size() - i)]);
      for (const std::size_t i : order) {
        const std::span<const float> query = asked.subspan(i * dimension, dimension);
        queries_.insert(queries_.end(), query.begin(), query.end());
      }
      kinds_ = {{0, order.size(), false}};
      return;
    }
    const auto any = [&] { return rows_.blocks().row(live_[random() % live_.size()]); };
    for (std::size_t i = 0; i < 2 * kMadePerKind; ++i) {
      const float* const a = any();
      const float* const b = i < kMadePerKind ? a : any();
      for (std::size_t d = 0; d < dimension; ++d) queries_.push_back(a[d] / 2 + b[d] / 2);
    }
    kinds_ = {{0, kMadePerKind, true}, {kMadePerKind, kMadePerKind, false}};
  }

  /// Of the i-th query of its kind: how many of kNeighbours it is used for.
  std::size_t uses(std::size_t i) const {
    std::size_t n = 0;
    while (n < EffortTable::kNeighbours.size() && i < kQueriesUsed[n] &&
           EffortTable::kNeighbours[n] * kRowsPerNeighbour <= live_.size())
      ++n;
    return n;
  }

  // As many neighbours of each query as it is used for.
  bool find_truth() {
    truth_.resize(queries_.size() / rows_.dimension());
    for (const Kind& kind : kinds_)
      for (std::size_t begin = 0, end = 0; begin < kind.count; begin = end) {
        const std::size_t used = uses(begin);
        while (end < kind.count && uses(end) == used) ++end;
        if (used == 0) continue;
        const std::size_t dimension = rows_.dimension();
        auto hits = near_truth(rows_, codebook_, segments_, delta_begin_, view_,
                               std::span(queries_).subspan((kind.first + begin) * dimension, (end - begin) * dimension),
                               std::min(EffortTable::kNeighbours[used - 1] + 1, live_.size()), stop_);
        if (!hits || stop_) return false;
        std::move(hits->begin(), hits->end(), truth_.begin() + static_cast<std::ptrdiff_t>(kind.first + begin));
      }
    return true;
  }

  void explore() {
    const std::size_t dimension = rows_.dimension();
    explored_.resize(uses(0));
    for (auto& of_k : explored_) of_k.resize(truth_.size());
    list_rows_.resize(truth_.size());
    nearness_.resize(truth_.size());
    const Explorer fresh(codebook_, segments_, delta_begin_);
    tbb::enumerable_thread_specific<Explorer> explorers(fresh);
    for (const Kind& kind : kinds_)
      tbb::parallel_for(tbb::blocked_range<std::size_t>(0, kind.count, 4), [&](const auto& range) {
        Explorer& explorer = explorers.local();
        std::array<Explored, EffortTable::kNeighbours.size()> out;
        for (std::size_t i = range.begin(); i < range.end() && !stop_; ++i) {
          const std::size_t used = uses(i), at = kind.first + i;
          if (used == 0) continue;
          const float* const query = queries_.data() + at * dimension;
          explorer.explore(query, inner_product_f64(query, query, dimension),
                           std::span(EffortTable::kNeighbours).first(used), kind.is_row ? 1 : 0, truth_[at], out);
          for (std::size_t n = 0; n < used; ++n) explored_[n][at] = std::exchange(out[n], {});
          list_rows_[at] = explorer.list_rows();
          nearness_[at] = explorer.nearness();
        }
      });
  }

  /// What queries of `kind` say about the n-th of kNeighbours.
  std::span<const Explored> explored(std::size_t n, const Kind& kind) const {
    return std::span(explored_[n]).subspan(kind.first, std::min(kind.count, kQueriesUsed[n]));
  }

  /// Of the true neighbours, by target.
  using Shares = std::array<float, EffortTable::kTargets.size()>;
  /// Probing by target and level of keeping.
  using Probing = std::array<std::array<float, kKeepLevels>, EffortTable::kTargets.size()>;

  /// One neighbour: the probing and the levels with which the whole search finds it.
  struct Need {
    float probing;
    std::uint32_t level, rank, rest;
  };

  // What queries of one kind need, least probing first.
  std::vector<Need> needs_of(std::size_t n, const Kind& kind) const {
    std::vector<Need> needs;
    for (const Explored& one : explored(n, kind)) {
      for (std::size_t i = 0; i < one.known; ++i) needs.push_back({0, 0, 0, 0});
      for (const Explored::Neighbour& neighbour : one.neighbours)
        if (neighbour.level < kKeepLevels)
          needs.push_back({neighbour.probing, neighbour.level, neighbour.rank, neighbour.rest});
    }
    std::sort(needs.begin(), needs.end(), [](const Need& a, const Need& b) { return a.probing < b.probing; });
    return needs;
  }

  // Raises `least` to the least probing with which a kind finds the share that it should; infinite if none does.
  static void raise_to_share(const std::vector<Need>& needs, std::size_t all, const Shares& shares,
                             std::size_t lists_max, std::size_t rest, Probing& least) {
    std::array<std::uint32_t, 3> wanted{};
    static_assert(wanted.size() == EffortTable::kTargets.size());
    for (std::size_t t = 0; t < wanted.size(); ++t)
      wanted[t] = static_cast<std::uint32_t>(std::ceil(shares[t] * static_cast<float>(all)));
    Probing reached;
    for (auto& of_target : reached) of_target.fill(std::numeric_limits<float>::infinity());
    std::array<std::uint32_t, kKeepLevels + 1> found{};  // loops over it are loops over vectors
    for (const Need& need : needs) {
      if (need.rank >= lists_max || need.rest > rest) continue;
      std::uint32_t is_any = 0;
      for (std::uint32_t level = 0; level < found.size(); ++level) {
        found[level] += level >= need.level ? 1 : 0;
        is_any |= (found[level] == wanted[0] ? 1U : 0U) | (found[level] == wanted[1] ? 1U : 0U) |
                  (found[level] == wanted[2] ? 1U : 0U);
      }
      if (is_any == 0) continue;
      for (std::size_t t = 0; t < wanted.size(); ++t)
        for (std::size_t level = need.level; level < kKeepLevels; ++level)
          if (found[level] == wanted[t]) reached[t][level] = need.probing;
    }
    for (std::size_t t = 0; t < wanted.size(); ++t)
      for (std::size_t level = 0; level < kKeepLevels; ++level)
        least[t][level] = std::max(least[t][level], reached[t][level]);
  }

  float share_of(std::size_t n, std::size_t t) const {
    const float reserve = was_asked_ ? std::min(kReserveAsked[n] * kLuckOfAsked[t], 0.8F) : kReserveMade[n];
    return EffortTable::kTargets[t] + reserve * (1 - EffortTable::kTargets[t]);
  }

  void fill(EffortTable& table, std::size_t n) {
    Shares shares;
    for (std::size_t t = 0; t < shares.size(); ++t) shares[t] = share_of(n, t);
    const Told told = told_of(n);
    choose(table, n, shares, told);
    bool is_more = false;
    for (std::size_t t = 0; t < shares.size(); ++t) {
      if (!table.efforts_[n][t]) continue;
      const float share =
          std::min(EffortTable::kTargets[t] + kErrorsOfSample * error_of_sample(n, *table.efforts_[n][t]) - kAllowed,
                   (1 + EffortTable::kTargets[t]) / 2);
      is_more |= share > shares[t];
      shares[t] = std::max(shares[t], share);
    }
    if (is_more) choose(table, n, shares, told);
    for (std::size_t t = 0; t < shares.size() && was_asked_ && !stop_; ++t)
      if (table.efforts_[n][t]) confirm(n, EffortTable::kTargets[t], *table.efforts_[n][t]);
  }

  /// The cheapest effort for each target.
  struct Cheapest {
    std::array<std::optional<Effort>, EffortTable::kTargets.size()> efforts;
    std::array<double, EffortTable::kTargets.size()> costs;
    Cheapest() { costs.fill(std::numeric_limits<double>::infinity()); }
    void take(std::size_t t, const Effort& effort, double cost) {
      if (cost >= costs[t]) return;
      costs[t] = cost;
      efforts[t] = effort;
    }
  };

  /// What exploring tells about one k.
  struct Told {
    EffortCosts costs;
    std::vector<std::vector<Need>> needs;  // by kind
  };
  Told told_of(std::size_t n) const {
    Told told;
    for (const Kind& kind : kinds_) {
      told.needs.push_back(needs_of(n, kind));
      const std::span<const Explored> all = explored(n, kind);
      for (std::size_t i = 0; i < all.size(); i += 1 + all.size() / kQueriesCosted)
        told.costs.add(all[i], list_rows_[kind.first + i]);
    }
    return told;
  }

  // The cheapest efforts that find these shares.
  void choose(EffortTable& table, std::size_t n, const Shares& shares, const Told& told) const {
    // Made-up queries do not show how far those to come will lie: neither a limit of lists is taken from them nor one
    // of what a list may hold. The latter is not taken for one neighbour either: right or wrong a few times in hundreds,
    // it tells too little for so many efforts to choose from.
    std::vector<std::pair<std::size_t, std::size_t>> limits;
    const std::size_t lists = codebook_.clusters.count(), whole = kRestLevels.size() - 1;
    for (std::size_t most = lists; most > (was_asked_ ? lists / 64 : lists - 1); most = most * 4 / 5)
      for (std::size_t rest = was_asked_ && n > 0 ? 0 : whole; rest <= whole; ++rest) limits.emplace_back(most, rest);
    std::vector<Cheapest> found(limits.size());
    tbb::parallel_for(std::size_t{0}, limits.size(), [&](std::size_t i) {
      if (!stop_) found[i] = choose_within(n, shares, told, limits[i].first, limits[i].second);
    });
    Cheapest best;
    for (const Cheapest& one : found)
      for (std::size_t t = 0; t < shares.size(); ++t)
        if (one.efforts[t]) best.take(t, *one.efforts[t], one.costs[t]);
    table.efforts_[n] = best.efforts;
    for (std::size_t t = 0; t < shares.size(); ++t)
      if (table.efforts_[n][t]) relax(n, shares[t], *table.efforts_[n][t]);
  }

  Cheapest choose_within(std::size_t n, const Shares& shares, const Told& told, std::size_t lists_max,
                         std::size_t rest) const {
    Cheapest cheapest;
    Probing least{};
    for (std::size_t i = 0; i < kinds_.size(); ++i)
      raise_to_share(told.needs[i], explored(n, kinds_[i]).size() * EffortTable::kNeighbours[n], shares, lists_max,
                     rest, least);
    for (std::size_t t = 0; t < shares.size(); ++t)
      for (std::size_t level = 0; level < kKeepLevels; ++level) {
        const Effort effort{least[t][level], keep_level(level),
                            lists_max < codebook_.clusters.count() ? lists_max : SIZE_MAX, kRestLevels[rest]};
        if (std::isfinite(effort.probe_sigmas)) cheapest.take(t, effort, told.costs.of(effort, level, rest));
      }
    return cheapest;
  }

  // The standard error of the mean recall of the kind where it is largest.
  float error_of_sample(std::size_t n, const Effort& effort) const {
    double most = 0;
    for (const Kind& kind : kinds_) {
      const std::span<const Explored> all = explored(n, kind);
      const auto count = static_cast<double>(all.size());
      double sum = 0, squares = 0;
      for (const Explored& one : all) {
        const double recall = static_cast<double>(one.found(effort)) / static_cast<double>(EffortTable::kNeighbours[n]);
        sum += recall;
        squares += recall * recall;
      }
      if (count > 1) most = std::max(most, (squares - sum * sum / count) / (count - 1) / count);
    }
    return static_cast<float>(std::sqrt(most));
  }

  // Exploring raises the k-th best when a search that keeps the usual would. One that keeps more or less may stop a
  // little sooner: searches as they will be tell, and more is probed until they find what exploring said.
  void confirm(std::size_t n, float target, Effort& effort) {
    const std::size_t k = EffortTable::kNeighbours[n];
    const std::span<const Explored> some =
        explored(n, kinds_[0]).first(std::min(kinds_[0].count, kQueriesConfirmed[n]));
    std::size_t told = 0;
    for (const Explored& one : some) told += one.found(effort);
    const auto allowed = kLuckOfConfirmed +
                         static_cast<std::size_t>(kLessConfirmed * (1 - target) * static_cast<float>(some.size() * k));
    for (int i = 0; i < kConfirmTries && !stop_ && found_by_searches(some.size(), k, effort) + allowed < told; ++i) {
      effort.probe_sigmas *= kMoreProbing;
      effort.rest_sigmas *= kMoreProbing;
      if (effort.lists_max < codebook_.clusters.count())
        effort.lists_max = static_cast<std::size_t>(std::ceil(kMoreProbing * static_cast<float>(effort.lists_max)));
    }
  }

  // True neighbours, or rows as near as the last of them, of the first `count` queries; all where anything is damaged.
  std::size_t found_by_searches(std::size_t count, std::size_t k, const Effort& effort) {
    std::atomic<std::size_t> total = 0;
    std::atomic<bool> is_damaged = false;
    tbb::parallel_for(tbb::blocked_range<std::size_t>(0, count, 4), [&](const auto& range) {
      FunnelSearch& search = searches_.local();
      std::vector<Hit> hits;
      for (std::size_t i = range.begin(); i < range.end() && !stop_; ++i) {
        FunnelRequest request;
        request.query = queries_.data() + i * rows_.dimension();
        request.squared_norm = inner_product_f64(request.query, request.query, rows_.dimension());
        request.k = k;
        request.effort = effort;
        request.view = view_;
        request.check_visible = true;
        search.run(rows_, codebook_, segments_, delta_begin_, request, hits);
        if (!search.damage()) {
          is_damaged = true;  // searches will say how
          return;
        }
        const float kth = truth_[i][k - 1].score, least = kth - kRounding * std::abs(kth);
        total += static_cast<std::size_t>(
            std::count_if(hits.begin(), hits.end(), [&](const Hit& hit) { return hit.score >= least; }));
      }
    });
    return is_damaged ? count * k : total.load();
  }

  // What the whole search keeps is a little too little: one that stops early keeps what the whole one drops. The least
  // probing, of a few that are tried, with which searches still find the share.
  void relax(std::size_t n, float share, Effort& effort) const {
    float low = kRelaxMost * effort.probe_sigmas;
    for (int i = 0; i < (was_asked_ ? kRelaxTriesAsked : kRelaxTriesMade); ++i) {
      Effort middle = effort;
      middle.probe_sigmas = (low + effort.probe_sigmas) / 2;
      if (recall(n, middle) >= share)
        effort = middle;
      else
        low = middle.probe_sigmas;
    }
  }

  /// Of the worst kind.
  float recall(std::size_t n, const Effort& effort) const {
    float least = 1;
    for (const Kind& kind : kinds_) {
      const std::span<const Explored> all = explored(n, kind);
      std::size_t found = 0;
      for (const Explored& one : all) found += one.found(effort);
      least = std::min(least, static_cast<float>(found) / static_cast<float>(all.size() * EffortTable::kNeighbours[n]));
    }
    return least;
  }

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
  tbb::enumerable_thread_specific<FunnelSearch> searches_;
  std::vector<std::vector<Hit>> truth_;
  std::vector<std::vector<Explored>> explored_;  // by kNeighbours and query
  std::vector<std::vector<ListRows>> list_rows_;
};

EffortTable calibrate(const ExactRows& rows, const Codebook& codebook, std::span<const CodeSegmentPtr> segments,
                      Slot delta_begin, const View& view, std::span<const float> asked, const std::atomic<bool>& stop) {
  return Calibration(rows, codebook, segments, delta_begin, view, stop).run(asked);
}

}  // namespace mneme::index
