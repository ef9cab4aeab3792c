// A large batch keeps every promise that its queries have alone, whichever way it is answered.
#include <set>

#include "index_support.h"
#include "mneme/index/funnel_index.h"

namespace mneme::index {
namespace {

class FunnelBatchTest : public ExactIndexTest {
 protected:
  static constexpr std::size_t kDimension = 70;  // not a multiple of what codes are padded to

  void fill(Metric metric, std::size_t rows) {
    open(kDimension, metric);
    index_ = make_funnel_index(kDimension, metric, {.rows_min = 1024, .delta_rows = 128});
    next_row_ = 0;
    grow(rows);
    SearchRequest request;
    request.queries = model_.front().values;
    request.recall_target = 0.9F;
    search(request);
    index_->finish_background();
  }
  void grow(std::size_t rows) {
    for (std::size_t i = 0; i < rows; ++i) put(next_row_++, gaussian());
  }
  Floats gaussian() {
    Floats values(kDimension);
    for (float& value : values) value = normal_(random_);
    return values;
  }

  /// Mean share of the exact answers that one call with all queries finds; each hit is what it says.
  double recall(std::size_t queries, std::size_t k, float target, bool parallel, const SlotBitmap* filter = nullptr) {
    Floats all;
    for (std::size_t i = 0; i < queries; ++i)
      for (const float value : gaussian()) all.push_back(value);
    SearchRequest request;
    request.queries = all;
    request.k = k;
    request.filter = filter;
    request.parallel = true;
    const auto exact = search(request);
    request.parallel = parallel;
    request.recall_target = target;
    const auto found = search(request);
    EXPECT_EQ(found.size(), queries);
    double total = 0;
    for (std::size_t i = 0; i < queries; ++i) {
      EXPECT_EQ(found[i].size(), exact[i].size());
      const Floats query(all.begin() + static_cast<std::ptrdiff_t>(i * kDimension),
                         all.begin() + static_cast<std::ptrdiff_t>((i + 1) * kDimension));
      std::set<Slot> right;
      for (const Hit& hit : exact[i]) right.insert(hit.slot);
      std::size_t both = 0;
      for (const Hit& hit : found[i]) {
        both += right.erase(hit.slot);
        EXPECT_TRUE(index_->visible(hit.slot, kMaxLsn));
        EXPECT_TRUE(filter == nullptr || filter->test(hit.slot));
        EXPECT_NEAR(hit.score, brute_score(index_->metric(), query, model_[hit.slot].values),
                    1e-4 * (1 + std::abs(hit.score)));
      }
      total += static_cast<double>(both) / static_cast<double>(exact[i].size());
    }
    return total / static_cast<double>(queries);
  }

  std::normal_distribution<float> normal_;
  std::uint64_t next_row_ = 0;
};

// Gaussian rows in 70 dimensions have no structure: each query alone looks at most of them. One neighbour is found or
// not: of 700 queries the share found has a standard error of 0.005, half of what the promise allows. 6,000 are asked.
TEST_F(FunnelBatchTest, KeepsItsPromise) {
  for (const Metric metric : {Metric::InnerProduct, Metric::Cosine, Metric::SquaredL2}) {
    fill(metric, 6000);
    for (const bool parallel : {false, true})
      for (const std::size_t k : {1UL, 10UL, 300UL})
        EXPECT_GE(recall(k == 1 ? 6000 : 700, k, 0.99F, parallel), 0.98)
            << "metric " << static_cast<int>(metric) << ", k " << k;
  }
}

TEST_F(FunnelBatchTest, FindsNewRowsAndNoErasedOnes) {
  fill(Metric::Cosine, 5000);
  grow(100);
  EXPECT_GE(recall(300, 50, 0.99F, true), 0.98);
  for (int i = 0; i < 2000; ++i) erase(random_() % next_row_);
  EXPECT_GE(recall(300, 50, 0.99F, true), 0.98);
  EXPECT_GE(recall(300, 50, 0.99F, false), 0.98);
}

TEST_F(FunnelBatchTest, KeepsToItsFilter) {
  fill(Metric::SquaredL2, 12000);
  for (const std::size_t one_in : {2UL, 3UL, 1000UL}) {
    SlotBitmap some(12000, SlotBitmap::new_family());
    for (Slot slot = 0; slot < 12000; ++slot)
      if (random_() % one_in == 0) some.set(slot);
    EXPECT_GE(recall(300, 5, 0.99F, false, &some), 0.98) << "one row in " << one_in;
  }
}

}  // namespace
}  // namespace mneme::index
