#include "code_segment.h"

#include <tbb/blocked_range.h>
#include <tbb/combinable.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <numeric>
#include <random>
#include <string>

namespace mneme::index {
namespace {

constexpr std::size_t kPiece = 256;  // rows rotated at a time

std::vector<Slot> visible_slots(const ExactRows& rows, Slot first, Slot end, const View& view) {
  std::vector<Slot> slots;
  slots.reserve(end - first);
  for (Slot slot = first; slot < end; ++slot)
    if (rows.visible(slot, view)) slots.push_back(slot);
  return slots;
}

// Calls `use(first, n, rotated)` for pieces of `slots`, in parallel.
template <class Use>
void for_rotated(const ExactRows& rows, const Codebook& codebook, std::span<const Slot> slots,
                 const std::atomic<bool>& stop, const Use& use) {
  const std::size_t size = codebook.rotation.size();
  tbb::parallel_for(tbb::blocked_range<std::size_t>(0, (slots.size() + kPiece - 1) / kPiece), [&](const auto& range) {
    std::vector<float> rotated(kPiece * size), scratch(size);
    for (std::size_t piece = range.begin(); piece < range.end() && !stop; ++piece) {
      const std::size_t first = piece * kPiece;
      const std::size_t n = std::min(kPiece, slots.size() - first);
      for (std::size_t i = 0; i < n; ++i)
        rotated_row(rows, codebook, slots[first + i], scratch, rotated.data() + i * size);
      use(first, n, rotated.data());
    }
  });
}

}  // namespace

struct CodeSegment::Sums {
  double one_bit_error = 0, eight_bit_error = 0, length = 0;
};

/// The first of some slots, as the parts that have codes of them do.
struct CodeSegment::Known {
  std::size_t count = 0;
  std::vector<std::uint32_t> parts, positions, lists;

