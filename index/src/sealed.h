// Sealed: the compressed part of a funnel index, replaced as a whole.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "code_segment.h"
#include "effort.h"

namespace mneme::index {

/// What searches use besides the rows.
struct Sealed {
  CodebookPtr codebook;
  std::vector<CodeSegmentPtr> segments;  // in order of slots, without gaps
  Slot end = 0;                          // of the last; later slots are the delta
  EffortTable effort;                    // measured on made-up queries
  std::optional<EffortTable> of_asked;   // and on queries that were asked
  // Rows that lived when the centroids were found, and when the efforts were measured.
  std::size_t trained_rows = 0, measured_rows = 0, asked_rows = 0;
};
using SealedPtr = std::shared_ptr<const Sealed>;

}  // namespace mneme::index
