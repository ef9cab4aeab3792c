#include "funnel_plan.h"

#include <algorithm>

#include "mneme/base/limits.h"

namespace mneme::index {
namespace {

// A filter that keeps fewer rows than kExactMatches is answered by an exact scan of them. All rows of one that keeps fewer
// than kScoredMatches and kScoredPerNeighbour × k, or than one in kScoredShare, are scored: by their 8-bit codes, unless
// they lie so close together that it is quicker to estimate them all first: estimates leave about kLeftByEstimates of the
// rows.
constexpr std::size_t kExactMatches = 64, kScoredMatches = 4096, kScoredPerNeighbour = 16, kScoredShare = 128;
constexpr double kLeftByEstimates = 0.2;
constexpr Effort kEveryList{1e6F, 5, SIZE_MAX};
constexpr Effort kEverything{1e6F, 4, SIZE_MAX};
// At least, for a filter that goes against the query, which no effort was measured on: many rows lie about as far, so
// that the best estimates are those with the luckiest errors, four standard ones of many thousand.
constexpr Effort kAgainst{5, 5, SIZE_MAX}, kAgainstForMost{6, 6, SIZE_MAX};

// A table that was measured on less than half of the rows, the others having come since, is not relied upon alone: the
// rows that centroids were found for lie nearer to them than those to come.
constexpr double kGrowthMost = 2;
constexpr Effort kUnmeasured{4, 4, SIZE_MAX};

// A segment is made without rows that were dead by then, which an earlier view may show.
bool shows(const Sealed& now, const View& view) {
  return std::all_of(now.segments.begin(), now.segments.end(), [&](const CodeSegmentPtr& segment) {
    return segment->as_of() <= view.as_of || segment->dead_before() == 0;
  });
}

// The effort for `count` neighbours, whatever the request's k.
std::optional<Effort> effort_for_some(const EffortTable& table, double growth, const SearchRequest& request,
                                      std::size_t count) {
  constexpr std::size_t kMeasuredMost = EffortTable::kNeighbours.back();
  std::optional<Effort> effort = table.find(std::min(count, kMeasuredMost), request.recall_target, growth);
  if (effort && growth > kGrowthMost) effort = more_of_both(*effort, kUnmeasured);
  if (effort && count > kMeasuredMost && effort->lists_max < SIZE_MAX / count)
    effort->lists_max = effort->lists_max * count / kMeasuredMost;
  return effort;
}

// Where a filter keeps one row in ten, its k best are scattered like the ten times k best of all; where it goes with the
// query, they are those. What finds both finds what is between.
std::optional<Effort> effort_for(const EffortTable& table, double growth, const SearchRequest& request,
                                 std::size_t as_many) {
  const std::optional<Effort> of_k = effort_for_some(table, growth, request, request.k);
  if (as_many <= request.k) return of_k;
  const std::optional<Effort> of_many = effort_for_some(table, growth, request, as_many);
  return of_k && of_many ? std::optional(more_of_both(*of_k, *of_many)) : std::nullopt;
}

}  // namespace

std::optional<FunnelRequest> plan_search(const ExactRows& rows, const Sealed& now, const SearchRequest& request,
                                         const View& view, bool cold, std::vector<PositionBitmapPtr>& kept) {
  if (!shows(now, view) || request.k < 1 || request.k > limits::kNeighboursMax) return std::nullopt;
  FunnelRequest plan;
  plan.k = request.k;
  plan.view = view;
  plan.cold = cold;
  // Compressed rows that this view does not show: those that died since, and those born after it.
  const std::size_t dead = view.count - std::min(view.count, rows.live());
  for (const CodeSegmentPtr& segment : now.segments)
    plan.check_visible |= segment->as_of() > view.as_of || segment->dead_before() != dead;
  std::size_t as_many = request.k;
  if (request.filter != nullptr) {
    std::size_t compressed = 0, matches = 0, scanned = 0;
    for (const CodeSegmentPtr& segment : now.segments) {
      kept.push_back(segment->keep(*request.filter));
      compressed += segment->rows();
      matches += kept.back()->count();
      scanned += kept.back()->scanned();
    }
    if (matches < kExactMatches) return std::nullopt;
    plan.filter = request.filter;
    plan.kept = kept;
    if (matches < std::max(kScoredMatches + kScoredPerNeighbour * request.k, compressed / kScoredShare)) {
      plan.score_all_kept = !cold && static_cast<double>(scanned) >
                                         (1 - kLeftByEstimates) * static_cast<double>(kCostOfProduct * matches);
      plan.effort = plan.effort_against = kEveryList;
      return plan;
    }
    as_many = (request.k + 1) * compressed / matches;  // one more, for chance
    plan.share_kept = static_cast<float>(matches) / static_cast<float>(compressed);
  }
  const auto growth = [live = static_cast<double>(rows.live())](std::size_t measured) {
    return live / std::max(1.0, static_cast<double>(measured));
  };
  const std::optional<Effort> cautious = effort_for(now.effort, growth(now.measured_rows), request, as_many);
  const std::optional<Effort> usual =
      now.of_asked ? effort_for(*now.of_asked, growth(now.asked_rows), request, as_many) : cautious;
  if (!usual) return std::nullopt;
  plan.effort = *usual;
  if (request.filter != nullptr) {
    const EffortTable& table = now.of_asked ? *now.of_asked : now.effort;
    const double grown = growth(now.of_asked ? now.asked_rows : now.measured_rows);
    std::size_t many = as_many;
    std::optional<Effort> of_many = effort_for_some(table, grown, request, many);
    for (Effort& effort : plan.efforts_with) {
      const std::size_t fewer = std::max(many / 2, request.k);
      const std::optional<Effort> of_fewer = effort_for_some(table, grown, request, fewer);
      if (!of_many || !of_fewer) break;
      effort = more_of_both(*of_many, *of_fewer);
      ++plan.levels_with;
      if (many == request.k) break;
      many = fewer;
      of_many = of_fewer;
    }
  }
  plan.effort_against = request.recall_target > 0.95F ? kAgainstForMost : kAgainst;
  if (cautious) plan.effort_against = more_of_both(plan.effort_against, *cautious);
  if (now.of_asked) {
    plan.effort_of_unusual = cautious.value_or(kEverything);
    plan.nearness_least = now.of_asked->nearness_least();
    plan.nearness_most = now.of_asked->nearness_most();
  }
  return plan;
}

}  // namespace mneme::index
