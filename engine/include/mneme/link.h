// Link: a typed, weighted, directed edge between two nodes of one space. A Binding is the Link "binding" from an
// Episode to a Concept.
#pragma once

#include <optional>
#include <string>

#include "mneme/base/ids.h"
#include "mneme/base/time.h"

namespace mneme {

inline constexpr std::string_view kBindingType = "binding";

struct Link {
  NodeId from, to;
  std::string type = "related";                      ///< 1 … limits::kLabelBytesMax bytes of UTF-8
  double weight = 1.0;                               ///< finite
  std::optional<Timestamp> valid_from, valid_until;  ///< [from, until)
  std::optional<Timestamp> created_at;               ///< link() sets it when absent
  friend bool operator==(const Link&, const Link&) = default;
};

enum class LinkDirection : std::uint8_t { Out, In, Both };

}  // namespace mneme
