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

// Calls `use(first, n, rotated)` for pieces of `slots`, in parallel; `rotated` is its to spoil.
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
  void operator+=(const Sums& more) {
    one_bit_error += more.one_bit_error;
    eight_bit_error += more.eight_bit_error;
    length += more.length;
  }
};

/// Where the codes of a row are that has some.
struct CodeSegment::Origin {
  const CodeSegment* part = nullptr;
  std::uint32_t position = 0, list = 0;
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
  MNEME_ASSIGN(const std::vector<Origin> origins, origins_of(slots, parts));
  std::vector<std::uint32_t> list_of(slots.size());
  std::vector<std::uint32_t> fresh, lists_of_fresh;  // rows that have no codes, their lists
  std::vector<Slot> fresh_slots;
  for (std::uint32_t i = 0; i < slots.size(); ++i) {
    if (!origins.empty() && origins[i].part != nullptr) {
      list_of[i] = origins[i].list;
      continue;
    }
    fresh.push_back(i);
    fresh_slots.push_back(slots[i]);
  }
  lists_of_fresh.resize(fresh.size());
  for_rotated(rows, *codebook, fresh_slots, stop, [&](std::size_t at, std::size_t n, const float* rotated) {
    codebook->clusters.assign({rotated, n * size}, std::span(lists_of_fresh).subspan(at, n));
  });
  if (stop) return {Code::FailedPrecondition, "index: compression stopped"};
  for (std::size_t i = 0; i < fresh.size(); ++i) list_of[fresh[i]] = lists_of_fresh[i];
  const std::vector<std::uint32_t> position = segment->lay_out(list_of, slots, codebook->clusters.count());
  segment->make_room(codebook->metric == Metric::SquaredL2);

  tbb::parallel_for(tbb::blocked_range<std::size_t>(0, origins.size(), kPiece), [&](const auto& range) {
    for (std::size_t i = range.begin(); i < range.end(); ++i)
      if (origins[i].part != nullptr) segment->copy_row(origins[i], position[i]);
  });
  tbb::combinable<Sums> sums;
  for_rotated(rows, *codebook, fresh_slots, stop, [&](std::size_t at, std::size_t n, float* rotated) {
    for (std::size_t i = at; i < at + n; ++i, rotated += size)
      segment->encode_row(rotated, codebook->clusters.centroid(lists_of_fresh[i]), lists_of_fresh[i],
                          position[fresh[i]], codebook->metric, sums.local());
  });
  if (stop) return {Code::FailedPrecondition, "index: compression stopped"};
  Sums total;
  sums.combine_each([&](const Sums& some) { total += some; });
  for (const Origin& origin : origins)
    if (const CodeSegment* const part = origin.part; part != nullptr)
      total += {part->one_bit_error_, part->eight_bit_error_, part->residual_length_};
  const double count = std::max<double>(1, static_cast<double>(slots.size()));
  segment->one_bit_error_ = static_cast<float>(total.one_bit_error / count);
  segment->eight_bit_error_ = static_cast<float>(total.eight_bit_error / count);
  segment->residual_length_ = static_cast<float>(total.length / count);
  return CodeSegmentPtr(std::move(segment));
} catch (const std::bad_alloc&) {
  return {Code::Busy, "index: no memory to compress slots " + std::to_string(first) + " to " + std::to_string(end)};
}

// Of each row, or none of all. A row may have none though a part spans its slot: it was not visible then.
Result<std::vector<CodeSegment::Origin>> CodeSegment::origins_of(std::span<const Slot> slots,
                                                                 std::span<const CodeSegmentPtr> parts) {
  if (parts.empty()) return std::vector<Origin>();
  const Slot first = parts.front()->first(), end = parts.back()->end();
  std::vector<std::uint32_t> number(end - first, kNoSlot);  // among slots
  for (std::uint32_t i = 0; i < slots.size() && slots[i] < end; ++i) number[slots[i] - first] = i;
  std::vector<Origin> origins(slots.size());
  for (const CodeSegmentPtr& part : parts) {
    MNEME_TRY(part->verify());
    for (std::uint32_t list = 0; list < part->lists(); ++list)
      for (std::uint32_t i = 0; i < part->list_rows(list); ++i) {
        const std::uint32_t position = part->list_begin(list) + i, of = number[part->slot(position) - first];
        if (of != kNoSlot) origins[of] = {part.get(), position, list};  // else it died since
      }
  }
  return origins;
}

