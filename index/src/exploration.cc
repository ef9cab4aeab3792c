#include "exploration.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace mneme::index {
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();
constexpr std::uint32_t kNowhere = ~std::uint32_t{0};
// A search raises its threshold now and then; when depends a little on what it keeps. Most keep about so much.
constexpr float kUsualKeep = 2.5F;

}  // namespace

std::size_t Explored::lists_scanned(const Effort& effort) const {
  const auto stop = std::upper_bound(probing.begin(), probing.end(), effort.probe_sigmas);
  return std::min(static_cast<std::size_t>(stop - probing.begin()), effort.lists_max);
}

std::size_t Explored::found(const Effort& effort) const {
  const std::size_t lists = lists_scanned(effort);
  if (lists == 0) return known;
  const float least = kth[lists - 1] - effort.keep_sigmas * keep_sigma;
  return known +
         static_cast<std::size_t>(std::count_if(neighbours.begin(), neighbours.end(), [&](const Neighbour& one) {
           return one.chosen && one.rank < lists && one.probing <= effort.probe_sigmas && one.estimate >= least &&
                  kRestLevels[one.rest] <= effort.rest_sigmas;
         }));
}

Explorer::Explorer(const Codebook& codebook, std::span<const CodeSegmentPtr> segments, Slot delta_begin)
    : codebook_(codebook), segments_(segments), delta_begin_(delta_begin) {
  least_eight_bit_error_ = std::numeric_limits<float>::infinity();
  for (const CodeSegmentPtr& segment : segments) {
    one_bit_error_ = std::max(one_bit_error_, segment->one_bit_error());
    residual_ = std::max(residual_, segment->residual_length());
    if (segment->rows() > 0) least_eight_bit_error_ = std::min(least_eight_bit_error_, segment->eight_bit_error());
    std::vector<std::uint32_t>& position = position_.emplace_back(segment->end() - segment->first(), kNowhere);
    for (std::size_t list = 0; list < codebook.clusters.count(); ++list)
      for (std::uint32_t i = 0; i < segment->list_rows(list); ++i)
        position[segment->slot(segment->list_begin(list) + i) - segment->first()] = segment->list_begin(list) + i;
  }
}

void Explorer::explore(const float* query, double squared_norm, std::span<const std::size_t> ks, std::size_t given,
                       std::span<const Hit> truth, std::span<Explored> out) {
  prepare(query, squared_norm);
  ways_.resize(ks.size());
  for (std::size_t i = 0; i < ks.size(); ++i) ways_[i].begin(ks[i] + given);
  scan_all(out);
  find_places(truth.first(ks.back() + given));
  score_places();
  for (std::size_t i = 0; i < ks.size(); ++i) note(ways_[i], given, out[i]);
}

// As a search does.
void Explorer::prepare(const float* query, double squared_norm) {
  query_.prepare(codebook_, query, squared_norm, {}, least_eight_bit_error_ / 4);
  keep_sigma_ = one_bit_error_ * query_.norm();
  probe_sigma_ = residual_ * query_.norm() / std::sqrt(static_cast<float>(codebook_.rotation.size()));
  const std::span<const float> bases = query_.near_bases();
  order_.resize(bases.size());
  std::iota(order_.begin(), order_.end(), 0U);
  std::sort(order_.begin(), order_.end(), [&](std::uint32_t x, std::uint32_t y) { return bases[x] > bases[y]; });
  rank_.resize(order_.size());
  for (std::uint32_t i = 0; i < order_.size(); ++i) rank_[order_[i]] = i;
  nearness_ = bases[order_.front()];
  if (codebook_.metric == Metric::InnerProduct && query_.norm() > 0) nearness_ /= query_.norm();
}

void Explorer::Way::begin(std::size_t neighbours) {
  k = neighbours;
  total = 0;
  raise_at = std::max<std::size_t>(2 * k, 64);
  best.clear();
  kept.clear();
  kth = threshold = kNothing;
  furthest = 0;
}

float Explorer::Way::kth_now() const { return best.size() == k ? best.front() : kNothing; }
float Explorer::Way::kth_of_search() const { return total >= k ? kth : kNothing; }

