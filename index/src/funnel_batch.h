// The queries of one request: each by the funnel, or many with every row at once.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "funnel_search.h"
#include "sealed.h"

namespace mneme::index {

/// Told of each query that was answered, from any thread, and whether it was unlike those that effort was measured on.
using AskedFn = std::function<void(std::span<const float> query, bool unusual)>;

/// hits[i] := what query i of `request` finds; all share the rest of `shared`. Where `may_be_dense`, a large batch is
/// compared with all rows at once if a few of its queries show that to be quicker. Uses oneTBB if the request says so.
/// @error Corruption  of what was restored
Status search_queries(const ExactRows& rows, const Sealed& now, const FunnelRequest& shared,
                      const SearchRequest& request, std::span<const double> squared_norms, bool may_be_dense,
                      const AskedFn& asked, std::span<std::vector<Hit>> hits);

}  // namespace mneme::index
