#include "funnel_search.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "mneme/index/kernels.h"

namespace mneme::index {
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();
constexpr std::size_t kBasesAhead = 2;     // lists whose centroids are fetched before they are needed
constexpr std::size_t kEnoughToTell = 24;  // rows that tell how a filter goes with a query

float finite(float score) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  if (std::isnan(score)) return -kLargest;               // of rows from a file that nobody could have added
  return std::clamp(score, -kLargest, kLargest) + 0.0F;  // −0 becomes 0
}

}  // namespace

bool FunnelSearch::run(const ExactRows& rows, const Codebook& codebook, std::span<const CodeSegmentPtr> segments,
                       Slot delta_begin, const FunnelRequest& request, std::vector<Hit>& hits) {
  hits.clear();
  prepare(codebook, segments, request);
  const float near = nearness();
  work_.unusual = near < request.nearness_least || near > request.nearness_most;
  if (request.score_all_kept)
    take_kept(segments, rows, request);
  else
    choose(segments, rows, request, work_.unusual ? request.effort_of_unusual : request.effort);
  choose_again(segments, request);
  return !damage_ || decide(rows, delta_begin, request, hits);
}

bool FunnelSearch::finish(const ExactRows& rows, std::span<const Slot> chosen, Slot delta_begin,
                          const FunnelRequest& request, std::vector<Hit>& hits) {
  hits.clear();
  work_ = {};
  damage_ = {};
  slots_.assign(chosen.begin(), chosen.end());
  return decide(rows, delta_begin, request, hits);
}

void FunnelSearch::prepare(const Codebook& codebook, std::span<const CodeSegmentPtr> segments,
                           const FunnelRequest& request) {
  work_ = {};
  damage_ = {};
  float eight_bit_error = std::numeric_limits<float>::infinity();
  for (const CodeSegmentPtr& segment : segments)
    if (segment->rows() > 0) eight_bit_error = std::min(eight_bit_error, segment->eight_bit_error());
  query_.prepare(codebook, request.query, request.squared_norm, request.rotated, eight_bit_error / 4);
  kept_.resize(std::max(kept_.size(), segments.size()));
  for (Kept& kept : kept_) kept.used = 0;
  float one_bit_error = 0, residual = 0;
  for (const CodeSegmentPtr& segment : segments) {
    one_bit_error = std::max(one_bit_error, segment->one_bit_error());
    residual = std::max(residual, segment->residual_length());
  }
  keep_sigma_ = one_bit_error * query_.norm();
  probe_sigma_ = residual * query_.norm() / std::sqrt(static_cast<float>(codebook.rotation.size()));
  length_counts_ = codebook.metric == Metric::InnerProduct;
  lists_.begin(query_.near_bases());
}

float FunnelSearch::nearness() {
  const float best = query_.near_bases()[lists_.at(0)];
  return length_counts_ && query_.norm() > 0 ? best / query_.norm() : best;
}

void FunnelSearch::choose(std::span<const CodeSegmentPtr> segments, const ExactRows& rows, const FunnelRequest& request,
                          const Effort& usual) {
  kth_ = threshold_ = kNothing;
  const Effort* effort = &usual;
  std::size_t total = 0, passed = 0, wanted = 0;
  std::size_t raise_at = std::max<std::size_t>(2 * request.k, 64);
  for (std::size_t rank = 0; rank < lists_.size(); ++rank) {
    const std::uint32_t list = lists_.at(rank);
    if (rank + kBasesAhead < lists_.size()) query_.fetch_base(lists_.at(rank + kBasesAhead));
    // Never before there are k: few lists may hold fewer.
    const float reach = effort->probe_sigmas * probe_sigma_, slack = query_.slack() * probe_sigma_;
    if (total >= request.k && (query_.near_bases()[list] + slack + reach < kth_ || rank >= effort->lists_max)) break;
    if (total >= request.k && query_.base(list) + reach < kth_) continue;
    const auto [all, some] = rows_of(list, segments, request);
    const bool was_enough = wanted >= std::max(request.k, kEnoughToTell);
    if (wanted < request.k && wanted + some >= request.k && goes_against(request, passed))
      effort = &request.effort_against;
    passed += all;
    wanted += some;
    if (request.levels_with > 0 && effort == &request.effort && !was_enough &&
        wanted >= std::max(request.k, kEnoughToTell))
      effort = &request.efforts_with[level_with(request, passed, wanted)];
    if (some == 0) continue;
    ++work_.lists;
    for (Kept& kept : kept_) kept.before = kept.used;
    scan_list(segments, list, rank + 1 < lists_.size() ? lists_.at(rank + 1) : list, request, *effort);
    for (std::size_t s = 0; s < segments.size(); ++s) {
      if (request.check_visible) drop_invisible(*segments[s], s, kept_[s].before, rows, request.view);
      total += kept_[s].used - kept_[s].before;
    }
    if (total >= raise_at) {
      raise_threshold(request.k, *effort);
      total = 0;
      for (const Kept& kept : kept_) total += kept.used;
      raise_at = std::max(total + total / 4, total + std::max<std::size_t>(request.k / 2, 32));
    }
  }
  if (total > request.k) raise_threshold(request.k, *effort);
}

