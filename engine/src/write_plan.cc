#include "write_plan.h"

#include <algorithm>

#include "link_keys.h"

namespace mneme {

std::size_t WritePlan::stripe_of(const NodeId& id) { return std::hash<Uuid>()(id) % DatabaseImpl::kStripes; }

WritePlan::~WritePlan() MNEME_NO_THREAD_SAFETY_ANALYSIS {
  give_stripes_back();
  for (auto& [id, entry] : spaces_) entry->gate.unlock_shared();
}

Status WritePlan::gate(SpaceId id) {
  if (spaces_.contains(id)) return {};
  MNEME_ASSIGN(SpaceEntryPtr entry, db_.entry(id));
  entry->gate.lock_shared();
  Status usable;
  if (entry->dropped) usable = Status(Code::NotFound, "space " + entry->info.name + ": it was dropped");
  if (entry->info.state == SpaceState::Stopped)
    usable = Status(Code::FailedPrecondition, "space " + entry->info.name + " is stopped: start it before writing");
  if (!usable) {
    entry->gate.unlock_shared();
    return usable;
  }
  spaces_.emplace(id, std::move(entry));
  return {};
}

void WritePlan::take_stripes(std::vector<std::size_t> stripes) {
  std::sort(stripes.begin(), stripes.end());
  stripes.erase(std::unique(stripes.begin(), stripes.end()), stripes.end());
  for (const std::size_t stripe : stripes) db_.stripes_[stripe].lock();
  stripes_ = std::move(stripes);
}

void WritePlan::give_stripes_back() {
  for (auto stripe = stripes_.rbegin(); stripe != stripes_.rend(); ++stripe) db_.stripes_[*stripe].unlock();
  stripes_.clear();
}

// Erasing a node erases its links, and each of them once: so the other ends are held too. Which they are is known for
// certain only under the node's own stripe; where one is missing, all are given back and taken again in order.
Status WritePlan::take_stripes_of_neighbours(std::span<const Batch::Operation> operations) {
  for (;;) {
    std::vector<std::size_t> wanted = stripes_;
    for (const Batch::Operation& operation : operations) {
      if (operation.kind != Batch::Operation::Kind::Erase) continue;
      MNEME_ASSIGN(const std::vector<Link> links, db_.links(operation.space, operation.node, LinkDirection::Both, {}));
      for (const Link& link : links) wanted.push_back(stripe_of(link.from == operation.node ? link.to : link.from));
    }
    std::sort(wanted.begin(), wanted.end());
    wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
    if (wanted.size() == stripes_.size()) return {};
    give_stripes_back();
    take_stripes(std::move(wanted));
  }
}

Status WritePlan::lock(std::span<const Batch::Operation> operations) {
  std::vector<SpaceId> spaces;
  std::vector<std::size_t> stripes;
  for (const Batch::Operation& operation : operations) {
    if (std::find(spaces.begin(), spaces.end(), operation.space) == spaces.end()) spaces.push_back(operation.space);
    using Kind = Batch::Operation::Kind;
    if (operation.kind == Kind::Put || operation.kind == Kind::Erase) {
      // A node made here is nobody else's yet.
      if (!operation.fresh) stripes.push_back(stripe_of(operation.node));
    } else {
      stripes.push_back(stripe_of(operation.link.from));
      stripes.push_back(stripe_of(operation.link.to));
    }
  }
  std::sort(spaces.begin(), spaces.end());
  for (const SpaceId space : spaces) MNEME_TRY(gate(space));
  take_stripes(std::move(stripes));
  return take_stripes_of_neighbours(operations);
}

Status WritePlan::lock_nodes(SpaceId space, std::span<const NodeId> nodes) {
  MNEME_TRY(gate(space));
  std::vector<std::size_t> stripes;
  for (const NodeId& id : nodes) stripes.push_back(stripe_of(id));
  take_stripes(std::move(stripes));
  return {};
}

Result<WritePlan::NodeChange*> WritePlan::node(SpaceId space, const NodeId& id, bool fresh) {
  const auto [found, made] = nodes_.try_emplace({space, id});
  NodeChange& change = found->second;
  if (made) {
    change.order = order_++;
    if (!fresh) {
      MNEME_ASSIGN(change.before, db_.existing(space, id));
    }
    if (change.before) change.row = change.before->row;
  }
  return &change;
}

Status WritePlan::put(const Batch::Operation& operation) {
  // The batch was checked when it was made; a generation may have been dropped since. Under the gate that is settled.
  for (const NodeVector& vector : operation.value.vectors)
    MNEME_TRY(space(operation.space)
                  ->check_vector(vector.generation, vector.values.size())
                  .with_context("node " + operation.node.to_string()));
  MNEME_ASSIGN(NodeChange * change, node(operation.space, operation.node, operation.fresh));
  std::optional<Timestamp> kept;
  if (operation.default_created_at) {
    if (change->record)
      kept = change->record->created_at();
    else if (change->alive())
      kept = change->before->created_at;
  }
  if (kept && kept != operation.value.created_at) {
    Node copy = operation.value;
    copy.created_at = kept;
    change->record = NodeRecord::from_node(copy);
  } else {
    change->record = NodeRecord::from_node(operation.value);
  }
  if (change->row == kNoRow) change->row = RowId{space(operation.space)->next_row.fetch_add(1)};
  change->changed = true;
  return {};
}

Status WritePlan::erase(SpaceId space, const NodeId& id) {
  MNEME_ASSIGN(NodeChange * change, node(space, id, false));
  if (!change->alive()) return {};
  MNEME_TRY(unlink_all(space, id));
  change->record = {};
  change->erased = true;
  change->changed = true;
  return {};
}

Status WritePlan::unlink_all(SpaceId space, const NodeId& id) {
  MNEME_ASSIGN(const std::vector<Link> stored, db_.links(space, id, LinkDirection::Both, {}));
  for (const Link& one : stored) {
    MNEME_ASSIGN(LinkChange * change, link(space, one));
    change->present = false;
  }
  for (auto& [key, change] : links_)
    if (change.space == space && (change.link.from == id || change.link.to == id)) change.present = false;
  return {};
}

Result<WritePlan::LinkChange*> WritePlan::link(SpaceId space, const Link& link) {
  std::string key = link_out_key(space, link.from, link.type, link.to);
  const auto found = links_.find(key);
  if (found != links_.end()) return &found->second;
  LinkChange change{.space = space, .link = link, .order = order_++};
  if (const auto pending = db_.pending_links_.find(key)) {
    change.existed = pending->value.has_value();
  } else if (space_of_links_is_empty(space)) {
    change.existed = false;
  } else {
    MNEME_ASSIGN(const auto stored, db_.store_->get(storage::kLink, key));
    change.existed = stored.has_value();
  }
  change.present = change.existed;
  return &links_.emplace(std::move(key), std::move(change)).first->second;
}

bool WritePlan::space_of_links_is_empty(SpaceId id) const { return space(id)->links.load() == 0; }

Status WritePlan::add_link(const Batch::Operation& operation) {
  for (const NodeId* end : {&operation.link.from, &operation.link.to}) {
    MNEME_ASSIGN(const NodeChange* change, node(operation.space, *end, false));
    if (!change->alive())
      return {Code::NotFound, "link " + operation.link.from.to_string() + " → " + operation.link.to.to_string() +
                                  ": no node " + end->to_string() + " in space " + space(operation.space)->info.name};
  }
  MNEME_ASSIGN(LinkChange * change, link(operation.space, operation.link));
  change->link = operation.link;
  change->present = true;
  return {};
}

Result<Commit> WritePlan::build(std::span<const Batch::Operation> operations) {
  using Kind = Batch::Operation::Kind;
  for (const Batch::Operation& operation : operations) {
    switch (operation.kind) {
      case Kind::Put:
        MNEME_TRY(put(operation));
        break;
      case Kind::Erase:
        MNEME_TRY(erase(operation.space, operation.node));
        break;
      case Kind::Link:
        MNEME_TRY(add_link(operation));
        break;
      case Kind::Unlink: {
        MNEME_ASSIGN(LinkChange * change, link(operation.space, operation.link));
        change->present = false;
        break;
      }
    }
  }
  Commit commit;
  commit.ops.reserve(nodes_.size() + links_.size());
  for (const auto& [key, change] : nodes_)
    if (change.changed) add_node_op(commit, key.first, key.second, change);
  for (const auto& [key, change] : links_) add_link_op(commit, change);
  return commit;
}

CounterDelta& WritePlan::delta(std::vector<CounterDelta>& deltas, SpaceId id) const {
  for (CounterDelta& one : deltas)
    if (one.space == id) return one;
  return deltas.emplace_back(CounterDelta{.space = id});
}

void WritePlan::add_node_op(Commit& commit, SpaceId space, const NodeId& id, const NodeChange& change) const {
  CounterDelta& counted = delta(commit.deltas, space);
  if (change.before) {
    (change.before->kind == NodeKind::Concept ? counted.concepts : counted.episodes) -= 1;
    counted.vectors -= static_cast<std::int64_t>(change.before->vectors);
  }
  LogOp op{.space = space, .row = change.row, .node = id};
  if (change.record) {
    (change.record->kind() == NodeKind::Concept ? counted.concepts : counted.episodes) += 1;
    counted.vectors += static_cast<std::int64_t>(change.record->vector_count());
    counted.next_row = std::max(counted.next_row, change.row.value + 1);
    op.kind = LogOp::Kind::Put;
    op.fresh = !change.before.has_value();
    op.record = change.record;
    commit.bytes += change.record->charged_bytes();
  } else {
    if (!change.before) return;  // put and erased within the batch
    op.kind = LogOp::Kind::Erase;
  }
  commit.bytes += sizeof(LogOp);
  commit.ops.push_back(std::move(op));
}

void WritePlan::add_link_op(Commit& commit, const LinkChange& change) const {
  if (!change.present && !change.existed) return;
  delta(commit.deltas, change.space).links += static_cast<int>(change.present) - static_cast<int>(change.existed);
  LogOp op{.kind = change.present ? LogOp::Kind::Link : LogOp::Kind::Unlink, .space = change.space};
  op.link = change.link;
  commit.bytes += sizeof(LogOp) + change.link.type.size();
  commit.ops.push_back(std::move(op));
}

}  // namespace mneme
