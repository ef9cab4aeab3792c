// What was measured for some numbers of neighbours, read for others.

#include <algorithm>
#include <cmath>

#include "effort.h"

namespace mneme::index {
namespace {

constexpr std::size_t kListsMost = std::size_t{1} << 48;  // no index has as many: such a limit is none

// Between two measured efforts, `share` of the way from one to that for fewer neighbours. Were what each limit misses the
// tail of a normal distribution, which is convex, no more would be missed between them than by the worse.
Effort between(const Effort& from, const Effort& to, float share) {
  const auto blend = [&](float a, float b) { return a + share * (b - a); };
  Effort effort{blend(from.probe_sigmas, to.probe_sigmas), blend(from.keep_sigmas, to.keep_sigmas),
                std::max(from.lists_max, to.lists_max), std::max(from.rest_sigmas, to.rest_sigmas)};
  if (effort.lists_max < kListsMost)
    effort.lists_max = static_cast<std::size_t>(
        std::ceil(blend(static_cast<float>(from.lists_max), static_cast<float>(to.lists_max))));
  if (effort.rest_sigmas < Effort::kWhole) effort.rest_sigmas = blend(from.rest_sigmas, to.rest_sigmas);
  return effort;
}

// The effort for fewer neighbours, where none was found or it has no limits: several times `from`, for use near that. An
// unlimited one would make a search unlimited a single row after the measurement.
Effort limited(const std::optional<Effort>& to, const Effort& from) {
  constexpr float kFurtherProbing = 1.5F, kMoreKeeping = 1, kMoreOfRest = 2;
  constexpr std::size_t kMoreLists = 4;
  Effort effort = to.value_or(Effort{kFurtherProbing * from.probe_sigmas, from.keep_sigmas + kMoreKeeping, SIZE_MAX});
  if (from.lists_max < SIZE_MAX / kMoreLists)
    effort.lists_max = std::min(effort.lists_max, kMoreLists * from.lists_max);
  if (from.rest_sigmas < Effort::kWhole)
    effort.rest_sigmas = std::min(effort.rest_sigmas, kMoreOfRest * from.rest_sigmas);
  return effort;
}

}  // namespace

void EffortTable::be_cautious_for_one(const EffortTable& of_own_rows, double growth) {
  static_assert(kNeighbours.front() == 1);
  for (std::size_t t = 0; t < kTargets.size(); ++t) {
    std::optional<Effort>& asked = efforts_.front()[t];
    const std::optional<Effort> own = of_own_rows.find(1, kTargets[t], growth);
    asked = asked && own ? std::optional(more_of_both(*asked, *own)) : std::nullopt;
  }
}

// The k-th of so many rows lies about where the k / growth-th of those measured lay. Fewer neighbours lie further out, in
// standard deviations: by the logarithm, between those measured and beyond the first of them.
std::optional<Effort> EffortTable::find(std::size_t k, float recall_target, double growth) const {
  constexpr float kNear = 0.5F;
  const auto target = std::lower_bound(kTargets.begin(), kTargets.end(), recall_target);
  if (target == kTargets.end()) return std::nullopt;
  const auto t = static_cast<std::size_t>(target - kTargets.begin());
  const double wanted = static_cast<double>(k) / std::max(1.0, growth);
  std::size_t high = 0;
  while (high + 1 < kNeighbours.size() && static_cast<double>(kNeighbours[high]) < wanted) ++high;
  const auto measured = static_cast<double>(kNeighbours[high]);
  if (!efforts_[high][t] || wanted == measured || (high > 0 && wanted > measured)) return efforts_[high][t];
  const std::size_t other = high == 0 ? 1 : high - 1;
  const Effort& from = *efforts_[high][t];
  const std::optional<Effort>& to = efforts_[other][t];
  const auto share =
      static_cast<float>(std::log(wanted / measured) / std::log(static_cast<double>(kNeighbours[other]) / measured));
  if (high > 0) {
    if (share <= kNear) return between(from, limited(to, from), share);
    return to ? std::optional(between(from, *to, share)) : std::nullopt;
  }
  if (!to) return from;
  return Effort{std::max(from.probe_sigmas + share * (to->probe_sigmas - from.probe_sigmas), from.probe_sigmas),
                std::max(from.keep_sigmas, to->keep_sigmas), std::max(from.lists_max, to->lists_max),
                std::max(from.rest_sigmas, to->rest_sigmas)};
}

}  // namespace mneme::index
