#include <gtest/gtest.h>

#include "mneme/index/vector_index.h"

namespace mneme::index {
namespace {

TEST(SlotBitmap, HoldsWhatWasSetAndNothingElse) {
  SlotBitmap bitmap(130);
  for (const Slot slot : {0U, 63U, 64U, 129U}) bitmap.set(slot);

  for (Slot slot = 0; slot < 130; ++slot)
    EXPECT_EQ(bitmap.test(slot), slot == 0 || slot == 63 || slot == 64 || slot == 129) << slot;
  EXPECT_EQ(bitmap.count(), 4U);
  EXPECT_EQ(bitmap.size(), 130U);
}

TEST(SlotBitmap, IsOfNoFamilyUnlessItIsTold) {
  EXPECT_EQ(SlotBitmap(130).family(), 0U);
  const std::uint64_t family = SlotBitmap::new_family();
  EXPECT_NE(family, 0U);
  EXPECT_NE(SlotBitmap::new_family(), family);
  const SlotBitmap copy = SlotBitmap(130, family);
  EXPECT_EQ(copy.family(), family);
}

TEST(SlotBitmap, IsUnsetBehindItsEnd) {
  SlotBitmap bitmap(65);
  bitmap.set(64);
  EXPECT_FALSE(bitmap.test(65));
  EXPECT_FALSE(bitmap.test(kNoSlot));
  EXPECT_FALSE(SlotBitmap().test(0));
  EXPECT_EQ(SlotBitmap().count(), 0U);
}

}  // namespace
}  // namespace mneme::index
