// The scan behind ExactIndex::search.
#pragma once

#include <vector>

#include "exact_rows.h"
#include "mneme/base/result.h"
#include "mneme/index/vector_index.h"

namespace mneme::index {

/// See VectorIndex::search. Threads: any, beside the writer of `rows`.
///
/// Cost: one pass over the rows for each group of up to 64 queries, of 4 × dimension bytes a row; rows that may be
/// among the k best are scored again in double. A filter that keeps less than a quarter of a run of rows is served by
/// fetching its rows alone.
Result<std::vector<std::vector<Hit>>> search_exact(const ExactRows& rows, const SearchRequest& request);

}  // namespace mneme::index
