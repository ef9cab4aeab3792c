// A stored node as a JSON object and as a page for people.
#pragma once

#include <optional>
#include <string>

#include "mneme/base/node.h"
#include "mneme/node_view.h"
#include "output.h"

namespace mneme::tools {

/// The id it had where it came from, else the text of its own.
std::string shown_id(const NodeRecord& record);

struct NodeFormat {
  std::optional<float> score;
  bool vectors = false;  ///< their values too
};

/// id, node, row, score, kind, tier, content, metadata, created_at; then whatever else the node has, under the names
/// that filters use. @error Corruption
Result<Value> node_object(const NodeView& view, const NodeFormat& format);

/// One fact a line. @error Corruption
Result<Facts> node_page(const NodeView& view, const NodeFormat& format);

}  // namespace mneme::tools
