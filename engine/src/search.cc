// Search: over every tier, with the filter inside.
//
// A search reads the LSN that it answers as of before it takes the index: whatever state it then gets, that state has
// seen every commit up to there. (Taken the other way round, a state that compaction has just replaced may have seen
// half of the last one.)

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <atomic>
#include <functional>

#include "fusion.h"
#include "search_plan.h"

namespace mneme {
namespace {

Status invalid(std::string message) { return {Code::InvalidArgument, "search: " + std::move(message)}; }

Status check_weight(float weight, GenerationId generation) {
  constexpr float kWeightMax = 1'000;
  if (weight > 0.0F && weight <= kWeightMax) return {};
  return invalid("weight " + std::to_string(weight) + " of generation " + std::to_string(generation.value) +
                 ", above 0 to 1,000 is allowed");
}

// Of a search by several generations.
Status check_also(const Query& query) {
  MNEME_TRY(check_weight(query.weight, query.generation));
  if (query.also.empty()) return {};
  if (query.diversity > 0.0F)
    return invalid("diversity goes with one generation alone: likeness by different models does not compare");
  std::vector<GenerationId> seen{query.generation};
  for (const Query::Also& also : query.also) {
    if (std::ranges::find(seen, also.generation) != seen.end())
      return invalid("generation " + std::to_string(also.generation.value) + " twice");
    seen.push_back(also.generation);
    MNEME_TRY(check_weight(also.weight, also.generation));
    if (query.like && !also.vector.empty())
      return invalid("a vector and a node that the results should be like: one of them is allowed");
  }
  return {};
}

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
  MNEME_TRY(check_also(query));
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
  if (const SpaceEntryPtr entry = spaces_.find(space))
    if (const Result<GenerationIndexPtr> index = entry->generation(generation)) {
      MNEME_ASSIGN(const bool restored, restore_index(*entry, **index, state, view));
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

// Everything but the vectors: the checks, the LSN, the indexes. One part per generation.
Result<std::vector<DatabaseImpl::Searched>> DatabaseImpl::start_search(SpaceId space, const Query& query) {
  MNEME_ASSIGN(const SpaceEntryPtr entry, this->entry(space));
  std::vector<Searched> parts;
  const auto add_part = [&](GenerationId id, float weight) -> Status {
    Result<GenerationIndexPtr> index = entry->generation(id);
    if (!index) return index.status().with_context("search");
    Searched& part = parts.emplace_back();
    part.space = entry;
    part.index = std::move(*index);
    part.generation = &part.index->info();
    part.weight = static_cast<double>(weight);
    return {};
  };
  MNEME_TRY(add_part(query.generation, query.weight));
  for (const Query::Also& also : query.also) MNEME_TRY(add_part(also.generation, also.weight));
  MNEME_TRY(check_shape(query));
  MNEME_TRY(take_states(parts, query));
  return parts;
}

// One LSN for all parts that every one of their states can answer: read first, the states after it. An index that was
// loaded since starts from a later commit, which the store was ahead by; then all are taken again as of that one.
Status DatabaseImpl::take_states(std::vector<Searched>& parts, const Query& query) {
  for (Lsn least;;) {
    const Lsn as_of = query.view ? query.view->lsn() : std::max(least, Lsn{visible_.load(std::memory_order_acquire)});
    for (Searched& part : parts) {
      part.as_of = as_of;
      part.state = part.index->loaded();
      if (!part.state) {
        part.index->set_options({.cold = options_.cold_indexes});
        MNEME_ASSIGN(part.state, part.index->acquire([&](IndexState& fresh, Lsn at_least) {
          return load_index(part.space->info.id, part.generation->id, fresh, at_least);
        }));
      }
      // Dropped meanwhile: the load may have met nodes without their vectors.
      MNEME_TRY(part.space->generation(part.generation->id).status().with_context("search"));
      if (as_of >= part.state->base) continue;
      least = std::max(least, part.state->base);
      if (query.view) part.state.reset();
    }
    if (query.view || least <= as_of) return {};
  }
}

Status DatabaseImpl::take_vectors(std::vector<Searched>& parts, const Query& query) const {
  if (query.like) return take_vectors_of_like(parts, query);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    parts[i].vectors = i == 0 ? query.vector : query.also[i - 1].vector;
    MNEME_TRY(check_vector(parts[i].vectors, *parts[i].generation));
  }
  return {};
}

Status DatabaseImpl::take_vectors_of_like(std::vector<Searched>& parts, const Query& query) const {
  const SpaceId space = parts.front().space->info.id;
  Result<NodeView> node = query.view ? get(space, *query.like, *query.view) : get(space, *query.like);
  if (!node) return node.status().with_context("search: like");
  std::string wanted;
  for (Searched& part : parts) {
    part.vectors = (*node)->vector(part.generation->id);
    part.like = *node;
    wanted += (wanted.empty() ? "" : " or ") + std::to_string(part.generation->id.value);
    if (part.vectors.empty()) MNEME_TRY(part.space->generation(part.generation->id).status().with_context("search"));
  }
  std::erase_if(parts, [](const Searched& part) { return part.vectors.empty(); });
  if (!parts.empty()) return {};
  return {Code::FailedPrecondition,
          "search: like: node " + query.like->to_string() + " has no vector of generation " + wanted};
}

// Rows of a batch to each part. One part reads them where they are.
Status DatabaseImpl::take_batch(std::vector<Searched>& parts, std::span<const float> queries) {
  std::size_t dimension = 0;
  for (const Searched& part : parts) dimension += part.generation->dimension;
  if (queries.size() % dimension != 0)
    return invalid("a batch of " + std::to_string(queries.size()) + " values, no multiple of the " +
                   std::to_string(dimension) + " dimensions of generation " +
                   std::to_string(parts.front().generation->id.value) +
                   (parts.size() > 1 ? " and those beside it" : ""));
  for (std::size_t at = 0; at < queries.size(); at += dimension) {
    const Status checked = validate_vector(queries.subspan(at, dimension));
    if (!checked.ok()) return checked.with_context("search: query " + std::to_string(at / dimension));
  }
  if (parts.size() == 1) {
    parts.front().vectors = queries;
    return {};
  }
  for (std::size_t at = 0; at < queries.size();) {
    for (Searched& part : parts) {
      const std::span<const float> vector = queries.subspan(at, part.generation->dimension);
      part.rows.insert(part.rows.end(), vector.begin(), vector.end());
      at += vector.size();
    }
  }
  for (Searched& part : parts) part.vectors = part.rows;
  return {};
}

// The best of one part, one list per query.
Result<std::vector<DatabaseImpl::Neighbours>> DatabaseImpl::find(Searched& part, const Query& query) const {
  if (part.state) return neighbours(part, query);
  MNEME_ASSIGN(const std::vector<SearchHits> found, search_view(part, part.vectors, query));
  std::vector<Neighbours> all;
  all.reserve(found.size());
  for (const SearchHits& hits : found) all.push_back(without_nodes(hits));
  return all;
}

// The best of each part. Where the files of an index turn out damaged, it is loaded from the database, and all parts are
// asked again as of one LSN.
Result<std::vector<std::vector<DatabaseImpl::Neighbours>>> DatabaseImpl::find_each(std::vector<Searched>& parts,
                                                                                   const Query& query) {
  std::vector<std::vector<Neighbours>> by_part;
  while (by_part.size() < parts.size()) {
    Searched& part = parts[by_part.size()];
    Result<std::vector<Neighbours>> found = find(part, query);
    if (!part.damage.ok()) {
      index_is_damaged(part.space->info, *part.index, part.state, part.state->saved_as, part.damage);
      part.damage = {};
      MNEME_TRY(take_states(parts, query));
      by_part.clear();
      continue;
    }
    if (!found) return found.status();
    by_part.push_back(std::move(*found));
  }
  return by_part;
}

// The best of all parts, one list per query.
Result<std::vector<DatabaseImpl::Neighbours>> DatabaseImpl::find_fused(std::vector<Searched>& parts,
                                                                       const Query& query) {
  Query one = query;
  if (!query.also.empty()) one.k = std::min(fusion_depth(query.k), limits::kNeighboursMax - (query.like ? 1 : 0));
  MNEME_ASSIGN(auto by_part, find_each(parts, one));
  if (query.also.empty()) return std::move(by_part.front());
  std::vector<Neighbours> all;
  for (std::size_t q = 0; q < by_part.front().size(); ++q) {
    std::vector<RankedList> lists;
    for (std::size_t i = 0; i < parts.size(); ++i) lists.push_back({by_part[i][q], parts[i].weight});
    all.push_back(fuse_ranks(lists, query.k));
  }
  return all;
}

Result<std::vector<SearchHit>> DatabaseImpl::search(SpaceId space, const Query& query) {
  MNEME_ASSIGN(std::vector<Searched> parts, start_search(space, query));
  MNEME_TRY(take_vectors(parts, query));
  if (query.also.empty() && !parts.front().state) {  // the scan has the nodes at hand
    MNEME_ASSIGN(std::vector<SearchHits> found, search_view(parts.front(), parts.front().vectors, query));
    return std::move(found.front());
  }
  MNEME_ASSIGN(const std::vector<Neighbours> found, find_fused(parts, query));
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
  MNEME_ASSIGN(std::vector<Searched> parts, start_search(space, query));
  MNEME_TRY(take_vectors(parts, query));
  MNEME_ASSIGN(std::vector<Neighbours> found, find_fused(parts, query));
  return std::move(found.front());
}

Result<std::vector<std::vector<Neighbour>>> DatabaseImpl::nearest_batch(SpaceId space, std::span<const float> queries,
                                                                        const Query& shape) {
  const bool brings_a_vector =
      !shape.vector.empty() || std::ranges::any_of(shape.also, [](const auto& also) { return !also.vector.empty(); });
  if (brings_a_vector || shape.like) return invalid("a batch brings its vectors beside the query, not in it");
  MNEME_ASSIGN(std::vector<Searched> parts, start_search(space, shape));
  MNEME_TRY(take_batch(parts, queries));
  if (queries.empty()) return std::vector<Neighbours>();
  return find_fused(parts, shape);
}

// By the index, one list per query. Damage of its files is noted in `searched`.
Result<std::vector<DatabaseImpl::Neighbours>> DatabaseImpl::neighbours(Searched& searched, const Query& query) const {
  const IndexState& state = *searched.state;
  index::SearchRequest request;
  request.queries = searched.vectors;
  request.k = candidates_of(query);
  request.recall_target = query.recall_target;
  request.as_of = searched.as_of;
  FilterCache::BitmapPtr matching;
  if (!query.filter.empty()) {
    MNEME_ASSIGN(matching, matching_slots(searched, query));
    request.filter = matching.get();
  }
  auto found = state.vectors->search(request);
  if (found.status().code() == Code::Corruption) searched.damage = found.status();
  if (!found) return found.status();
  std::vector<Neighbours> all(found->size());
  for (std::size_t q = 0; q < found->size(); ++q) {
    std::vector<index::Hit>& hits = (*found)[q];
    if (query.like || query.diversity > 0)
      choose(
          hits, query, *searched.generation, [&](const index::Hit& hit) { return state.ids[hit.slot]; },
          [](const index::Hit& hit) { return hit.row; },
          [&](const index::Hit& hit) { return state.vectors->vector(hit.slot).data(); });
    all[q].reserve(hits.size());
    for (const index::Hit& hit : hits) all[q].push_back({state.ids[hit.slot], hit.row, hit.score});
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
