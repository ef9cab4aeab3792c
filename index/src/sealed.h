// Sealed: the compressed part of a funnel index, replaced as a whole.
#pragma once

#include <algorithm>
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
  bool is_effort_provisional = false;    // `effort` was measured with other centroids
  // Rows that lived when the centroids were found, and when the efforts were measured.
  std::size_t trained_rows = 0, measured_rows = 0, asked_rows = 0;
};

/// Rows that lie further from their centroids than those the centroids were found for are of another kind: their codes say
/// little, and what was measured does not hold for them.
inline bool has_rows_of_one_kind(const Sealed& sealed) {
  const float usual = sealed.segments.empty() ? 0 : sealed.segments.front()->residual_length();
  return std::all_of(sealed.segments.begin(), sealed.segments.end(),
                     [&](const CodeSegmentPtr& segment) { return segment->residual_length() <= 1.2F * usual; });
}

using SealedPtr = std::shared_ptr<const Sealed>;

}  // namespace mneme::index
