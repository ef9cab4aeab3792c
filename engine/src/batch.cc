#include "mneme/batch.h"

#include "database_impl.h"
#include "link_keys.h"

namespace mneme {
Result<NodeId> Batch::put(const Space& space, Node node) {
  MNEME_ASSIGN(const SpaceEntryPtr entry, space.db_->entry(space.id()));
  Operation operation;
  operation.kind = Operation::Kind::Put;
  operation.space = space.id();
  if (node.id.is_nil()) {
    if (node.external_id) {
      node.id = node_id_for_external(space.name(), node.external_system.value_or(""), *node.external_id);
    } else {
      node.id = space.db_->new_id();
      operation.fresh = true;
    }
  }
  if (!node.created_at) {
    node.created_at = space.db_->now();
    operation.default_created_at = true;
  }
  MNEME_TRY(validate_node(node));
  for (const NodeVector& vector : node.vectors)
    MNEME_TRY(entry->check_vector(vector.generation, vector.values.size()).with_context("node " + node.id.to_string()));
  operation.node = node.id;
  operation.value = std::move(node);
  operations_.push_back(std::move(operation));
  return operations_.back().node;
}

Status Batch::erase(const Space& space, const NodeId& node) {
  Operation operation;
  operation.kind = Operation::Kind::Erase;
  operation.space = space.id();
  operation.node = node;
  operations_.push_back(std::move(operation));
  return {};
}

Status Batch::link(const Space& space, Link link) {
  MNEME_TRY(validate_link(link));
  Operation operation;
  operation.kind = Operation::Kind::Link;
  operation.space = space.id();
  if (!link.created_at) link.created_at = space.db_->now();
  operation.link = std::move(link);
  operations_.push_back(std::move(operation));
  return {};
}

Status Batch::unlink(const Space& space, const NodeId& from, std::string_view type, const NodeId& to) {
  Operation operation;
  operation.kind = Operation::Kind::Unlink;
  operation.space = space.id();
  operation.link = Link{.from = from, .to = to, .type = std::string(type)};
  MNEME_TRY(validate_link(operation.link));
  operations_.push_back(std::move(operation));
  return {};
}

void Batch::clear() { operations_.clear(); }

}  // namespace mneme