// How many rows a list has, and how many of them the filter keeps.
std::pair<std::size_t, std::size_t> FunnelSearch::rows_of(std::uint32_t list, std::span<const CodeSegmentPtr> segments,
                                                          const FunnelRequest& request) {
  std::size_t all = 0, some = 0;
  for (std::size_t s = 0; s < segments.size(); ++s) {
    all += segments[s]->list_rows(list);
    if (request.filter != nullptr) some += request.kept[s]->in_list(list);
  }
  return {all, request.filter != nullptr ? some : all};
}

// So many rows lay nearer than the k-th that the filter keeps: more than chance explains.
bool FunnelSearch::goes_against(const FunnelRequest& request, std::size_t passed) {
  return request.filter != nullptr &&
         request.share_kept * static_cast<float>(passed) > static_cast<float>(2 * request.k + 6);
}

// Of FunnelRequest::efforts_with, `wanted` of the `passed` rows nearest to the query being kept.
std::size_t FunnelSearch::level_with(const FunnelRequest& request, std::size_t passed, std::size_t wanted) {
  const float share = static_cast<float>(wanted) / static_cast<float>(passed);
  std::size_t level = 0;
  for (float least = 2 * request.share_kept; level + 1 < request.levels_with && share >= least; least *= 2) ++level;
  return level;
}

void FunnelSearch::Kept::make_room(std::size_t more) {
  const std::size_t needed = used + more + Candidates::kSpare;
  if (scores.size() >= needed) return;
  const std::size_t size = std::max(needed, 2 * scores.size());
  scores.resize(size);
  bases.resize(size);
  positions.resize(size);
}

float Effort::rest_needed(const Spread& sample, float base, float kth) {
  const auto rows = static_cast<float>(sample.rows);
  if (sample.rows == 0 || kth == kNothing) return 0;
  const float mean = sample.sum / rows, variance = sample.squares / rows - mean * mean;
  const float below = kth - base - mean;
  if (!(below > 0)) return 0;
  return variance > 0 ? std::min(below / std::sqrt(variance), kWhole) : kWhole;
}

// Rows at the beginning of a list that are a sample of those that are wanted. A filter may keep what lies in a corner of
// the list, of which other rows tell nothing; where it keeps few, they are all looked at.
std::size_t FunnelSearch::sample_of(const CodeSegment& segment, std::size_t s, std::uint32_t list,
                                    const FunnelRequest& request) {
  constexpr std::size_t kEnough = 24;
  const std::size_t n = segment.list_rows(list);
  if (request.filter == nullptr) return rows_sampled(n);
  if (request.kept[s]->in_list(list) < 2 * kEnough) return n;
  const std::uint16_t* const masks = request.kept[s]->masks(segment.list_begin(list));
  std::size_t rows = 0;
  for (std::size_t wanted = 0; rows < n && wanted < kEnough; rows += kCodeRows)
    wanted += static_cast<std::size_t>(std::popcount(masks[rows / kCodeRows]));
  rows = (rows + kBlockRows - 1) / kBlockRows * kBlockRows;
  return rows + kBlockRows > n ? n : rows;
}

// A sample of it in every segment, and the rest of all where that may hold one of the k best.
void FunnelSearch::scan_list(std::span<const CodeSegmentPtr> segments, std::uint32_t list, std::uint32_t next,
                             const FunnelRequest& request, const Effort& effort) {
  const bool is_whole = effort.rest_sigmas >= Effort::kWhole;
  Spread sample;
  for (std::size_t s = 0; s < segments.size(); ++s) {
    const std::size_t n = segments[s]->list_rows(list);
    const bool keeps_few =
        request.filter != nullptr && !request.cold && request.kept[s]->in_list(list) * kCostOfProduct <= n;
    kept_[s].sampled = is_whole || keeps_few ? n : sample_of(*segments[s], s, list, request);
    if (keeps_few)
      score_kept(*segments[s], s, list, request);
    else if (n > 0)
      scan(*segments[s], s, list, 0, kept_[s].sampled, next, request, &sample);
  }
  if (is_whole || !effort.wants_rest(sample, query_.base(list), kth_)) return;
  for (std::size_t s = 0; s < segments.size(); ++s)
    if (const std::size_t n = segments[s]->list_rows(list); n > kept_[s].sampled)
      scan(*segments[s], s, list, kept_[s].sampled, n, next, request, nullptr);
}

