#include "hit_order.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "top_k.h"

namespace mneme::index {
namespace {

constexpr std::size_t kMany = 96;  // hits from which on passes over bytes are quicker than comparisons

// The larger the score, the smaller.
std::uint32_t descending(float score) {
  const auto bits = std::bit_cast<std::uint32_t>(score);
  return (bits >> 31) != 0 ? bits : ~bits & 0x7FFFFFFFU;
}

}  // namespace

void HitOrder::keep_best(std::vector<Hit>& hits, std::size_t k) {
  if (hits.size() > 2 * k) {
    std::nth_element(hits.begin(), hits.begin() + static_cast<std::ptrdiff_t>(k), hits.end(), better);
    hits.resize(k);
  }
  if (hits.size() < kMany)
    std::sort(hits.begin(), hits.end(), better);
  else
    sort_many(hits);
  if (hits.size() > k) hits.resize(k);
}

// By the bytes of the scores, the lowest first; then those of one score by row. A comparison of two scores is a branch
// that no processor foresees, and there are ten for each of a thousand hits.
void HitOrder::sort_many(std::vector<Hit>& hits) {
  const std::size_t count = hits.size();
  keys_.resize(count);
  other_.resize(count);
  sorted_.resize(count);
  std::array<std::array<std::uint32_t, 256>, 4> counts{};
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t key = descending(hits[i].score);
    keys_[i] = std::uint64_t{key} << 32 | i;
    for (std::size_t byte = 0; byte < 4; ++byte) ++counts[byte][key >> (8 * byte) & 255];
  }
  for (std::size_t byte = 0; byte < 4; ++byte) {
    std::array<std::uint32_t, 256>& begin = counts[byte];
    const std::size_t shift = 32 + 8 * byte;
    if (begin[keys_[0] >> shift & 255] == count) continue;  // all have the same
    std::uint32_t at = 0;
    for (std::uint32_t& of_value : begin) at += std::exchange(of_value, at);
    for (const std::uint64_t key : keys_) other_[begin[key >> shift & 255]++] = key;
    keys_.swap(other_);
  }
  for (std::size_t i = 0; i < count; ++i) sorted_[i] = hits[keys_[i] & 0xFFFFFFFFU];
  hits.swap(sorted_);
  for (std::size_t first = 0, end = 0; first < count; first = end) {
    for (end = first + 1; end < count && hits[end].score == hits[first].score;) ++end;
    if (end - first > 1)
      std::sort(hits.begin() + static_cast<std::ptrdiff_t>(first), hits.begin() + static_cast<std::ptrdiff_t>(end),
                better);
  }
}

}  // namespace mneme::index
