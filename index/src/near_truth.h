// near_truth: the neighbours of many queries, as an exact search finds them, in half of its time.
#pragma once

#include <atomic>
#include <span>
#include <vector>

#include "funnel_search.h"

namespace mneme::index {

/// The k best rows of each of `queries` (row-major) in `view`, best first: what a search finds that probes every list and
/// drops only what its codes put 4.5 to 6 standard errors below the k-th best. That errors are as the codes say is not
/// taken on trust: a few of the queries are answered exactly as well, and all of them where a neighbour in a thousand was
/// missed or a query has fewer than there are. Uses oneTBB. Pure.
/// @error Busy  no memory
/// @error Corruption  of codes or rows
/// @error FailedPrecondition  `stop` became true
/// Cost: a pass over all 1-bit codes for each query, and an exact search for eight.
Result<std::vector<std::vector<Hit>>> near_truth(const ExactRows& rows, const Codebook& codebook,
                                                 std::span<const CodeSegmentPtr> segments, Slot delta_begin,
                                                 const View& view, std::span<const float> queries, std::size_t k,
                                                 const std::atomic<bool>& stop);

}  // namespace mneme::index
