// Batch: changes that stand or fall together.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mneme/base/node.h"
#include "mneme/base/node_record.h"
#include "mneme/link.h"

namespace mneme {

class Space;

/// Changes to one database, in the order they were added; later ones see earlier ones. Written by Database::write().
/// Threads: one.
class Batch {
 public:
  /// Inserts or replaces a node. A nil id is filled in: version 5 of the space and external_id where there is one, else
  /// version 7. An absent created_at becomes the stored node's, or now for a new node.
  /// @return the node's id
  /// @error InvalidArgument  see validate_node; wrong dimension or generation for the space
  Result<NodeId> put(const Space& space, Node node);
  /// Removes a node and every link from and to it. Removing what is not there is ok.
  Status erase(const Space& space, const NodeId& node);
  /// Inserts or replaces the link (from, type, to). @error at write(): NotFound when either end is not there
  Status link(const Space& space, Link link);
  Status unlink(const Space& space, const NodeId& from, std::string_view type, const NodeId& to);

  std::size_t size() const { return operations_.size(); }
  bool empty() const { return operations_.empty(); }
  void clear();

  struct Operation {
    enum class Kind : std::uint8_t { Put = 1, Erase = 2, Link = 3, Unlink = 4 };
    Kind kind;
    SpaceId space;
    NodeId node;                      // Put, Erase
    Node value;                       // Put
    bool fresh = false;               // Put: the id was made here and cannot exist
    bool default_created_at = false;  // Put: the caller gave none; a stored one is kept
    Link link;                        // Link, Unlink
  };
  const std::vector<Operation>& operations() const { return operations_; }

 private:
  friend class DatabaseImpl;
  std::vector<Operation> operations_;
};

}  // namespace mneme
