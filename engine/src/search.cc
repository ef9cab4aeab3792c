// Search: exact, over every tier, with the filter inside.

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>

#include "database_impl.h"
#include "mneme/base/limits.h"
#include "mneme/index/exact_index.h"

namespace mneme {
namespace {

Status check_query(const Query& query, const GenerationInfo& generation) {
  if (query.k == 0 || query.k > limits::kNeighboursMax)
    return {Code::InvalidArgument, "search: k = " + std::to_string(query.k) + ", 1 to " +
                                       std::to_string(limits::kNeighboursMax) + " are allowed"};
  if (query.vector.size() != generation.dimension)
    return {Code::InvalidArgument, "search: the query has " + std::to_string(query.vector.size()) +
                                       " dimensions, generation " + std::to_string(generation.id.value) + " has " +
                                       std::to_string(generation.dimension)};
  if (!(query.recall_target > 0.0F && query.recall_target <= 1.0F))
    return {Code::InvalidArgument,
            "search: recall target " + std::to_string(query.recall_target) + ", above 0 to 1 is allowed"};
  MNEME_TRY(validate_vector(query.vector).with_context("search: query"));
  return query.filter.validate();
}

}  // namespace

Result<Lsn> DatabaseImpl::load_index(SpaceId space, GenerationId generation, IndexState& state, Lsn at_least) {
  if (!options_.read_only) MNEME_TRY(applier_->wait_applied(at_least));
  MNEME_ASSIGN(const ReadView view, read_view());
  Status added;
  MNEME_TRY(for_each_node(space, RowId{0}, view.pin_->snapshot, {}, [&](const NodeView& node) {
    added = state.put(node.row(), *node, generation, view.lsn());
    return added.ok();
  }));
  MNEME_TRY(added);
  return view.lsn();
}

Result<std::vector<SearchHit>> DatabaseImpl::search(SpaceId space, const Query& query) {
  MNEME_ASSIGN(const SpaceEntryPtr entry, this->entry(space));
  const GenerationInfo* generation = entry->generation(query.generation);
  if (generation == nullptr)
    return Status(Code::NotFound,
                  "search: space " + entry->info.name + " has no generation " + std::to_string(query.generation.value));
  MNEME_TRY(check_query(query, *generation));
  // Before the index is taken: whatever state it then is, it has seen every commit up to this LSN.
  Lsn as_of = query.view ? query.view->lsn() : Lsn{visible_.load(std::memory_order_acquire)};
  MNEME_ASSIGN(const IndexStatePtr state, entry->index(query.generation)->acquire([&](IndexState& fresh, Lsn at_least) {
    return load_index(space, query.generation, fresh, at_least);
  }));
  if (as_of < state->base) {
    if (query.view) return search_view(*entry, query, *generation);
    as_of = state->base;  // loaded since: the store was ahead
  }

  index::SearchRequest request;
  request.queries = query.vector;
  request.k = query.k;
  request.recall_target = query.recall_target;
  request.as_of = as_of;
  index::SlotBitmap matching;
  if (!query.filter.empty()) {
    MNEME_ASSIGN(matching, matching_slots(space, *state, query.filter, as_of, query.view));
    request.filter = &matching;
  }
  MNEME_ASSIGN(const auto rows, state->vectors->search(request));
  std::vector<SearchHit> hits;
  hits.reserve(rows.front().size());
  for (const index::Hit& hit : rows.front()) {
    const NodeId& id = state->ids[hit.slot];
    Result<NodeView> node = query.view ? get(space, id, *query.view) : get(space, id);
    if (node.status().code() == Code::NotFound) continue;  // erased since
    if (!node) return node.status();
    hits.push_back({std::move(*node), hit.score});
  }
  return hits;
}

Result<index::SlotBitmap> DatabaseImpl::matching_slots(SpaceId space, const IndexState& state, const Filter& filter,
                                                       Lsn as_of, const std::optional<ReadView>& view) const {
  const std::size_t slots = state.vectors->slots();
  index::SlotBitmap matching(slots);
  const bool reads_content = filter.reads_content();
  Mutex failed_mutex;
  Status failed;
  // Ranges are whole words of the bitmap: no two threads write the same one.
  const std::size_t words = matching.words().size();
  tbb::parallel_for(tbb::blocked_range<std::size_t>(0, words, 64), [&](const auto& range) {
    const std::size_t end = std::min(range.end() * 64, slots);
    for (std::size_t at = range.begin() * 64; at < end; ++at) {
      const auto slot = static_cast<index::Slot>(at);
      if (!state.vectors->visible(slot, as_of)) continue;
      const Attributes& attributes = state.attributes[slot];
      if (!reads_content) {
        if (filter.matches_body(attributes.bytes())) matching.set(slot);
        continue;
      }
      const Result<NodeView> node = view ? get(space, state.ids[slot], *view) : get(space, state.ids[slot]);
      if (node.ok()) {
        if (filter.matches(**node)) matching.set(slot);
      } else if (node.status().code() != Code::NotFound) {
        MutexLock lock(failed_mutex);
        failed = node.status();
        return;
      }
    }
  });
  if (!failed.ok()) return failed.with_context("search: filter");
  return matching;
}

// A view from before the index was loaded: the store is scanned as the view shows it. Exact, and as slow as that is.
Result<std::vector<SearchHit>> DatabaseImpl::search_view(const SpaceEntry& space, const Query& query,
                                                         const GenerationInfo& info) {
  constexpr std::size_t kPiece = 4096;
  std::vector<SearchHit> best;
  IndexState piece;
  std::vector<NodeView> nodes;
  const auto start_piece = [&] {
    piece.vectors = index::make_exact_index(info.dimension, info.metric);
    nodes.clear();
  };
  const auto finish_piece = [&]() -> Status {
    index::SearchRequest request;
    request.queries = query.vector;
    request.k = query.k;
    MNEME_ASSIGN(const auto rows, piece.vectors->search(request));
    for (const index::Hit& hit : rows.front()) best.push_back({nodes[hit.slot], hit.score});
    std::stable_sort(best.begin(), best.end(),
                     [](const SearchHit& a, const SearchHit& b) { return a.score > b.score; });
    if (best.size() > query.k) best.erase(best.begin() + static_cast<std::ptrdiff_t>(query.k), best.end());
    start_piece();
    return {};
  };
  start_piece();
  Status failed;
  MNEME_TRY(for_each_node(space.info.id, RowId{0}, query.view->pin_->snapshot, query.filter, [&](const NodeView& node) {
    const std::span<const float> vector = node->vector(info.id);
    if (vector.empty()) return true;
    failed = piece.vectors->add(node.row(), vector, Lsn{1}).status();
    nodes.push_back(node);
    if (failed.ok() && nodes.size() == kPiece) failed = finish_piece();
    return failed.ok();
  }));
  MNEME_TRY(failed);
  if (!nodes.empty()) MNEME_TRY(finish_piece());
  return best;
}

}  // namespace mneme
