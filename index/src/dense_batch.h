// DenseBatch: many queries with every row at once, by 8-bit codes.
//
// Where each query would look at a good part of all rows anyway (many neighbours, a high target), comparing all with all
// is a product of matrices: a row's code is read once for hundreds of queries, and nothing is estimated first. What is
// within the error of a code of the k-th best is decided in float32, as in any search.
#pragma once

#include <span>
#include <vector>

#include "dense_kernels.h"
#include "funnel_search.h"
#include "huge_array.h"
#include "sealed.h"

namespace mneme::index {

/// One query of a batch, and where its answer goes.
struct DenseQuery {
  const float* query = nullptr;
  double squared_norm = 0;
  RotatedQuery rotated;
  std::vector<Hit>* hits = nullptr;
  bool whole = true;  ///< false: invisible rows took the place of visible ones
};

class DenseBatch {
 public:
  /// So many queries at a time: their levels and thresholds stay in a processor's cache.
  static constexpr std::size_t kQueriesMax = 512;

  /// Whether it is the quicker way for a query that otherwise did `work`.
  static bool is_quicker(const Sealed& now, const Work& work);

  DenseBatch(const ExactRows& rows, const Sealed& now) : rows_(rows), now_(now) {}

  /// Answers at most kQueriesMax queries, which share all else of `request`. @error Corruption  of what was restored
  Status run(const FunnelRequest& request, std::span<DenseQuery> queries);

 private:
  /// What one query has found.
  struct Way {
    std::vector<float> scores;
    std::vector<Slot> slots;
    std::size_t thin_at = 0;
    float margin = 0;  ///< below the k-th best, what a code may be wrong by
  };

  void prepare(const FunnelRequest& request, std::span<const DenseQuery> queries);
  void scan(const FunnelRequest& request, std::size_t s);
  void scan_rows(const FunnelRequest& request, std::size_t s, std::size_t list, std::uint32_t first, std::size_t count);
  void take(const FunnelRequest& request, std::size_t s, std::uint32_t position, std::size_t block, const float* scores,
            unsigned reached);
  void thin(std::size_t query, std::size_t k);

  const ExactRows& rows_;
  const Sealed& now_;
  FunnelSearch finish_;
  CodeQuery code_;
  std::size_t padded_ = 0;         // queries, a multiple of kDenseQueries
  HugeArray<std::int8_t> levels_;  // dense_place()
  std::vector<std::int32_t> biases_;
  std::vector<float> steps_, least_;
  std::vector<float> bases_;  // by list and query
  std::vector<Way> ways_;
  std::vector<float> copy_, scratch_;
};

}  // namespace mneme::index
