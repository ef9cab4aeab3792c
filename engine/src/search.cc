// Search: over every tier, with the filter inside.
//
// A search reads the LSN that it answers as of before it takes the index: whatever state it then gets, that state has
// seen every commit up to there. (Taken the other way round, a state that compaction has just replaced may have seen
// half of the last one.)

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <atomic>
#include <functional>

#include "search_plan.h"

namespace mneme {
namespace {

Status invalid(std::string message) { return {Code::InvalidArgument, "search: " + std::move(message)}; }

Status check_shape(const Query& query) {
  const std::size_t k_max = limits::kNeighboursMax - (query.like ? 1 : 0);
  if (query.k == 0 || query.k > k_max)
    return invalid("k = " + std::to_string(query.k) + ", 1 to " + std::to_string(k_max) + " are allowed");
  if (query.like && !query.vector.empty())
    return invalid("a vector and a node that the results should be like: one of them is allowed");
  if (!(query.recall_target > 0.0F && query.recall_target <= 1.0F))
    return invalid("recall target " + std::to_string(query.recall_target) + ", above 0 to 1 is allowed");
  if (!(query.diversity >= 0.0F && query.diversity <= 1.0F))
    return invalid("diversity " + std::to_string(query.diversity) + ", 0 to 1 is allowed");
  return query.filter.validate();
}

Status check_vector(std::span<const float> vector, const GenerationInfo& generation) {
  if (vector.size() != generation.dimension)
    return invalid("the query has " + std::to_string(vector.size()) + " dimensions, generation " +
                   std::to_string(generation.id.value) + " has " + std::to_string(generation.dimension));
  return validate_vector(vector).with_context("search: query");
}

// Calls `visit(slot)` for slots [first, end), in parallel when they are many. Ranges are whole words of a bitmap: no two
// threads write the same one.
template <class Visit>
void for_each_slot(std::size_t first, std::size_t end, const Visit& visit) {
  constexpr std::size_t kSerialSlotsMax = 2048;
  if (end - first <= kSerialSlotsMax) {
    for (std::size_t slot = first; slot < end; ++slot) visit(static_cast<index::Slot>(slot));
    return;
  }
  tbb::parallel_for(tbb::blocked_range<std::size_t>(first / 64, (end + 63) / 64, 64), [&](const auto& range) {
    const std::size_t stop = std::min(range.end() * 64, end);
    for (std::size_t slot = std::max(range.begin() * 64, first); slot < stop; ++slot)
      visit(static_cast<index::Slot>(slot));
  });
}

std::vector<Neighbour> without_nodes(const std::vector<SearchHit>& hits) {
  std::vector<Neighbour> neighbours;
  neighbours.reserve(hits.size());
  for (const SearchHit& hit : hits) neighbours.push_back({hit.node.id(), hit.node.row(), hit.score});
  return neighbours;
}

}  // namespace

Result<Lsn> DatabaseImpl::load_index(SpaceId space, GenerationId generation, IndexState& state, Lsn at_least) {
  if (!options_.read_only) MNEME_TRY(applier_->wait_applied(at_least));
  MNEME_ASSIGN(const ReadView view, read_view());
  const SpaceEntryPtr entry = spaces_.find(space);
  if (entry) {
    MNEME_ASSIGN(const bool restored, restore_index(*entry, *entry->index(generation), state, view));
    if (restored) return view.lsn();
  }
  ++indexes_loaded_;
  Status added;
  MNEME_TRY(for_each_node(space, RowId{0}, view.pin_->snapshot, {}, [&](const NodeView& node) {
    added = state.put(node.row(), *node, generation, view.lsn());
    return added.ok();
  }));
  MNEME_TRY(added);
  return view.lsn();
}

// Everything but the vector: the checks, the LSN, the index.
Result<DatabaseImpl::Searched> DatabaseImpl::start_search(SpaceId space, const Query& query) {
  Searched searched;
  MNEME_ASSIGN(searched.space, entry(space));
  searched.generation = searched.space->generation(query.generation);
  if (searched.generation == nullptr)
    return Status(Code::NotFound, "search: space " + searched.space->info.name + " has no generation " +
                                      std::to_string(query.generation.value));
  MNEME_TRY(check_shape(query));
  MNEME_TRY(take_state(searched, query));
  return searched;
}

// The LSN to answer as of, then the index.
Status DatabaseImpl::take_state(Searched& searched, const Query& query) {
  const SpaceId space = searched.space->info.id;
  searched.as_of = query.view ? query.view->lsn() : Lsn{visible_.load(std::memory_order_acquire)};
  GenerationIndex& index = *searched.space->index(query.generation);
  searched.state = index.loaded();
  if (!searched.state) {
    index.set_options({.cold = options_.cold_indexes});
    MNEME_ASSIGN(searched.state, index.acquire([&](IndexState& fresh, Lsn at_least) {
      return load_index(space, query.generation, fresh, at_least);
    }));
  }
  if (searched.as_of < searched.state->base) {
    if (query.view)
      searched.state.reset();
    else
      searched.as_of = searched.state->base;  // loaded since: the store was ahead
  }
  return {};
}

// The index's files are damaged: it is loaded from the database, and asked again.
Result<std::vector<std::vector<Neighbour>>> DatabaseImpl::neighbours_after(const Status& damage,
                                                                           const Searched& searched,
                                                                           std::span<const float> queries,
                                                                           const Query& query) {
  index_is_damaged(searched.space->info, *searched.space->index(query.generation), searched.state,
                   searched.state->saved_as, damage);
  Searched again = searched;
  MNEME_TRY(take_state(again, query));
  if (again.state) return neighbours(again, queries, query);
  MNEME_ASSIGN(const std::vector<SearchHits> found, search_view(again, queries, query));
  std::vector<Neighbours> all;
  for (const SearchHits& hits : found) all.push_back(without_nodes(hits));
  return all;
}

Status DatabaseImpl::take_vector_of_like(Searched& searched, const Query& query) const {
  if (!query.like) {
    searched.vector = query.vector;
    return check_vector(searched.vector, *searched.generation);
  }
  const SpaceId space = searched.space->info.id;
  Result<NodeView> node = query.view ? get(space, *query.like, *query.view) : get(space, *query.like);
  if (!node) return node.status().with_context("search: like");
  searched.vector = (*node)->vector(query.generation);
  searched.like = std::move(*node);
  if (searched.vector.empty())
    return {Code::FailedPrecondition, "search: like: node " + query.like->to_string() +
                                          " has no vector of generation " + std::to_string(query.generation.value)};
  return {};
}

Result<std::vector<SearchHit>> DatabaseImpl::search(SpaceId space, const Query& query) {
  MNEME_ASSIGN(Searched searched, start_search(space, query));
  MNEME_TRY(take_vector_of_like(searched, query));
  if (!searched.state) {
    MNEME_ASSIGN(std::vector<SearchHits> found, search_view(searched, searched.vector, query));
    return std::move(found.front());
  }
  MNEME_ASSIGN(const std::vector<Neighbours> found, neighbours(searched, searched.vector, query));
  std::vector<SearchHit> hits;
  hits.reserve(found.front().size());
  for (const Neighbour& neighbour : found.front()) {
    Result<NodeView> node = query.view ? get(space, neighbour.id, *query.view) : get(space, neighbour.id);
    if (node.status().code() == Code::NotFound) continue;  // erased since
    if (!node) return node.status();
    hits.push_back({std::move(*node), neighbour.score});
  }
  return hits;
}

Result<std::vector<Neighbour>> DatabaseImpl::nearest(SpaceId space, const Query& query) {
  MNEME_ASSIGN(Searched searched, start_search(space, query));
  MNEME_TRY(take_vector_of_like(searched, query));
  if (!searched.state) {
    MNEME_ASSIGN(const std::vector<SearchHits> found, search_view(searched, searched.vector, query));
    return without_nodes(found.front());
  }
  MNEME_ASSIGN(std::vector<Neighbours> found, neighbours(searched, searched.vector, query));
  return std::move(found.front());
}

Result<std::vector<std::vector<Neighbour>>> DatabaseImpl::nearest_batch(SpaceId space, std::span<const float> queries,
                                                                        const Query& shape) {
  if (!shape.vector.empty() || shape.like) return invalid("a batch brings its vectors beside the query, not in it");
  MNEME_ASSIGN(const Searched searched, start_search(space, shape));
  const std::size_t dimension = searched.generation->dimension;
  if (queries.size() % dimension != 0)
    return invalid("a batch of " + std::to_string(queries.size()) + " values, no multiple of the " +
                   std::to_string(dimension) + " dimensions of generation " + std::to_string(shape.generation.value));
  if (queries.empty()) return std::vector<Neighbours>();
  for (std::size_t at = 0; at < queries.size(); at += dimension) {
    const Status checked = validate_vector(queries.subspan(at, dimension));
    if (!checked.ok()) return checked.with_context("search: query " + std::to_string(at / dimension));
  }
  if (searched.state) return neighbours(searched, queries, shape);
  MNEME_ASSIGN(const std::vector<SearchHits> found, search_view(searched, queries, shape));
  std::vector<Neighbours> all;
  all.reserve(found.size());
  for (const SearchHits& hits : found) all.push_back(without_nodes(hits));
  return all;
}

// By the index, one list per query.
Result<std::vector<std::vector<Neighbour>>> DatabaseImpl::neighbours(const Searched& searched,
                                                                     std::span<const float> queries,
                                                                     const Query& query) {
  const IndexState& state = *searched.state;
  index::SearchRequest request;
  request.queries = queries;
  request.k = candidates_of(query);
  request.recall_target = query.recall_target;
  request.as_of = searched.as_of;
  FilterCache::BitmapPtr matching;
  if (!query.filter.empty()) {
    MNEME_ASSIGN(matching, matching_slots(searched, query));
    request.filter = matching.get();
  }
  auto found = state.vectors->search(request);
  if (found.status().code() == Code::Corruption) return neighbours_after(found.status(), searched, queries, query);
  if (!found) return found.status();
  std::vector<Neighbours> all(found->size());
  for (std::size_t q = 0; q < found->size(); ++q) {
    if (query.like || query.diversity > 0)
      choose((*found)[q], query, *searched.generation, [&](const index::Hit& hit) { return state.ids[hit.slot]; },
             [](const index::Hit& hit) { return hit.row; },
             [&](const index::Hit& hit) { return state.vectors->vector(hit.slot).data(); });
    all[q].reserve((*found)[q].size());
    for (const index::Hit& hit : (*found)[q]) all[q].push_back({state.ids[hit.slot], hit.row, hit.score});
  }
  return all;
}

// The slots that the filter keeps, at least of those that are visible as of the search's LSN; the index asks about
// visibility itself. The state has published all of them: slots() is read after the LSN.
Result<FilterCache::BitmapPtr> DatabaseImpl::matching_slots(const Searched& searched, const Query& query) const {
  const IndexState& state = *searched.state;
  const Filter& filter = query.filter;
  const std::size_t slots = state.vectors->slots();
  if (!filter.reads_content()) {
    const auto extend = [&](index::SlotBitmap& bitmap, std::size_t first) {
      for_each_slot(first, slots, [&](index::Slot slot) {
        if (filter.matches_body(state.attributes[slot].bytes())) bitmap.set(slot);
      });
    };
    return state.filters.get(filter, slots, std::ref(extend));
  }

  const SpaceId space = searched.space->info.id;
  auto matching = std::make_shared<index::SlotBitmap>(slots);
  std::atomic<bool> stop{false};
  Mutex failed_mutex;
  Status failed;
  for_each_slot(0, slots, [&](index::Slot slot) {
    if (stop.load(std::memory_order_relaxed) || !state.vectors->visible(slot, searched.as_of)) return;
    const NodeId& id = state.ids[slot];
    const Result<NodeView> node = query.view ? get(space, id, *query.view) : get(space, id);
    if (node.ok()) {
      if (filter.matches(**node)) matching->set(slot);
    } else if (node.status().code() != Code::NotFound) {
      stop = true;
      MutexLock lock(failed_mutex);
      failed = node.status();
    }
  });
  if (!failed.ok()) return failed.with_context("search: filter");
  return FilterCache::BitmapPtr(std::move(matching));
}

}  // namespace mneme
