// Writes: from a batch to an acknowledged, visible commit.

#include "database_impl.h"
#include "link_keys.h"
#include "mneme/base/limits.h"
#include "write_plan.h"

namespace mneme {
namespace {

storage::Durability log_durability(Durability durability) {
  switch (durability) {
    case Durability::Interval:
      return storage::Durability::Interval;
    case Durability::Memory:
      return storage::Durability::Memory;
    case Durability::Sync:
      break;
  }
  return storage::Durability::Sync;
}

}  // namespace

Status DatabaseImpl::may_write() const {
  if (closed_) return {Code::FailedPrecondition, "write: the database is closed"};
  if (options_.read_only) return {Code::FailedPrecondition, "write: the database is open read-only"};
  MNEME_TRY(wal_->health());
  // A full disk passes; the writer is refused when the room for unapplied changes is used up, or by the log itself.
  const Status applying = applier_->health();
  if (!applying.ok() && applying.code() != Code::NoSpace) return applying;
  return {};
}

Result<SpaceEntryPtr> DatabaseImpl::entry(SpaceId id) const {
  if (closed_) return Status(Code::FailedPrecondition, "the database is closed");
  SpaceEntryPtr entry = spaces_.find(id);
  if (!entry) return Status(Code::NotFound, "space " + std::to_string(id.value) + ": no such space, or it was dropped");
  return entry;
}

// What is stored of a node, its newest version. The caller holds the node's stripe, so it stays true.
Result<std::optional<Existing>> DatabaseImpl::existing(SpaceId space, const NodeId& node) const {
  if (const auto hot = hot_->find(space, node)) {
    if (hot->is_tombstone()) return std::optional<Existing>();
    const NodeRecordPtr shown = dropped_.shown(space, hot->record);
    return std::optional<Existing>(Existing{hot->row, shown->kind(), shown->vector_count(), shown->created_at()});
  }
  MNEME_ASSIGN(const std::optional<storage::Place> place, map_->find(space, node));
  if (!place) return std::optional<Existing>();
  const storage::TierStore& tier = place->tier == TierId::Cold ? *cold_ : *warm_;
  MNEME_ASSIGN(const std::optional<storage::PinnedValue> body, tier.get_body(space, place->row));
  if (!body)
    return Status(Code::Corruption, "node " + node.to_string() + ": the map says " + std::string(name_of(place->tier)) +
                                        " row " + std::to_string(place->row.value) + ", which is not there");
  Existing found{place->row, place->kind, 0, std::nullopt};
  MNEME_ASSIGN(const std::vector<VectorShape> shapes, tier.shapes_of(space, body->bytes()));
  found.vectors = shapes.size();
  for (FieldCursor field(body->bytes()); field.next();)
    if (field.number() == static_cast<std::uint16_t>(NodeField::CreatedAt))
      found.created_at = Timestamp(std::chrono::microseconds(static_cast<std::int64_t>(field.integer())));
  return std::optional<Existing>(found);
}

Result<Lsn> DatabaseImpl::write(std::span<const Batch::Operation> operations, Durability durability) {
  MNEME_TRY(may_write());
  if (operations.empty()) return Lsn{};
  if (operations.size() > limits::kBatchOperationsMax)
    return Status(Code::InvalidArgument, "batch: " + std::to_string(operations.size()) + " operations, at most " +
                                             std::to_string(limits::kBatchOperationsMax));
  MNEME_TRY(applier_->wait_for_room(options_.unapplied_bytes_max, options_.busy_after));
  WritePlan plan(*this);
  MNEME_TRY(plan.lock(operations));
  MNEME_ASSIGN(Commit commit, plan.build(operations));
  if (commit.ops.empty()) return Lsn{visible_.load()};
  return log_and_publish(std::move(commit), durability);
}

Result<Lsn> DatabaseImpl::log_and_publish(Commit commit, Durability durability) {
  const EncodedCommit encoded(commit);
  if (encoded.bytes() > limits::kBatchBytesMax)
    return Status(Code::InvalidArgument, "batch: " + std::to_string(encoded.bytes()) + " bytes, at most " +
                                             std::to_string(limits::kBatchBytesMax));
  return wal_->append(commit.kind, encoded.parts(), log_durability(durability), [&](Lsn lsn) {
    commit.lsn = lsn;
    publish(std::move(commit));
  });
}

// Runs for one commit at a time, in LSN order: by the log's leader, or by replay.
void DatabaseImpl::publish(Commit commit) {
  const Lsn lsn = commit.lsn;
  if (commit.change) publish_change(*commit.change);
  publish_ops(commit);
  publish_links(commit);
  spaces_.count(commit.deltas);
  if (options_.read_only)
    remember_overlay(commit);
  else
    applier_->push(std::move(commit));
  visible_.store(lsn.value, std::memory_order_release);
}

void DatabaseImpl::publish_ops(const Commit& commit) {
  if (commit.bulk) {
    const SpaceEntryPtr entry = spaces_.find(commit.bulk->space);
    if (!entry) return;
    const auto generations = entry->generations();
    for (std::size_t i = 0; i < commit.bulk->records.size(); ++i)
      for (const auto& index : generations->indexes)
        index->publish(RowId{commit.bulk->first_row.value + i}, commit.bulk->records[i], commit.lsn);
    return;
  }
  SpaceEntryPtr entry;
  std::shared_ptr<const GenerationList> generations;
  for (const LogOp& op : commit.ops) {
    if (op.kind != LogOp::Kind::Put && op.kind != LogOp::Kind::Erase) continue;
    if (!entry || entry->info.id != op.space) {
      entry = spaces_.find(op.space);
      generations = entry ? entry->generations() : nullptr;
    }
    hot_->put(op.space, op.node, {op.record, op.row, commit.lsn});
    if (!entry) continue;
    for (const auto& index : generations->indexes) index->publish(op.row, op.record, commit.lsn);
  }
}

void DatabaseImpl::publish_links(const Commit& commit) {
  std::vector<PendingLinks::Change> changes;
  for (const LogOp& op : commit.ops) {
    if (op.kind != LogOp::Kind::Link && op.kind != LogOp::Kind::Unlink) continue;
    const Link& link = op.link;
    std::optional<Bytes> value;
    if (op.kind == LogOp::Kind::Link) encode_link_value(link, value.emplace());
    // While pending, the way back has the value too: by the time a reader asks for the way out it may be applied.
    changes.push_back({link_back_key(op.space, link.from, link.type, link.to), value});
    changes.push_back({link_out_key(op.space, link.from, link.type, link.to), std::move(value)});
  }
  if (!changes.empty()) pending_links_.publish(std::move(changes), commit.lsn);
}

void DatabaseImpl::publish_change(const SpaceChange& change) {
  switch (change.kind) {
    case SpaceChange::Kind::Create: {
      spaces_.add(std::make_shared<SpaceEntry>(change.info));
      std::uint32_t next = next_space_.load();
      while (next <= change.info.id.value && !next_space_.compare_exchange_weak(next, change.info.id.value + 1)) {
      }
      break;
    }
    case SpaceChange::Kind::Update:
      if (const SpaceEntryPtr entry = spaces_.find(change.info.id)) entry->info.state = change.info.state;
      break;
    case SpaceChange::Kind::Drop:
      if (const SpaceEntryPtr entry = spaces_.find(change.info.id)) entry->dropped = true;
      spaces_.remove(change.info.id);
      hot_->drop_space(change.info.id);
      break;
    case SpaceChange::Kind::AddGeneration:
      if (const SpaceEntryPtr entry = spaces_.find(change.info.id)) entry->take_generations(change.info);
      break;
    case SpaceChange::Kind::DropGeneration:
      if (const SpaceEntryPtr entry = spaces_.find(change.info.id)) forget_generation(*entry, change);
      break;
  }
}

// The index goes first: a search that was given nodes without the vectors finds, when it looks again, that the generation
// is gone. Runs once when the drop is published and again on replay, so what it does must bear repeating.
void DatabaseImpl::forget_generation(SpaceEntry& entry, const SpaceChange& change) {
  entry.take_generations(change.info);
  dropped_.add(change.info.id, change.generation);
}

// A read-only open cannot apply: what the store does not show is kept here for scans.
void DatabaseImpl::remember_overlay(const Commit& commit) {
  for (const LogOp& op : commit.ops)
    if (op.kind == LogOp::Kind::Put || op.kind == LogOp::Kind::Erase)
      overlay_[{op.space, op.row}] = {op.record, commit.lsn};
}

Status DatabaseImpl::move(SpaceId space, const NodeId& node, TierId to) {
  if (to == TierId::Hot) {
    MNEME_ASSIGN(const SpaceEntryPtr checked, entry(space));
    // A change that comes and is evicted while the copy is read makes the copy stale: the hot tier refuses it.
    constexpr int kTries = 100;
    for (int i = 0; i < kTries; ++i) {
      if (const auto hot = hot_->find(space, node); hot && !hot->is_tombstone()) return {};
      const Lsn as_of = store_->applied_lsn();
      MNEME_ASSIGN(const NodeView view, get(space, node));
      if (hot_->insert_clean(space, node, {view.record(), view.row(), as_of})) return {};
    }
    return {Code::Busy, "move to hot: node " + node.to_string() + " keeps changing"};
  }
  MNEME_TRY(may_write());
  WritePlan plan(*this);
  MNEME_TRY(plan.lock_nodes(space, {&node, 1}));
  MNEME_ASSIGN(const std::optional<Existing> found, existing(space, node));
  if (!found)
    return {Code::NotFound, "move: no node " + node.to_string() + " in space " + plan.space(space)->info.name};
  Commit commit;
  commit.kind = kMoveRecord;
  commit.move = Move{space, node, to};
  MNEME_ASSIGN(const Lsn lsn, log_and_publish(std::move(commit), Durability::Sync));
  // The stripe is held until the store has it, so that a write that follows finds the node at its new place.
  MNEME_TRY(applier_->wait_applied(lsn));
  if (const auto hot = hot_->find(space, node); hot && hot->lsn <= lsn) hot_->drop(space, node, hot->lsn);
  return {};
}

}  // namespace mneme