  static Result<Known> of(std::span<const Slot> slots, std::span<const CodeSegmentPtr> segments) {
    Known known;
    if (segments.empty()) return known;
    const Slot first = segments.front()->first(), end = segments.back()->end();
    known.count = static_cast<std::size_t>(std::lower_bound(slots.begin(), slots.end(), end) - slots.begin());
    std::vector<std::uint32_t> number(end - first, kNoSlot);  // among slots
    for (std::size_t i = 0; i < known.count; ++i) number[slots[i] - first] = static_cast<std::uint32_t>(i);
    for (std::vector<std::uint32_t>* of_slot : {&known.parts, &known.positions, &known.lists})
      of_slot->resize(known.count);
    for (std::uint32_t part = 0; part < segments.size(); ++part) {
      const CodeSegment& segment = *segments[part];
      MNEME_TRY(segment.verify());
      for (std::uint32_t list = 0; list < segment.lists(); ++list)
        for (std::uint32_t at = segment.list_begin(list); at < segment.list_begin(list) + segment.list_rows(list);
             ++at) {
          const std::uint32_t i = number[segment.slot(at) - first];
          if (i == kNoSlot) continue;  // died since
          known.parts[i] = part;
          known.positions[i] = at;
          known.lists[i] = list;
        }
    }
    return known;
  }
};

void rotated_row(const ExactRows& rows, const Codebook& codebook, Slot slot, std::vector<float>& scratch, float* out) {
  codebook.rotation.apply(rows.blocks().row(slot), out, scratch.data());
  if (codebook.metric != Metric::Cosine) return;
  const auto scale = static_cast<float>(rows.blocks().scale(slot));
  for (std::size_t i = 0; i < codebook.rotation.size(); ++i) out[i] *= scale;
}

Result<CodeSegmentPtr> CodeSegment::encode(const ExactRows& rows, const CodebookPtr& codebook, Slot first, Slot end,
                                           const View& view, const std::atomic<bool>& stop,
                                           std::span<const CodeSegmentPtr> parts) try {
  const std::size_t size = codebook->rotation.size();
  std::shared_ptr<CodeSegment> segment(new CodeSegment);
  segment->first_ = first;
  segment->end_ = end;
  segment->as_of_ = view.as_of;
  segment->sign_bytes_ = size / 8;
  segment->dead_before_ = view.count - std::min(view.count, rows.live());
  const std::vector<Slot> slots = visible_slots(rows, first, end, view);
  MNEME_ASSIGN(const Known known, Known::of(slots, parts));
  const std::span<const Slot> fresh = std::span(slots).subspan(known.count);
  std::vector<std::uint32_t> list_of(slots.size());
  std::copy(known.lists.begin(), known.lists.end(), list_of.begin());
  for_rotated(rows, *codebook, fresh, stop, [&](std::size_t at, std::size_t n, const float* rotated) {
    codebook->clusters.assign({rotated, n * size}, std::span(list_of).subspan(known.count + at, n));
  });
  if (stop) return {Code::FailedPrecondition, "index: compression stopped"};
  const bool l2 = codebook->metric == Metric::SquaredL2;
  segment->row_bytes_ = mneme::index::row_bytes(segment->sign_bytes_, l2);
  const std::vector<std::uint32_t> position = segment->lay_out(list_of, slots, codebook->clusters.count());
  const std::size_t positions = segment->slots_.size();
  segment->blocks_.resize(positions * segment->row_bytes_);
  segment->eight_bit_.resize(positions * size);
  segment->scales_.resize(positions);
  if (l2) segment->offsets_.resize(positions);

  for (std::size_t i = 0; i < known.count; ++i)
    segment->copy_row(*parts[known.parts[i]], known.positions[i], list_of[i], position[i]);
  tbb::combinable<Sums> sums;
  for_rotated(rows, *codebook, fresh, stop, [&](std::size_t at, std::size_t n, const float* rotated) {
    for (std::size_t i = known.count + at; i < known.count + at + n; ++i)
      segment->encode_row(rotated + (i - known.count - at) * size, codebook->clusters.centroid(list_of[i]), list_of[i],
                          position[i], codebook->metric, sums.local());
  });
  if (stop) return {Code::FailedPrecondition, "index: compression stopped"};
  const auto together = [](const Sums& a, const Sums& b) {
    return Sums{a.one_bit_error + b.one_bit_error, a.eight_bit_error + b.eight_bit_error, a.length + b.length};
  };
  Sums total = sums.combine(together);
  for (const std::uint32_t part : known.parts) {
    const CodeSegment& of = *parts[part];
    total = together(total, {of.one_bit_error_, of.eight_bit_error_, of.residual_length_});
  }
  const double count = std::max<double>(1, static_cast<double>(slots.size()));
  segment->one_bit_error_ = static_cast<float>(total.one_bit_error / count);
  segment->eight_bit_error_ = static_cast<float>(total.eight_bit_error / count);
  segment->residual_length_ = static_cast<float>(total.length / count);
  return CodeSegmentPtr(std::move(segment));
} catch (const std::bad_alloc&) {
  return {Code::Busy, "index: no memory to compress slots " + std::to_string(first) + " to " + std::to_string(end)};
}

// @return the position of each of `slots`
std::vector<std::uint32_t> CodeSegment::lay_out(std::span<const std::uint32_t> list_of, std::span<const Slot> slots,
                                                std::size_t lists) {
  rows_ = slots.size();
  list_rows_.assign(lists, 0);
  for (const std::uint32_t list : list_of) ++list_rows_[list];
  list_begin_.resize(lists);
  std::uint32_t begin = 0;
  for (std::size_t list = 0; list < lists; ++list) {
    list_begin_[list] = begin;
    begin += static_cast<std::uint32_t>((list_rows_[list] + kCodeRows - 1) / kCodeRows * kCodeRows);
  }
  slots_.assign(begin, kNoSlot);
  // Rows that came together are often about one thing.
  std::vector<std::uint32_t> order(slots.size()), next(list_begin_.begin(), list_begin_.end()), position(slots.size());
  std::iota(order.begin(), order.end(), 0U);
  std::mt19937_64 random(slots.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    std::swap(order[i], order[i + random() % (order.size() - i)]);
    position[order[i]] = next[list_of[order[i]]]++;
    slots_[position[order[i]]] = slots[order[i]];
  }
  return position;
}

CodeSegment::InBlock CodeSegment::in_block(std::uint32_t list, std::uint32_t position) const {
  const std::size_t in_list = position - list_begin_[list], first = in_list / kBlockRows * kBlockRows;
  const std::size_t padded = (list_rows_[list] + kCodeRows - 1) / kCodeRows * kCodeRows;
  return {(list_begin_[list] + first) * row_bytes_, std::min(kBlockRows, padded - first), in_list - first};
}

void CodeSegment::copy_row(const CodeSegment& from, std::uint32_t position, std::uint32_t list, std::uint32_t to) {
  const InBlock in = in_block(list, to), there = from.in_block(list, position);
  std::byte* const block = blocks_.data() + in.begin;
  const std::byte* const source = from.blocks_.data() + there.begin;
  for (std::size_t byte = 0; byte < sign_bytes_; ++byte)
    block[byte * in.width + lane_of(in.row, in.width)] = source[byte * there.width + lane_of(there.row, there.width)];
  auto* const numbers = reinterpret_cast<float*>(block + sign_bytes_ * in.width);
  const auto* const known = reinterpret_cast<const float*>(source + sign_bytes_ * there.width);
  numbers[in.row] = known[there.row];
  if (!offsets_.empty()) numbers[in.width + in.row] = offsets_[to] = known[there.width + there.row];
  const std::size_t size = sign_bytes_ * 8;
  std::copy_n(from.eight_bit_.data() + position * size, size, eight_bit_.data() + to * size);
  scales_[to] = from.scales_[position];
}

// Rows of different positions touch different bytes.
void CodeSegment::encode_row(const float* rotated, const float* centroid, std::uint32_t list, std::uint32_t position,
                             Metric metric, Sums& sums) {
  const std::size_t size = sign_bytes_ * 8;
  const InBlock in = in_block(list, position);
  const std::size_t width = in.width, lane = lane_of(in.row, width);
  std::byte* const block = blocks_.data() + in.begin;
  std::uint8_t* const code = eight_bit_.data() + position * size;
  double length1 = 0, length2 = 0, with_centroid = 0;
  float largest = 0;
  for (std::size_t byte = 0; byte < sign_bytes_; ++byte) {
    unsigned bits = 0;
    for (unsigned bit = 0; bit < 8; ++bit) {
      const std::size_t d = byte * 8 + bit;
      const float residual = rotated[d] - centroid[d];
      bits |= (residual >= 0 ? 1U : 0U) << bit;
      length1 += std::abs(residual);
      length2 += static_cast<double>(residual) * residual;
      with_centroid += static_cast<double>(residual) * centroid[d];
      largest = std::max(largest, std::abs(residual));
    }
    block[byte * width + lane] = static_cast<std::byte>(bits);
  }
  const float scale = largest / 127;
  const float inverse = scale > 0 ? 1 / scale : 0;
  for (std::size_t d = 0; d < size; ++d)
    code[d] = static_cast<std::uint8_t>(std::lrint((rotated[d] - centroid[d]) * inverse) + 128);
  scales_[position] = scale;

  const auto dimensions = static_cast<double>(size);
  const double slope = length1 > 0 ? length2 / length1 : 0;
  auto* const row = reinterpret_cast<float*>(block + sign_bytes_ * width) + in.row;
  row[0] = static_cast<float>(slope);
  if (metric == Metric::SquaredL2) row[width] = offsets_[position] = static_cast<float>(-(length2 + 2 * with_centroid));
  // The share of the residual that its signs point along, and what is left across it in a random direction.
  const double along = length2 > 0 ? length1 * length1 / (length2 * dimensions) : 1;
  sums.one_bit_error += std::sqrt(length2 * (1 - along) / along / std::max(1.0, dimensions - 1));
  sums.eight_bit_error += scale / std::sqrt(12.0);
  sums.length += std::sqrt(length2);
}

// Empty lists begin where the next one does: the last that begins there holds the row.
std::size_t CodeSegment::list_of(std::uint32_t position) const {
  const auto after = std::upper_bound(list_begin_.begin(), list_begin_.end(), position);
  return static_cast<std::size_t>(after - list_begin_.begin()) - 1;
}

std::uint64_t CodeSegment::bytes_used() const {
  return sizeof *this + blocks_.bytes_used() + eight_bit_.bytes_used() + scales_.bytes_used() + offsets_.bytes_used() +
         slots_.bytes_used() + list_begin_.bytes_used() + list_rows_.bytes_used() + kept_.bytes_used();
}

}  // namespace mneme::index
