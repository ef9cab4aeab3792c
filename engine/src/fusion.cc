#include "fusion.h"

#include <algorithm>
#include <unordered_map>

#include "mneme/base/limits.h"

namespace mneme {
namespace {

constexpr double kConstant = 60;
constexpr std::size_t kDepthMin = 64;

struct Fused {
  NodeId id;
  double score = 0;
};

}  // namespace

std::size_t fusion_depth(std::size_t k) { return std::min(std::max(4 * k, kDepthMin), limits::kNeighboursMax); }

std::vector<Neighbour> fuse_ranks(std::span<const RankedList> lists, std::size_t k) {
  std::unordered_map<std::uint64_t, Fused> by_row;
  for (const RankedList& list : lists) {
    for (std::size_t i = 0; i < list.found.size(); ++i) {
      Fused& fused = by_row[list.found[i].row.value];
      fused.id = list.found[i].id;
      fused.score += list.weight / (kConstant + static_cast<double>(i + 1));
    }
  }
  std::vector<Neighbour> all;
  all.reserve(by_row.size());
  // Rounded before they are compared, so that scores that look equal are in the order of rows.
  for (const auto& [row, fused] : by_row) all.push_back({fused.id, RowId{row}, static_cast<float>(fused.score)});
  const auto better = [](const Neighbour& a, const Neighbour& b) {
    return a.score != b.score ? a.score > b.score : a.row < b.row;
  };
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(std::min(k, all.size()));
  std::partial_sort(all.begin(), end, all.end(), better);
  all.erase(end, all.end());
  return all;
}

}  // namespace mneme
