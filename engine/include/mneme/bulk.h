// Bulk loading: many new nodes at once, as sorted files that the store takes in whole.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "mneme/base/node_record.h"

namespace mneme {

/// A key and value of the caller's that become visible in the same atomic step as the nodes: a cursor, a count.
/// Keys share one key space per database; start them with an id of your own. A key may be written once only.
struct SideEntry {
  std::string key;
  Bytes value;
};

struct BulkOptions {
  /// The caller knows that no node of these ids exists (a fresh space under its own lock); skips one lookup per node.
  bool ids_are_new = false;
};

}  // namespace mneme
