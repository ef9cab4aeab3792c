// ExactIndex: contiguous rows, scanned whole; the truth that recall is measured against, and the delta in which a
// write becomes visible to search before it is acknowledged.
//
// Rows lie in blocks of about 4 MiB that never move; a block's rows are contiguous and start 64-byte aligned. The writer
// fills a row, then publishes the slot count with release order; a search reads the count once with acquire order
// and scans that many. Death LSNs are atomics. Nothing is freed while the index lives.
//
// Scores are those of double arithmetic, rounded once: float32 only selects (README.md of this folder).
#pragma once

#include <memory>

#include "mneme/index/vector_index.h"

namespace mneme::index {

/// @param dimension 1 … limits::kDimensionsMax
std::unique_ptr<VectorIndex> make_exact_index(std::size_t dimension, Metric metric);

}  // namespace mneme::index