// The rows [begin, end) of a list; `begin` is a multiple of kBlockRows.
void FunnelSearch::scan(const CodeSegment& segment, std::size_t s, std::uint32_t list, std::size_t begin,
                        std::size_t end, std::uint32_t next, const FunnelRequest& request, Spread* spread) {
  Kept& kept = kept_[s];
  kept.make_room(end - begin);
  OneBitList rows{segment.list_blocks(list, begin), end - begin,
                  segment.list_begin(list) + static_cast<std::uint32_t>(begin), query_.base(list)};
  if (request.filter != nullptr) rows.wanted = request.kept[s]->masks(rows.position);
  rows.ahead = segment.list_blocks(next);
  kept.used = scan_one_bit(query_.one_bit(), rows, threshold_, kept.arrays(), kept.used, spread);
  work_.estimated += end - begin;
}

// Every row that the filter keeps, in place of a choice.
void FunnelSearch::take_kept(std::span<const CodeSegmentPtr> segments, const ExactRows& rows,
                             const FunnelRequest& request) {
  for (std::size_t s = 0; s < segments.size(); ++s) {
    kept_[s].make_room(request.kept[s]->count());
    some_lists_.clear();
    for (std::uint32_t list = 0; list < segments[s]->lists(); ++list)
      if (request.kept[s]->in_list(list) > 0) some_lists_.push_back(list);
    for (std::size_t i = 0; i < some_lists_.size(); ++i) {
      if (i + kBasesAhead < some_lists_.size()) query_.fetch_base(some_lists_[i + kBasesAhead]);
      take_kept(*segments[s], s, some_lists_[i], request);
    }
    if (request.check_visible) drop_invisible(*segments[s], s, 0, rows, request.view);
  }
}

// Every row of a list that the filter keeps, without a score.
void FunnelSearch::take_kept(const CodeSegment& segment, std::size_t s, std::uint32_t list,
                             const FunnelRequest& request) {
  const PositionBitmap& wanted = *request.kept[s];
  Kept& kept = kept_[s];
  std::uint32_t left = wanted.in_list(list);
  if (left == 0) return;
  kept.make_room(left);
  const float base = query_.base(list);
  const std::uint16_t* masks = wanted.masks(segment.list_begin(list));
  for (std::uint32_t first = segment.list_begin(list); left > 0; first += kCodeRows)
    for (unsigned bits = *masks++; bits != 0; bits &= bits - 1, --left) {
      kept.positions[kept.used] = first + static_cast<std::uint32_t>(std::countr_zero(bits));
      kept.bases[kept.used++] = base;
    }
}

// A filter keeps few of a list: their 8-bit codes are read sooner than the 1-bit codes of all beside them.
void FunnelSearch::score_kept(const CodeSegment& segment, std::size_t s, std::uint32_t list,
                              const FunnelRequest& request) {
  Kept& kept = kept_[s];
  const std::size_t before = kept.used;
  take_kept(segment, s, list, request);
  const Candidates taken{kept.scores.data() + before, kept.bases.data() + before, kept.positions.data() + before};
  const std::size_t count = kept.used - before;
  kept.used = before;
  if (damage_) damage_ = segment.verify({taken.positions, count});
  if (!damage_) return;
  query_.score_eight_bit(segment, taken, count);
  work_.kept += count;
  kept.used += keep_at_least(threshold_, taken, count);
}

// Of a segment's candidates from `begin` on.
void FunnelSearch::drop_invisible(const CodeSegment& segment, std::size_t s, std::size_t begin, const ExactRows& rows,
                                  const View& view) {
  Kept& kept = kept_[s];
  std::size_t end = begin;
  for (std::size_t i = begin; i < kept.used; ++i) {
    if (!rows.visible(segment.slot(kept.positions[i]), view)) continue;
    kept.scores[end] = kept.scores[i];
    kept.bases[end] = kept.bases[i];
    kept.positions[end++] = kept.positions[i];
  }
  kept.used = end;
}

