// A stored node as a line of an export: a Memory, and what a Memory has no place for.
#pragma once

#include "mneme/base/node.h"
#include "mneme/migration/memory.h"

namespace mneme::migration {

struct ExportedNode {
  Memory memory;
  Value extra;  ///< null, or members for "mneme"
};

/// A node that is a Memory gives that Memory and nothing extra, but for values that the source held as null and
/// that were found out since: the line says null again, and "mneme" the value. Any other node gives its fields by the
/// names of node.h: those that a Memory has as members, the rest, with its kind and id, as extra.
ExportedNode export_node(const Node& node);

}  // namespace mneme::migration
