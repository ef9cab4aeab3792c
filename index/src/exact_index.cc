#include "mneme/index/exact_index.h"

#include <cassert>

#include "exact_search.h"
#include "mneme/base/limits.h"
#include "rows_index.h"

namespace mneme::index {
namespace {

class ExactIndex final : public RowsIndex {
 public:
  using RowsIndex::RowsIndex;
  Result<std::vector<std::vector<Hit>>> search(const SearchRequest& request) const override {
    return search_exact(rows_, request);
  }
};

}  // namespace

std::unique_ptr<VectorIndex> make_exact_index(std::size_t dimension, Metric metric) {
  assert(dimension >= 1 && dimension <= limits::kDimensionsMax);
  return std::make_unique<ExactIndex>(dimension, metric);
}

}  // namespace mneme::index
