// Search at a view from before the index was loaded: the store is scanned as the view shows it. Exact, and as slow as
// that is.

#include "mneme/index/exact_index.h"
#include "search_plan.h"

namespace mneme {

Result<std::vector<std::vector<SearchHit>>> DatabaseImpl::search_view(const Searched& searched,
                                                                      std::span<const float> queries,
                                                                      const Query& query) const {
  constexpr std::size_t kPiece = 4096;
  const GenerationInfo& generation = *searched.generation;
  const std::size_t wanted = candidates_of(query);
  std::vector<SearchHits> best(queries.size() / generation.dimension);
  std::unique_ptr<index::VectorIndex> piece;
  std::vector<NodeView> nodes;  // by slot of the piece
  const auto start_piece = [&] {
    piece = index::make_exact_index(generation.dimension, generation.metric);
    nodes.clear();
  };
  const auto finish_piece = [&]() -> Status {
    index::SearchRequest request;
    request.queries = queries;
    request.k = wanted;
    MNEME_ASSIGN(const auto rows, piece->search(request));
    for (std::size_t q = 0; q < best.size(); ++q) {
      for (const index::Hit& hit : rows[q]) best[q].push_back({nodes[hit.slot], hit.score});
      std::stable_sort(best[q].begin(), best[q].end(),
                       [](const SearchHit& a, const SearchHit& b) { return a.score > b.score; });
      if (best[q].size() > wanted) best[q].erase(best[q].begin() + static_cast<std::ptrdiff_t>(wanted), best[q].end());
    }
    start_piece();
    return {};
  };
  start_piece();
  Status failed;
  MNEME_TRY(for_each_node(searched.space->info.id, RowId{0}, query.view->pin_->snapshot, query.filter,
                          [&](const NodeView& node) {
                            const std::span<const float> vector = node->vector(generation.id);
                            if (vector.empty()) return true;
                            failed = piece->add(node.row(), vector, Lsn{1}).status();
                            nodes.push_back(node);
                            if (failed.ok() && nodes.size() == kPiece) failed = finish_piece();
                            return failed.ok();
                          }));
  MNEME_TRY(failed);
  if (!nodes.empty()) MNEME_TRY(finish_piece());
  // Dropped meanwhile: the scan may have met nodes without their vectors.
  MNEME_TRY(searched.space->generation(generation.id).status().with_context("search"));
  for (SearchHits& found : best)
    choose(
        found, query, generation, [](const SearchHit& hit) { return hit.node.id(); },
        [](const SearchHit& hit) { return hit.node.row(); },
        [&](const SearchHit& hit) { return hit.node->vector(generation.id).data(); });
  return best;
}

}  // namespace mneme
