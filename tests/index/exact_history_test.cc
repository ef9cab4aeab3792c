// A random history of adds, updates and erasures, looked at as of every LSN.
#include <gtest/gtest.h>

#include "index_support.h"

namespace mneme::index {
namespace {

class ExactHistory : public ExactIndexTest {
 protected:
  // 0 to 3 changes share an LSN, as those of one batch do.
  void live_through(std::size_t changes, std::uint64_t rows) {
    for (std::size_t i = 0; i < changes; ++i) {
      const std::uint64_t row = random_() % rows;
      if (random_() % 4 == 0)
        erase(row);
      else
        put(row, random_() % 2 == 0 ? coarse_vector() : random_vector(), random_() % 3 == 0);
    }
  }

  void expect_as_of(Lsn as_of) {
    const Floats query = random_vector();
    const std::size_t k = 1 + random_() % 40;
    expect_same(search({.queries = query, .k = k, .as_of = as_of}).at(0), brute(query, k, as_of),
                "as of " + std::to_string(as_of.value));
    for (Slot slot = 0; slot < model_.size(); ++slot)
      ASSERT_EQ(index_->visible(slot, as_of), model_visible(slot, as_of))
          << "slot " << slot << " as of " << as_of.value;
    for (const auto& [row, newest] : newest_) {
      Slot want = kNoSlot;
      for (Slot slot = 0; slot < model_.size(); ++slot)
        if (model_[slot].row.value == row && model_visible(slot, as_of)) want = slot;
      ASSERT_EQ(index_->find(RowId{row}, as_of), want) << "row " << row << " as of " << as_of.value;
    }
  }
};

TEST_F(ExactHistory, IsSeenAsItWasAtEveryLsn) {
  for (const Metric metric : {Metric::InnerProduct, Metric::Cosine, Metric::SquaredL2}) {
    open(6, metric);
    live_through(400, 60);
    for (std::uint64_t lsn = 0; lsn <= lsn_ + 1; ++lsn) expect_as_of(Lsn{lsn});
    expect_as_of(kMaxLsn);
    if (HasFailure()) return;
  }
}

TEST_F(ExactHistory, CountsWhatLivesAndWhatWasEverWritten) {
  open(3, Metric::InnerProduct);
  for (int step = 0; step < 300; ++step) {
    live_through(1, 20);
    std::size_t live = 0;
    for (std::size_t slot = 0; slot < model_.size(); ++slot) live += model_visible(slot, kMaxLsn);
    ASSERT_EQ(index_->live(), live);
    ASSERT_EQ(index_->slots(), model_.size());
    ASSERT_EQ(index_->reflected(), Lsn{lsn_});
  }
}

TEST_F(ExactHistory, ShowsOfOneBatchOnlyTheLastWriteOfARow) {
  open(2, Metric::InnerProduct);
  put(1, {1, 0});
  put(1, {2, 0}, true);
  put(1, {3, 0}, true);
  const auto hits = search({.queries = Floats{1, 0}, .k = 5}).at(0);
  ASSERT_EQ(hits.size(), 1U);
  EXPECT_EQ(hits[0].score, 3.0F);
  EXPECT_EQ(index_->live(), 1U);
}

}  // namespace
}  // namespace mneme::index