// The k-th best score of all candidates; −∞ while there are fewer.
float FunnelSearch::kth_best(std::size_t k) {
  std::size_t total = 0;
  for (const Kept& kept : kept_) total += kept.used;
  if (total < k) return kNothing;
  if (scores_.size() < total + Candidates::kSpare) scores_.resize(total + Candidates::kSpare);
  if (scratch_.size() < scores_.size()) scratch_.resize(scores_.size());
  float* end = scores_.data();
  for (const Kept& kept : kept_) end = std::copy_n(kept.scores.data(), kept.used, end);
  return kth_largest(scores_.data(), total, k, scratch_.data());
}

void FunnelSearch::raise_threshold(std::size_t k, const Effort& effort) {
  kth_ = std::max(kth_, kth_best(k));
  threshold_ = kth_ - effort.keep_sigmas * keep_sigma_;
  for (Kept& kept : kept_) kept.used = keep_at_least(threshold_, kept.arrays(), kept.used);
}

float FunnelSearch::eight_bit_error(const CodeQuery& query, const CodeSegment& segment) {
  const float rows_part = segment.eight_bit_error() * query.norm();
  const float query_part = query.eight_bit_step() / std::sqrt(12.0F) * segment.residual_length();
  return std::sqrt(rows_part * rows_part + query_part * query_part);
}

// By 8-bit products, into slots_.
void FunnelSearch::choose_again(std::span<const CodeSegmentPtr> segments, const FunnelRequest& request) {
  if (!damage_) return;
  float error = 0;
  for (std::size_t s = 0; s < segments.size(); ++s) {
    damage_ = segments[s]->verify({kept_[s].positions.data(), kept_[s].used});
    if (!damage_) return;
    query_.score_eight_bit(*segments[s], kept_[s].arrays(), kept_[s].used);
    work_.kept += kept_[s].used;
    error = std::max(error, eight_bit_error(query_, *segments[s]));
  }
  const float least = kth_best(request.k) - request.eight_bit_sigmas * error;
  slots_.clear();
  for (std::size_t s = 0; s < segments.size(); ++s)
    for (std::size_t i = 0; i < kept_[s].used; ++i)
      if (kept_[s].scores[i] >= least) slots_.push_back(segments[s]->slot(kept_[s].positions[i]));
}

// Among slots_ and what has no codes, in float32.
bool FunnelSearch::decide(const ExactRows& rows, Slot delta_begin, const FunnelRequest& request,
                          std::vector<Hit>& hits) {
  const std::size_t chosen = slots_.size();
  std::erase_if(slots_, [&](Slot slot) { return !rows.visible(slot, request.view); });
  const bool whole = chosen == slots_.size() || slots_.size() >= request.k || request.check_visible;
  score(rows, request, hits);
  score_delta(rows, delta_begin, request, hits);
  order_of_hits_.keep_best(hits, request.k);
  return whole;
}

// Appends the rows of slots_ with their float32 scores.
void FunnelSearch::score(const ExactRows& rows, const FunnelRequest& request, std::vector<Hit>& hits) {
  if (damage_) damage_ = rows.blocks().verify(slots_);
  if (!damage_) return;
  pointers_.clear();
  for (const Slot slot : slots_) pointers_.push_back(rows.blocks().row(slot));
  scores_.resize(std::max(scores_.size(), slots_.size()));
  const bool l2 = rows.metric() == Metric::SquaredL2;
  (l2 ? squared_l2s_at : inner_products_at)(request.query, pointers_.data(), pointers_.size(), rows.dimension(),
                                            scores_.data());
  work_.scored += slots_.size();
  const double inverse = request.squared_norm > 0 ? 1 / std::sqrt(request.squared_norm) : 0;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    float score = l2 ? -scores_[i] : scores_[i];
    if (rows.metric() == Metric::Cosine)
      score = static_cast<float>(std::clamp(score * rows.blocks().scale(slots_[i]) * inverse, -1.0, 1.0));
    hits.push_back({slots_[i], rows.row(slots_[i]), finite(score)});
  }
}

// What is not compressed yet is scored whole.
void FunnelSearch::score_delta(const ExactRows& rows, Slot begin, const FunnelRequest& request,
                               std::vector<Hit>& hits) {
  slots_.clear();
  for (std::size_t slot = begin; slot < request.view.count; ++slot) {
    const auto candidate = static_cast<Slot>(slot);
    if (request.filter != nullptr && !request.filter->test(candidate)) continue;
    if (rows.visible(candidate, request.view)) slots_.push_back(candidate);
  }
  score(rows, request, hits);
}

}  // namespace mneme::index