void CodeSegment::make_room(bool with_offsets) {
  row_bytes_ = mneme::index::row_bytes(sign_bytes_, with_offsets);
  blocks_.resize(positions() * row_bytes_);
  eight_bit_.resize(positions() * sign_bytes_ * 8);
  scales_.resize(positions());
  if (with_offsets) offsets_.resize(positions());
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
    begin += static_cast<std::uint32_t>(padded_rows(list_rows_[list]));
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

void CodeSegment::copy_row(const Origin& from, std::uint32_t position) {
  const CodeSegment& part = *from.part;
  const std::uint32_t list = from.list;
  const PlaceInList to = place_in_list(position - list_begin_[list], list_rows_[list]);
  const PlaceInList at = place_in_list(from.position - part.list_begin_[list], part.list_rows_[list]);
  std::byte* const block = blocks_.data() + block_begin(list, to);
  const std::byte* const source = part.blocks_.data() + part.block_begin(list, at);
  for (std::size_t byte = 0; byte < sign_bytes_; ++byte)
    block[byte * to.width + lane_of(to.row, to.width)] = source[byte * at.width + lane_of(at.row, at.width)];
  auto* const numbers = reinterpret_cast<float*>(block + sign_bytes_ * to.width);
  const auto* const theirs = reinterpret_cast<const float*>(source + sign_bytes_ * at.width);
  numbers[to.row] = theirs[at.row];
  if (!offsets_.empty()) numbers[to.width + to.row] = offsets_[position] = theirs[at.width + at.row];
  const std::size_t size = sign_bytes_ * 8;
  std::copy_n(part.eight_bit_.data() + from.position * size, size, eight_bit_.data() + position * size);
  scales_[position] = part.scales_[from.position];
}

// Rows of different positions touch different bytes. Leaves the residual in `rotated`.
void CodeSegment::encode_row(float* rotated, const float* centroid, std::uint32_t list, std::uint32_t position,
                             Metric metric, Sums& sums) {
  const std::size_t size = sign_bytes_ * 8;
  double with_centroid = 0;
  float largest = 0;
  for (std::size_t d = 0; d < size; ++d) {
    rotated[d] -= centroid[d];
    with_centroid += static_cast<double>(rotated[d]) * centroid[d];
    largest = std::max(largest, std::abs(rotated[d]));
  }
  const PlaceInList place = place_in_list(position - list_begin_[list], list_rows_[list]);
  std::byte* const block = blocks_.data() + block_begin(list, place);
  const ResidualSums residual = put_one_bit(rotated, sign_bytes_, block, place);
  if (metric == Metric::SquaredL2)
    reinterpret_cast<float*>(block + sign_bytes_ * place.width)[place.width + place.row] = offsets_[position] =
        static_cast<float>(-(residual.squares + 2 * with_centroid));

  const float scale = largest / 127;
  const float inverse = scale > 0 ? 1 / scale : 0;
  std::uint8_t* const code = eight_bit_.data() + position * size;
  for (std::size_t d = 0; d < size; ++d) code[d] = static_cast<std::uint8_t>(std::lrint(rotated[d] * inverse) + 128);
  scales_[position] = scale;

  sums.one_bit_error += mneme::index::one_bit_error(residual, size);
  sums.eight_bit_error += scale / std::sqrt(12.0);
  sums.length += std::sqrt(residual.squares);
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
