// One search: what it works with, how many candidates it asks for, and its choice among them.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "database_impl.h"
#include "diversity.h"
#include "mneme/base/limits.h"

namespace mneme {

/// One generation of a search. A fused search has several, all as of one LSN.
struct DatabaseImpl::Searched {
  SpaceEntryPtr space;
  GenerationIndexPtr index;  // kept for as long as the search runs, dropped meanwhile or not
  const GenerationInfo* generation = nullptr;
  double weight = 1;
  IndexStatePtr state;  // null: the view is older than what the index remembers; the store is scanned at the view
  Lsn as_of;
  Status damage;                   // what the last answer met in the index's files
  std::optional<NodeView> like;    // owns the vector to search by
  std::vector<float> rows;         // owns them where they are a batch's for several generations
  std::span<const float> vectors;  // one query's, or a batch's row by row
};

/// How many hits a choice needs: more than k where some of them are left out.
inline std::size_t candidates_of(const Query& query) {
  std::size_t count = query.diversity > 0 ? std::max(4 * query.k, query.k + 64) : query.k;
  if (query.like) ++count;
  return std::min(count, limits::kNeighboursMax);
}

/// The hits to answer with, out of those found, best first: without the node that the query is like, and k of the rest.
/// `id_of` and `vector_of` tell about a hit, which has a row and a score as `row_of` says.
template <class Hit, class IdOf, class RowOf, class VectorOf>
void choose(std::vector<Hit>& found, const Query& query, const GenerationInfo& generation, const IdOf& id_of,
            const RowOf& row_of, const VectorOf& vector_of) {
  if (query.like) std::erase_if(found, [&](const Hit& hit) { return id_of(hit) == *query.like; });
  if (query.diversity > 0) {
    std::vector<DiversityCandidate> candidates;
    candidates.reserve(found.size());
    for (const Hit& hit : found) candidates.push_back({row_of(hit), hit.score, vector_of(hit)});
    std::vector<Hit> chosen;
    chosen.reserve(std::min(query.k, found.size()));
    for (const std::size_t at : choose_diverse(candidates, query.k, static_cast<double>(query.diversity),
                                               generation.dimension, generation.metric))
      chosen.push_back(std::move(found[at]));
    found = std::move(chosen);
  }
  if (found.size() > query.k) found.erase(found.begin() + static_cast<std::ptrdiff_t>(query.k), found.end());
}

}  // namespace mneme