// What FunnelSearch::choose() does after each list, but that the k best are always known.
void Explorer::Way::scanned(std::span<const float> estimates, float keep_sigma) {
  for (const float estimate : estimates) {
    if (!(estimate > threshold)) continue;
    kept.push_back(estimate);
    if (best.size() == k) {
      if (estimate <= best.front()) continue;
      std::pop_heap(best.begin(), best.end(), std::greater<>());
      best.back() = estimate;
    } else {
      best.push_back(estimate);
    }
    std::push_heap(best.begin(), best.end(), std::greater<>());
  }
  total = kept.size();
  if (total < raise_at) return;
  kth = std::max(kth, kth_now());
  threshold = kth - kUsualKeep * keep_sigma;
  std::erase_if(kept, [&](float estimate) { return estimate < threshold; });
  total = kept.size();
  raise_at = std::max(total + total / 4, total + std::max<std::size_t>(k / 2, 32));
}

// How far a list lies below the k-th best.
float Explorer::sigmas_below(const Way& way, float base) const {
  const float below = way.total >= way.k ? way.kth - base : 0;
  if (!(below > 0)) return 0;
  return probe_sigma_ > 0 ? below / probe_sigma_ : std::numeric_limits<float>::infinity();
}

void Explorer::scan_all(std::span<Explored> out) {
  const std::size_t lists = order_.size();
  for (Explored& explored : out) {
    explored.probing.resize(lists);
    explored.wanting.resize(lists);
    explored.kth.resize(lists);
    explored.rest.resize(lists);
  }
  list_rows_.assign(lists, {});
  sections_.clear();
  std::size_t used = 0;
  for (std::size_t rank = 0; rank < lists; ++rank) {
    const std::uint32_t list = order_[rank];
    for (std::size_t i = 0; i < ways_.size(); ++i) {
      Way& way = ways_[i];
      way.furthest = std::max(way.furthest, sigmas_below(way, query_.near_bases()[list]) - query_.slack());
      out[i].probing[rank] = way.furthest;
      out[i].wanting[rank] = sigmas_below(way, query_.base(list));
    }
    const std::size_t begin = used;
    const std::uint32_t* const next = rank + 1 < lists ? &order_[rank + 1] : nullptr;
    const Spread sample = scan_list(list, next, list_rows_[rank], used);
    for (std::size_t i = 0; i < ways_.size(); ++i) {
      const float needed = Effort::rest_needed(sample, query_.base(list), ways_[i].kth_of_search());
      const auto level = std::lower_bound(kRestLevels.begin(), kRestLevels.end() - 1, needed);
      out[i].rest[rank] = static_cast<std::uint8_t>(level - kRestLevels.begin());
      ways_[i].scanned({scores_.data() + begin, used - begin}, keep_sigma_);
      out[i].kth[rank] = ways_[i].kth_now();
    }
  }
  sections_.push_back(used);
}

// All of it, as a search that samples it first would. @return how the sample lies
Spread Explorer::scan_list(std::uint32_t list, const std::uint32_t* next, ListRows& rows, std::size_t& used) {
  const float threshold = ways_.back().kth_now() - keep_level(kKeepLevels - 1) * keep_sigma_;
  Spread sample;
  for (const CodeSegmentPtr& segment : segments_) {
    const std::size_t n = segment->list_rows(list), sampled = rows_sampled(n);
    const std::size_t needed = used + n + Candidates::kSpare;
    if (scores_.size() < needed) {
      for (std::vector<float>* values : {&scores_, &bases_}) values->resize(2 * needed);
      positions_.resize(2 * needed);
    }
    sections_.push_back(used);
    rows.sampled += static_cast<std::uint32_t>(sampled);
    rows.rest += static_cast<std::uint32_t>(n - sampled);
    for (std::size_t first = 0, end = sampled; first < n; first = end, end = n) {
      OneBitList part{segment->list_blocks(list, first), end - first,
                      segment->list_begin(list) + static_cast<std::uint32_t>(first), query_.base(list)};
      if (next != nullptr) part.ahead = segment->list_blocks(*next);
      used = scan_one_bit(query_.one_bit(), part, threshold, {scores_.data(), bases_.data(), positions_.data()}, used,
                          first == 0 ? &sample : nullptr);
    }
  }
  return sample;
}

