// A slow reader, without threads: a view taken earlier must show the same rows whatever was written since.
#include "exact_rows.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <utility>
#include <vector>

namespace mneme::index {
namespace {

class SlowReader : public testing::Test {
 protected:
  Slot put(std::uint64_t row, std::uint64_t lsn) {
    const auto slot = rows_.add(RowId{row}, value_, Lsn{lsn});
    EXPECT_TRUE(slot) << slot.status().to_string();
    newest_[row] = *slot;
    return *slot;
  }
  void erase(std::uint64_t row, std::uint64_t lsn) {
    EXPECT_TRUE(rows_.erase(RowId{row}, Lsn{lsn}));
    newest_.erase(row);
  }

  using Contents = std::map<std::uint64_t, Slot>;  // row to slot

  Contents seen_by(const View& view) const {
    Contents contents;
    for (Slot slot = 0; slot < view.count; ++slot)
      if (rows_.visible(slot, view)) {
        EXPECT_TRUE(contents.emplace(rows_.row(slot).value, slot).second) << "row twice at slot " << slot;
      }
    return contents;
  }

  const std::vector<float> value_ = {1};
  ExactRows rows_{1, Metric::InnerProduct};
  Contents newest_;
};

TEST_F(SlowReader, KeepsTheOldVersionThroughAnUpdateOfTheSameLsn) {
  put(7, 1);
  put(8, 2);
  const View view = rows_.view(kMaxLsn);
  put(7, 2);  // the second write of a batch that the view saw begin

  EXPECT_EQ(seen_by(view), (Contents{{7, 0}, {8, 1}}));
  EXPECT_EQ(rows_.find(RowId{7}, view), 0U);
  EXPECT_EQ(rows_.find(RowId{7}, rows_.view(kMaxLsn)), 2U);
}

// The LSN is loaded before the count: two adds between the loads are counted, and not yet visible. Codes made of all slots
// below that count would be without them for ever.
TEST_F(SlowReader, CountsNoSlotThatWasBornLaterWhereItAsks) {
  put(7, 1);
  put(8, 2);
  put(9, 3);
  put(7, 4);
  const View halfway{Lsn{2}, 4};
  EXPECT_EQ(seen_by(halfway).count(9), 0U);
  const View born = rows_.born(halfway);
  EXPECT_EQ(born.count, 2U);
  EXPECT_EQ(born.as_of, Lsn{2});
  EXPECT_EQ(seen_by(born), (Contents{{7, 0}, {8, 1}}));
  EXPECT_EQ(rows_.born(rows_.view(kMaxLsn)).count, 4U);
  EXPECT_EQ(rows_.born(View{Lsn{0}, 4}).count, 0U);
}

TEST_F(SlowReader, DoesNotSeeALaterErasureOrALaterUpdate) {
  put(7, 1);
  put(8, 2);
  const View view = rows_.view(kMaxLsn);
  erase(7, 3);
  put(8, 4);

  EXPECT_EQ(seen_by(view), (Contents{{7, 0}, {8, 1}}));
  EXPECT_EQ(rows_.find(RowId{7}, view), 0U);
  EXPECT_EQ(rows_.find(RowId{8}, view), 1U);
}

TEST_F(SlowReader, SeesWhatItSawThroughARandomHistory) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  std::vector<std::pair<View, Contents>> views;
  std::uint64_t lsn = 1;
  for (int step = 0; step < 1500; ++step) {
    const std::uint64_t row = random() % 40;
    // An erasure shares its LSN with nothing: it has no successor by which a view could tell it from an older one.
    if (random() % 5 == 0)
      erase(row, ++lsn), ++lsn;
    else
      put(row, random() % 2 == 0 ? lsn : ++lsn);
    views.emplace_back(rows_.view(kMaxLsn), newest_);
  }
  for (const auto& [view, contents] : views) {
    ASSERT_EQ(seen_by(view), contents) << "seed " << seed << " count " << view.count << " lsn " << view.as_of.value;
    for (std::uint64_t row = 0; row < 40; ++row) {
      const auto want = contents.find(row);
      ASSERT_EQ(rows_.find(RowId{row}, view), want == contents.end() ? kNoSlot : want->second) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace mneme::index
