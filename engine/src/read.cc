// Reads: nodes, links, scans, and the views that pin them.

#include <algorithm>

#include "database_impl.h"
#include "link_keys.h"
#include "row_stream.h"

namespace mneme {
namespace {

Status no_node(const NodeId& node, const std::string& space) {
  return {Code::NotFound, "no node " + node.to_string() + " in space " + space};
}

}  // namespace

Lsn ReadView::lsn() const { return pin_->lsn; }

Result<ReadView> DatabaseImpl::read_view() {
  if (closed_) return Status(Code::FailedPrecondition, "read view: the database is closed");
  MNEME_TRY(caught_up());
  auto pin = std::make_shared<ReadView::Pin>();
  pin->store = store_;
  {
    // Registered before the snapshot is taken, at an LSN not above it, so that no index drops what it may need.
    MutexLock lock(views_mutex_);
    pin->lsn = store_->applied_lsn();
    views_.insert(pin->lsn);
  }
  const Lsn registered = pin->lsn;
  pin->unpin = [impl = weak_from_this(), registered] {
    if (const auto alive = impl.lock()) {
      MutexLock lock(alive->views_mutex_);
      alive->views_.erase(alive->views_.find(registered));
    }
  };
  pin->snapshot = store_->snapshot();
  pin->lsn = options_.read_only ? Lsn{visible_.load()} : pin->snapshot->lsn();
  return ReadView(std::move(pin));
}

Result<std::optional<NodeView>> DatabaseImpl::stored(SpaceId space, const NodeId& node,
                                                     const storage::StoreSnapshotPtr& snapshot) const {
  MNEME_ASSIGN(const std::optional<storage::Place> place, map_->find(space, node, snapshot));
  if (!place) return std::optional<NodeView>();
  const storage::TierStore& tier = place->tier == TierId::Cold ? *cold_ : *warm_;
  MNEME_ASSIGN(std::optional<NodeRecordPtr> record, tier.get(space, place->row, snapshot));
  if (!record || (*record)->id() != node)
    return Status(Code::Corruption, "node " + node.to_string() + ": the map says " + std::string(name_of(place->tier)) +
                                        " row " + std::to_string(place->row.value) +
                                        (record ? ", which holds another node" : ", which is not there"));
  return std::optional<NodeView>(NodeView(std::move(*record), place->row, place->tier));
}

Result<NodeView> DatabaseImpl::get(SpaceId space, const NodeId& node) const {
  if (closed_.load(std::memory_order_relaxed)) return Status(Code::FailedPrecondition, "get: the database is closed");
  if (const auto hot = hot_->find(space, node)) {
    if (hot->is_tombstone()) {
      MNEME_ASSIGN(const SpaceEntryPtr entry, this->entry(space));
      return no_node(node, entry->info.name);
    }
    return NodeView(dropped_.shown(space, hot->record), hot->row, TierId::Hot);
  }
  MNEME_ASSIGN(const SpaceEntryPtr entry, this->entry(space));
  // One snapshot over the three lookups, so that they agree beside the applier.
  MNEME_ASSIGN(std::optional<NodeView> view, stored(space, node, store_->snapshot()));
  if (!view) return no_node(node, entry->info.name);
  return std::move(*view);
}

Result<NodeView> DatabaseImpl::get(SpaceId space, const NodeId& node, const ReadView& view) const {
  MNEME_ASSIGN(const SpaceEntryPtr entry, this->entry(space));
  if (options_.read_only) return get(space, node);  // nothing changes
  MNEME_ASSIGN(std::optional<NodeView> found, stored(space, node, view.pin_->snapshot));
  if (!found) return no_node(node, entry->info.name);
  return std::move(*found);
}

Result<TierId> DatabaseImpl::tier_of(SpaceId space, const NodeId& node) const {
  MNEME_ASSIGN(const SpaceEntryPtr entry, this->entry(space));
  if (const auto hot = hot_->find(space, node)) {
    if (hot->is_tombstone()) return no_node(node, entry->info.name);
    return TierId::Hot;
  }
  MNEME_ASSIGN(const std::optional<storage::Place> place, map_->find(space, node));
  if (!place) return no_node(node, entry->info.name);
  return place->tier;
}

namespace {

// Keys and values of one direction: what is stored, overlaid by what is pending.
using LinkEntries = std::map<std::string, Bytes>;

}  // namespace

Result<std::vector<Link>> DatabaseImpl::links(SpaceId space, const NodeId& node, LinkDirection direction,
                                              std::string_view type) const {
  MNEME_ASSIGN(const SpaceEntryPtr entry, this->entry(space));
  std::vector<Link> found;
  for (const LinkDirection way : {LinkDirection::Out, LinkDirection::In}) {
    if (direction != LinkDirection::Both && direction != way) continue;
    const std::string begin = link_prefix(space, way, node, type);
    const std::string end = storage::prefix_end(begin);
    const auto [pending, snapshot] = pending_links_.read(begin, end, [&] { return store_->snapshot(); });
    LinkEntries entries;
    const auto iterator = store_->scan(storage::kLink, begin, end, {.snapshot = snapshot});
    for (; iterator->valid(); iterator->next())
      entries[std::string(iterator->key())] = Bytes(iterator->value().begin(), iterator->value().end());
    MNEME_TRY(iterator->status());
    for (const auto& [key, change] : pending) {
      if (change.value)
        entries[key] = *change.value;
      else
        entries.erase(key);
    }
    for (const auto& [key, value] : entries) {
      Link link;
      MNEME_TRY(decode_link_key(key, link));
      if (way == LinkDirection::In && direction == LinkDirection::Both && link.from == node) continue;  // a loop: seen
      if (!value.empty()) {
        MNEME_TRY(decode_link_value(value, link));
      } else {  // a way back that is applied: the value lies at the way out, in the same snapshot
        MNEME_ASSIGN(const auto stored,
                     store_->get(storage::kLink, link_out_key(space, link.from, link.type, link.to), snapshot));
        if (!stored)
          return Status(Code::Corruption, "link " + link.from.to_string() + " " + link.type + " " +
                                              link.to.to_string() + ": the way back is stored, the way out is not");
        MNEME_TRY(decode_link_value(stored->bytes(), link));
      }
      found.push_back(std::move(link));
    }
  }
  return found;
}

Status DatabaseImpl::scan(SpaceId space, const ScanQuery& query, const std::function<bool(const NodeView&)>& visit) {
  MNEME_ASSIGN(const SpaceEntryPtr entry, this->entry(space));
  MNEME_TRY(query.filter.validate());
  std::optional<ReadView> view = query.view;
  if (!view) {
    MNEME_ASSIGN(view, read_view());
  }
  std::size_t left = query.limit == 0 ? SIZE_MAX : query.limit;
  return for_each_node(space, query.first, view->pin_->snapshot, query.filter, [&](const NodeView& node) {
    --left;
    return visit(node) && left > 0;
  });
}

Status DatabaseImpl::for_each_node(SpaceId space, RowId first, const storage::StoreSnapshotPtr& snapshot,
                                   const Filter& filter, const std::function<bool(const NodeView&)>& visit) const {
  const storage::ScanOptions options{.snapshot = snapshot, .fill_cache = false, .readahead_bytes = kMiB};
  RowStream warm(*warm_, space, first, options, filter);
  RowStream cold(*cold_, space, first, options, filter);
  auto overlay = overlay_.lower_bound({space, first});
  for (;;) {
    MNEME_ASSIGN(const RowId warm_row, warm.front());
    MNEME_ASSIGN(const RowId cold_row, cold.front());
    const bool more = overlay != overlay_.end() && overlay->first.first == space;
    const RowId row = std::min({warm_row, cold_row, more ? overlay->first.second : kNoRow});
    if (row == kNoRow) return {};
    NodeRecordPtr record;
    TierId tier = TierId::Warm;
    if (row == cold_row) {
      record = cold.pop();
      tier = TierId::Cold;
    }
    if (row == warm_row) {
      record = warm.pop();
      tier = TierId::Warm;
    }
    if (more && row == overlay->first.second) {  // replayed after what the store shows
      record = dropped_.shown(space, overlay->second.first);
      tier = TierId::Hot;
      ++overlay;
      if (!record || !filter.matches(*record)) continue;
    }
    if (!visit(NodeView(std::move(record), row, tier))) return {};
  }
}

}  // namespace mneme