// Where the neighbours turned up: positions in a section rise.
void Explorer::find_places(std::span<const Hit> truth) {
  places_.clear();
  for (const Hit& hit : truth) {
    Place& place = places_.emplace_back();
    place.rank = kNowhere;
    place.estimate = place.eight_bit = kNothing;
    place.segment = segments_.size();
    if (hit.slot >= delta_begin_) continue;
    for (std::size_t s = 0; s < segments_.size(); ++s) {
      if (hit.slot < segments_[s]->first() || hit.slot >= segments_[s]->end()) continue;
      place.position = position_[s][hit.slot - segments_[s]->first()];
      if (place.position == kNowhere) break;
      const std::uint32_t rank = rank_[segments_[s]->list_of(place.position)];
      const std::size_t section = rank * segments_.size() + s;
      const auto begin = positions_.begin() + static_cast<std::ptrdiff_t>(sections_[section]);
      const auto end = positions_.begin() + static_cast<std::ptrdiff_t>(sections_[section + 1]);
      const auto at = std::lower_bound(begin, end, place.position);
      if (at == end || *at != place.position) break;
      place.segment = s;
      place.rank = rank;
      place.estimate = scores_[static_cast<std::size_t>(at - positions_.begin())];
      place.is_sampled =
          place.position - segments_[s]->list_begin(order_[rank]) < rows_sampled(segments_[s]->list_rows(order_[rank]));
    }
    if (place.rank == kNowhere) place.segment = segments_.size() + 1;
  }
}

// By the 8-bit codes, which choose after the estimates.
void Explorer::score_places() {
  eight_bit_error_ = 0;
  std::vector<float> scores, bases;
  std::vector<std::uint32_t> positions;
  for (std::size_t s = 0; s < segments_.size(); ++s) {
    scores.clear();
    bases.clear();
    positions.clear();
    for (const Place& place : places_)
      if (place.segment == s) {
        positions.push_back(place.position);
        bases.push_back(query_.base(order_[place.rank]));
      }
    eight_bit_error_ = std::max(eight_bit_error_, FunnelSearch::eight_bit_error(query_, *segments_[s]));
    if (!segments_[s]->verify(positions)) continue;  // as if never found; searches will say why
    scores.resize(positions.size());
    query_.score_eight_bit(*segments_[s], {scores.data(), bases.data(), positions.data()}, positions.size());
    auto score = scores.begin();
    for (Place& place : places_)
      if (place.segment == s) place.eight_bit = *score++;
  }
}

void Explorer::note(const Way& way, std::size_t given, Explored& out) const {
  const float kth = way.kth_now(), step = (keep_level(1) - keep_level(0)) * keep_sigma_;
  const auto level_of = [&](float estimate) {
    const float below = kth - estimate - keep_level(0) * keep_sigma_;
    if (!(below > 0)) return std::size_t{0};
    const float level = std::ceil(below / step);  // no number where all rows lie on their centroids
    return level < static_cast<float>(kKeepLevels) ? static_cast<std::size_t>(level) : kKeepLevels;
  };
  out.keep_sigma = keep_sigma_;
  out.kept = {};
  for (std::size_t i = 0; i < sections_.back(); ++i)
    if (const std::size_t level = level_of(scores_[i]); level < kKeepLevels) ++out.kept[level];
  std::partial_sum(out.kept.begin(), out.kept.end(), out.kept.begin());

  std::vector<float> eight_bit;
  for (const Place& place : places_)
    if (place.segment < segments_.size()) eight_bit.push_back(place.eight_bit);
  float least = kNothing;
  if (eight_bit.size() >= way.k) {
    const auto at = eight_bit.begin() + static_cast<std::ptrdiff_t>(way.k - 1);
    std::nth_element(eight_bit.begin(), at, eight_bit.end(), std::greater<>());
    least = *at - kEightBitSigmas * eight_bit_error_;
  }
  out.known = 0;
  out.neighbours.clear();
  for (std::size_t i = given; i < way.k; ++i) {
    const Place& place = places_[i];
    if (place.segment == segments_.size()) ++out.known;
    if (place.segment < segments_.size())
      out.neighbours.push_back({place.rank, static_cast<std::uint32_t>(level_of(place.estimate)),
                                std::max(out.probing[place.rank], out.wanting[place.rank]),
                                place.is_sampled ? std::uint8_t{0} : out.rest[place.rank], place.estimate,
                                place.eight_bit >= least && place.eight_bit > kNothing});
  }
}

}  // namespace mneme::index
