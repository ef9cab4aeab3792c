// How a funnel index answers a request: exactly, by the rows that a filter keeps, or with which effort.
#pragma once

#include <optional>
#include <vector>

#include "funnel_search.h"
#include "sealed.h"

namespace mneme::index {

/// What all queries of a request share, or nothing when they are better answered exactly. `kept` is empty, becomes what
/// the filter keeps of each segment, and must outlive the result. `cold`: 8-bit codes lie in files. @throws std::bad_alloc
std::optional<FunnelRequest> plan_search(const ExactRows& rows, const Sealed& now, const SearchRequest& request,
                                         const View& view, bool cold, std::vector<PositionBitmapPtr>& kept);

}  // namespace mneme::index
