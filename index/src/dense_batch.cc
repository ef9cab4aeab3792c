#include "dense_batch.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace mneme::index {
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();
// What a search costs beside its estimates and what it keeps, and an 8-bit product at a random place, in estimates.
constexpr float kFixedCost = 5000, kCostOfKept = 16;

}  // namespace

bool DenseBatch::is_quicker(const Sealed& now, const Work& work) {
  std::size_t rows = 0;
  for (const CodeSegmentPtr& segment : now.segments) rows += segment->rows();
  return static_cast<float>(rows) * dense_cost() <
         static_cast<float>(work.estimated) + kCostOfKept * static_cast<float>(work.kept) + kFixedCost;
}

Status DenseBatch::run(const FunnelRequest& request, std::span<DenseQuery> queries) {
  for (const CodeSegmentPtr& segment : now_.segments) MNEME_TRY(segment->verify());
  prepare(request, queries);
  {
    const DenseScope scope;
    for (std::size_t s = 0; s < now_.segments.size(); ++s) scan(request, s);
  }
  FunnelRequest one = request;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    if (ways_[q].slots.size() > request.k) thin(q, request.k);
    one.query = queries[q].query;
    one.squared_norm = queries[q].squared_norm;
    queries[q].whole = finish_.finish(rows_, ways_[q].slots, now_.end, one, *queries[q].hits);
    MNEME_TRY(finish_.damage());
  }
  return ok_status();
}

void DenseBatch::prepare(const FunnelRequest& request, std::span<const DenseQuery> queries) {
  const std::size_t size = now_.codebook->rotation.size(), lists = now_.codebook->clusters.count();
  padded_ = (queries.size() + kDenseQueries - 1) / kDenseQueries * kDenseQueries;
  levels_ = HugeArray<std::int8_t>(padded_ * size);
  biases_.assign(padded_, 0);
  steps_.assign(padded_, 0);
  least_.assign(padded_, std::numeric_limits<float>::infinity());  // those that only fill up find nothing
  bases_.assign(lists * padded_, 0);
  ways_.resize(std::max(ways_.size(), queries.size()));
  for (std::size_t q = 0; q < queries.size(); ++q) {
    code_.prepare(*now_.codebook, queries[q].query, queries[q].squared_norm, queries[q].rotated, 0);
    const std::span<const std::int8_t> levels = code_.eight_bit();
    for (std::size_t d = 0; d < size; ++d) levels_[dense_place(q, d, size)] = levels[d];
    biases_[q] = code_.eight_bit_bias();
    steps_[q] = code_.eight_bit_step();
    least_[q] = kNothing;
    for (std::size_t list = 0; list < lists; ++list) bases_[list * padded_ + q] = code_.base(list);
    Way& way = ways_[q];
    way.scores.clear();
    way.slots.clear();
    way.thin_at = 2 * request.k + 64;
    way.margin = 0;
    for (const CodeSegmentPtr& segment : now_.segments)
      way.margin = std::max(way.margin, kEightBitSigmas * FunnelSearch::eight_bit_error(code_, *segment));
  }
}

void DenseBatch::scan(const FunnelRequest& request, std::size_t s) {
  const CodeSegment& segment = *now_.segments[s];
  for (std::size_t list = 0; list < segment.lists(); ++list) {
    if (segment.list_rows(list) == 0) continue;
    if (request.filter != nullptr && request.kept[s]->in_list(list) == 0) continue;
    const std::uint32_t begin = segment.list_begin(list);
    const auto end = begin + static_cast<std::uint32_t>(segment.list_rows(list));
    for (std::uint32_t first = begin; first < end; first += kDenseRows)
      scan_rows(request, s, list, first, std::min<std::size_t>(kDenseRows, end - first));
  }
}

void DenseBatch::scan_rows(const FunnelRequest& request, std::size_t s, std::size_t list, std::uint32_t first,
                           std::size_t count) {
  const CodeSegment& segment = *now_.segments[s];
  const std::size_t size = now_.codebook->rotation.size();
  const std::size_t rows = padded_rows(count);
  alignas(64) std::int32_t products[kDenseRows * kDenseQueries];
  alignas(64) float scores[kDenseRows * kDenseQueries];
  std::uint16_t reached[kDenseRows];
  for (std::size_t block = 0; block < padded_; block += kDenseQueries) {
    dense_products(segment.eight_bit() + first * size, size, rows, levels_.data() + block * size, products);
    dense_scores(
        products, count, segment.scales() + first, segment.offsets() ? segment.offsets() + first : nullptr,
        {biases_.data() + block, steps_.data() + block, bases_.data() + list * padded_ + block, least_.data() + block},
        scores, reached);
    for (std::size_t r = 0; r < count; ++r)
      if (reached[r] != 0)
        take(request, s, first + static_cast<std::uint32_t>(r), block, scores + r * kDenseQueries, reached[r]);
  }
}

void DenseBatch::take(const FunnelRequest& request, std::size_t s, std::uint32_t position, std::size_t block,
                      const float* scores, unsigned reached) {
  if (request.filter != nullptr) {
    const std::uint32_t in_mask = position % kCodeRows;
    if ((*request.kept[s]->masks(position - in_mask) >> in_mask & 1) == 0) return;
  }
  const Slot slot = now_.segments[s]->slot(position);
  if (request.check_visible && !rows_.visible(slot, request.view)) return;
  for (; reached != 0; reached &= reached - 1) {
    const auto q = static_cast<std::size_t>(std::countr_zero(reached));
    Way& way = ways_[block + q];
    way.scores.push_back(scores[q]);
    way.slots.push_back(slot);
    if (way.slots.size() >= way.thin_at) thin(block + q, request.k);
  }
}

// Drops what cannot be among the k best.
void DenseBatch::thin(std::size_t query, std::size_t k) {
  Way& way = ways_[query];
  const std::size_t count = way.scores.size();
  copy_.resize(std::max(copy_.size(), count + Candidates::kSpare));
  scratch_.resize(copy_.size());
  std::copy(way.scores.begin(), way.scores.end(), copy_.begin());
  const float least = kth_largest(copy_.data(), count, k, scratch_.data()) - way.margin;
  std::size_t left = 0;
  for (std::size_t i = 0; i < count; ++i) {
    way.scores[left] = way.scores[i];
    way.slots[left] = way.slots[i];
    left += way.scores[i] < least ? 0 : 1;  // all stay where the limit overflowed and is no number
  }
  way.scores.resize(left);
  way.slots.resize(left);
  way.thin_at = left + std::max<std::size_t>(k, 64);
  if (least > least_[query]) least_[query] = least;
}

}  // namespace mneme::index
