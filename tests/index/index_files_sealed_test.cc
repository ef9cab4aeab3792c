// Files of a saved index whose checksums are right and whose contents nobody can have saved: refused, or of no harm.

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <random>

#include "mneme/index/funnel_index.h"
#include "section_seal.h"
#include "temp_directory.h"

namespace mneme::index {
namespace {

constexpr std::size_t kDimension = 48, kRows = 300;  // of one piece
constexpr FunnelOptions kOptions{.rows_min = 256, .delta_rows = 64};

class SealedIndexFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::mt19937 random(7);
    const auto index = make_funnel_index(kDimension, Metric::InnerProduct, kOptions);
    for (std::uint64_t row = 0; row < kRows; ++row) {
      std::vector<float> values(kDimension);
      for (float& value : values) value = std::normal_distribution<float>()(random);
      ASSERT_TRUE(index->add(RowId{row}, values, Lsn{row + 1}));
      query_ = values;
    }
    ASSERT_TRUE(search(*index, 0.9F));
    index->finish_background();
    const auto saved = index->save(home_, [](Slot) { return SlotNote{}; });
    ASSERT_TRUE(saved) << saved.status().to_string();
    ASSERT_TRUE(index->keep_saved());
    saved_ = *saved;
  }
  Result<std::vector<std::vector<Hit>>> search(const VectorIndex& index, float recall) const {
    SearchRequest request;
    request.queries = query_;
    request.recall_target = recall;
    return index.search(request);
  }

  std::filesystem::path file(const std::string& kind) const {
    for (const auto& entry : std::filesystem::directory_iterator(home_.directory))
      if (entry.path().filename().string().find("." + kind) != std::string::npos) return entry.path();
    return {};
  }
  static void change(const std::filesystem::path& path, const std::function<void(Bytes&)>& how) {
    Bytes bytes(std::filesystem::file_size(path));
    std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
    stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    how(bytes);
    stream.seekp(0);
    stream.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  /// With the checksum of its header, which the owner keeps.
  void change_state(const std::function<void(Bytes&)>& how) {
    change(file("state"), [&](Bytes& state) {
      how(state);
      saved_.xxh3 = test::seal_sections(state, 0).xxh3;
    });
  }
  Result<RestoredIndex> restore() const {
    return open_funnel_index(kDimension, Metric::InnerProduct, kOptions, home_, saved_, Lsn{1000}, /*read_only=*/true);
  }

  test::TempDirectory directory_;
  const IndexHome home_{directory_ / "index", "s", Uuid{{1, 2, 3}}};
  SavedIndex saved_;
  std::vector<float> query_;
};

TEST_F(SealedIndexFiles, AreTakenWhenNothingIsChanged) {
  change_state([](Bytes&) {});
  EXPECT_TRUE(restore());
}

// A score that is no number has no place in an order: sorting by it reads beyond the ends of arrays.
TEST_F(SealedIndexFiles, GiveNoScoreThatIsNoNumber) {
  constexpr std::size_t kPage = 4096, kBlockRows = (4 * kMiB - 64) / (kDimension * 4 + 8);
  constexpr std::size_t kScales = kPage + (kBlockRows * kDimension * 4 + 63) / 64 * 64;
  std::uint64_t sum = 0;
  change(file("rows"), [&](Bytes& rows) {
    const float nothing = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(rows.data() + kPage, &nothing, sizeof nothing);
    const auto seed = load_le<std::uint64_t>(home_.id.view().data() + 8);
    sum = xxh3_64(ByteView(rows).subspan(kScales, kRows * 8),
                  xxh3_64(ByteView(rows).subspan(kPage, kRows * kDimension * 4), seed));
  });
  change_state([&](Bytes& state) { store_le(test::section_bytes(state, 0, "sums").data(), sum); });
  const Result<RestoredIndex> restored = restore();
  ASSERT_TRUE(restored) << restored.status().to_string();
  for (const float recall : {0.9F, 1.0F}) {
    const auto hits = search(*restored->index, recall);
    ASSERT_TRUE(hits) << hits.status().to_string();
    for (const Hit& hit : hits->front()) {
      EXPECT_FALSE(std::isnan(hit.score));
      EXPECT_NE(hit.row, RowId{0});
    }
  }
}

TEST_F(SealedIndexFiles, AreRefusedWithASlotThatLivesAndIsOfNoRow) {
  SectionsPlace place;
  change(file("slots"), [&](Bytes& slots) {
    store_le(test::section_bytes(slots, 4096, "rows").data() + 8, kNoRow.value);
    place = test::seal_sections(slots, 4096);
  });
  change_state([&](Bytes& state) { store_le(test::section_bytes(state, 0, "extents").data() + 16, place.xxh3); });
  EXPECT_EQ(restore().status().code(), Code::Corruption);
}

TEST_F(SealedIndexFiles, AreRefusedWithAnExtentThatLiesNowhere) {
  for (const std::uint64_t offset :
       {std::uint64_t{1} << 62, std::uint64_t{1} << 63, ~std::uint64_t{0}, std::uint64_t{4100}}) {
    change_state([&](Bytes& state) { store_le(test::section_bytes(state, 0, "extents").data(), offset); });
    EXPECT_EQ(restore().status().code(), Code::Corruption) << offset;
  }
}

}  // namespace
}  // namespace mneme::index
