#include "effort_costs.h"

namespace mneme::index {
namespace {

constexpr double kCostOfKept = 16;  // an 8-bit product at a random place, in 1-bit estimates

}  // namespace

void EffortCosts::add(const Explored& query, std::span<const ListRows> lists) {
  Query& added = queries_.emplace_back();
  added.explored = &query;
  added.estimated.reserve(kRestLevels.size() * lists.size());
  for (std::size_t level = 0; level < kRestLevels.size(); ++level) {
    std::uint32_t rows = 0;
    for (std::size_t rank = 0; rank < lists.size(); ++rank) {
      rows += lists[rank].sampled + (query.rest[rank] <= level ? lists[rank].rest : 0);
      added.estimated.push_back(rows);
    }
  }
}

double EffortCosts::of(const Effort& effort, std::size_t keep_level, std::size_t rest_level) const {
  double cost = 0;
  for (const Query& query : queries_) {
    const std::size_t lists = query.explored->lists_scanned(effort), all = query.explored->rest.size();
    cost += lists == 0 ? 0 : query.estimated[rest_level * all + lists - 1];
    cost += kCostOfKept * query.explored->kept[keep_level];
  }
  return cost;
}

}  // namespace mneme::index
