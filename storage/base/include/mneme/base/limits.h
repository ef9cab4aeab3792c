// Every limit of Mneme, in one place. They are checked where data enters and again on replay.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mneme/base/bytes.h"

namespace mneme::limits {

inline constexpr std::size_t kDimensionsMax = 65'536;  // floats in one vector
inline constexpr std::size_t kVectorsPerNodeMax = 16;
inline constexpr std::size_t kGenerationsPerSpaceMax = 16;  // at a time
inline constexpr std::size_t kSpaceNameBytesMax = 255;      // UTF-8, no control characters, not empty
inline constexpr std::size_t kExternalIdBytesMax = 64 * kKiB;
inline constexpr std::size_t kContentBytesMax = 16 * kMiB;
inline constexpr std::size_t kLabelBytesMax = 4 * kKiB;   // tag, category, scope name, namespace label, link type
inline constexpr std::size_t kLabelsMax = 4'096;          // tags, or categories, or namespace labels of one node
inline constexpr std::size_t kValueBytesMax = 16 * kMiB;  // metadata, JSON value, unknown fields: encoded
inline constexpr std::size_t kValueDepthMax = 64;         // nesting of arrays and objects
inline constexpr std::size_t kNodeBytesMax = 48 * kMiB;   // one node, encoded, with its vectors
inline constexpr std::size_t kEvidenceMax = 65'536;       // evidence links of one node
inline constexpr std::size_t kBatchOperationsMax = 65'536;
inline constexpr std::size_t kBatchBytesMax = 256 * kMiB;    // one atomic batch = one log record
inline constexpr std::size_t kNeighboursMax = 65'536;        // k of a search
inline constexpr std::size_t kFilterNodesMax = 4'096;        // terms of one filter
inline constexpr std::size_t kJsonLineBytesMax = 64 * kMiB;  // one line of a JSONL import

}  // namespace mneme::limits
