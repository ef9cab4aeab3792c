// Files of a saved index whose checksums are right and whose contents nobody can have saved: refused, or of no harm.

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <random>

#include "funnel_search.h"
#include "index_files.h"
#include "mneme/index/funnel_index.h"
#include "mneme/index/kernels.h"
#include "sealed.h"
#include "section_seal.h"
#include "temp_directory.h"

namespace mneme::index {
namespace {

constexpr std::size_t kDimension = 48, kRows = 300;  // of one piece
constexpr FunnelOptions kOptions{.rows_min = 256, .delta_rows = 64};

void change(const std::filesystem::path& path, const std::function<void(Bytes&)>& how) {
  Bytes bytes(std::filesystem::file_size(path));
  std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
  stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  how(bytes);
  stream.seekp(0);
  stream.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

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

/// What lies in the files of a larger index, that was asked as few queries as effort is measured on.
class InsideOfAnIndex : public testing::Test {
 protected:
  static constexpr std::size_t kMany = 6000, kPieceRows = 64 * kKiB / 64;  // rows of 48 dimensions are padded to 64

  void SetUp() override {
    std::mt19937 random(8);
    const auto some = [&](float scale) {
      std::vector<float> values(kDimension);
      for (float& value : values) value = std::normal_distribution<float>(0, scale)(random);
      return values;
    };
    const auto index = make_funnel_index(kDimension, Metric::InnerProduct, kOptions);
    std::vector<std::vector<float>> values;
    for (std::uint64_t row = 0; row < kMany; ++row) {
      values.push_back(some(1));
      ASSERT_TRUE(index->add(RowId{row}, values.back(), Lsn{row + 1}));
    }
    SearchRequest request;
    request.recall_target = 0.9F;
    request.queries = values[0];
    ASSERT_TRUE(index->search(request));
    index->finish_background();
    for (std::size_t i = 0; i < EffortTable::kAskedMin; ++i) {  // far beyond a row of its own each
      std::vector<float> query = some(0.1F);
      for (std::size_t d = 0; d < kDimension; ++d) query[d] += 3 * values[i][d];
      request.queries = query;
      ASSERT_TRUE(index->search(request));
    }
    index->finish_background();
    const auto saved = index->save(home_, [](Slot) { return SlotNote{}; });
    ASSERT_TRUE(saved) << saved.status().to_string();
    ASSERT_TRUE(index->keep_saved());
    saved_ = *saved;
  }
  void open() { ASSERT_TRUE(files_.restore(rows_, sealed_, saved_, Lsn{kMany}, true)); }

  test::TempDirectory directory_;
  const IndexHome home_{directory_ / "index", "s", Uuid{{1, 2, 3}}};
  SavedIndex saved_;
  IndexFiles files_{home_};
  ExactRows rows_{kDimension, Metric::InnerProduct};
  Sealed sealed_;
};

TEST_F(InsideOfAnIndex, FewQueriesAskedMakeNoLessEffortForOneNeighbourThanItsRows) {
  open();
  ASSERT_TRUE(sealed_.of_asked);
  for (const float target : EffortTable::kTargets) {
    const std::optional<Effort> asked = sealed_.of_asked->find(1, target), own = sealed_.effort.find(1, target);
    EXPECT_EQ(asked.has_value(), own.has_value()) << "target " << target << ": or exact where that is";
    if (asked && own) {
      EXPECT_GE(asked->probe_sigmas, own->probe_sigmas) << "target " << target;
      EXPECT_GE(asked->keep_sigmas, own->keep_sigmas) << "target " << target;
    }
  }
}

// A row whose 8-bit code is damaged may score so low that it is dropped: what was read must be verified, not what is left.
TEST_F(InsideOfAnIndex, ADamaged8BitCodeThatAFilterHasReadAtOnceIsFoundThoughItsRowIsNot) {
  std::filesystem::path codes;
  for (const auto& entry : std::filesystem::directory_iterator(home_.directory))
    if (entry.path().filename().string().find(".codes") != std::string::npos) codes = entry.path();
  change(codes, [](Bytes& bytes) {
    const std::span<std::byte> eight_bit = test::section_bytes(bytes, 0, "eightbit");
    ASSERT_GT(eight_bit.size(), 3 * kPieceRows * 64);
    eight_bit[0] ^= std::byte{1};
  });
  open();
  ASSERT_EQ(sealed_.segments.size(), 1U);
  const CodeSegment& segment = *sealed_.segments.front();
  SlotBitmap kept(kMany);
  for (std::uint32_t at = 0; at < segment.positions(); at += 40)
    if (segment.slot(at) != kNoSlot) kept.set(segment.slot(at));
  std::uint32_t last = 0;
  while (last + 40 < segment.positions()) last += 40;
  while (segment.slot(last) == kNoSlot) last -= 40;
  const Slot best = segment.slot(last);  // of another piece
  const std::vector<PositionBitmapPtr> by_position{segment.keep(kept)};
  FunnelRequest request;
  request.query = rows_.blocks().row(best);
  request.squared_norm = inner_product_f64(request.query, request.query, kDimension);
  request.k = 1;
  request.effort = request.effort_against = {1e6F, 3, SIZE_MAX};
  request.view = rows_.view(kMaxLsn);
  request.filter = &kept;
  request.kept = by_position;
  FunnelSearch search;
  std::vector<Hit> hits;
  EXPECT_TRUE(search.run(rows_, *sealed_.codebook, sealed_.segments, sealed_.end, request, hits))
      << "not worth another";
  EXPECT_EQ(search.damage().code(), Code::Corruption);
}

}  // namespace
}  // namespace mneme::index
