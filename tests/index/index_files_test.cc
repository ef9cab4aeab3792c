// An index in files: what is saved is restored, what is damaged is never used.

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "mneme/index/exact_index.h"
#include "mneme/index/funnel_index.h"
#include "temp_directory.h"

namespace mneme::index {
namespace {

constexpr std::size_t kDimension = 384;  // 2,710 rows in a block
constexpr FunnelOptions kOptions{.rows_min = 1024, .delta_rows = 256};

class IndexFiles : public testing::Test {
 protected:
  void SetUp() override {
    seed_ = std::random_device{}();
    random_.seed(seed_);
    home_ = {directory_.path() / "index", "s1-g0-a", Uuid{{1, 2, 3}}};
    index_ = make_funnel_index(kDimension, Metric::Cosine, kOptions);
    for (auto& centre : centres_) centre = noise(1);
  }
  void TearDown() override {
    if (HasFailure()) std::printf("seed %u\n", seed_);
  }

  std::vector<float> noise(float scale) {
    std::vector<float> values(kDimension);
    for (float& value : values) value = std::normal_distribution<float>(0, scale)(random_);
    return values;
  }
  std::vector<float> point() {
    std::vector<float> values = noise(0.5F);
    const auto& centre = centres_[random_() % centres_.size()];
    for (std::size_t d = 0; d < kDimension; ++d) values[d] += centre[d];
    return values;
  }
  void put(std::uint64_t row) {
    const std::vector<float> values = point();
    ASSERT_TRUE(index_->add(RowId{row}, values, Lsn{++lsn_}));
    model_[row] = values;
  }
  void erase(std::uint64_t row) {
    ASSERT_TRUE(index_->erase(RowId{row}, Lsn{++lsn_}));
    model_.erase(row);
  }
  void put_rows(std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t row = first; row < first + count; ++row) put(row);
  }
  void compress() {
    const std::vector<float> query = point();
    SearchRequest request;
    request.queries = query;
    request.recall_target = 0.9F;
    ASSERT_TRUE(index_->search(request));
    index_->finish_background();
    ASSERT_GT(index_->compressed(), 0U);
  }
  static SlotNote note_of(Slot slot) {
    static thread_local std::string text;
    text = "note of " + std::to_string(slot);
    return {Uuid{{static_cast<std::uint8_t>(slot), static_cast<std::uint8_t>(slot >> 8)}}, as_bytes(text)};
  }
  Result<SavedIndex> try_save() { return index_->save(home_, note_of); }
  void save() {
    const Result<SavedIndex> saved = try_save();
    ASSERT_TRUE(saved) << saved.status().to_string();
    const Status kept = index_->keep_saved();
    ASSERT_TRUE(kept) << kept.to_string();
    saved_ = *saved;
  }
  Result<RestoredIndex> try_restore(const FunnelOptions& options = kOptions) const {
    return open_funnel_index(kDimension, Metric::Cosine, options, home_, saved_, Lsn{lsn_}, false);
  }
  void restore(const FunnelOptions& options = kOptions) {
    index_.reset();
    Result<RestoredIndex> restored = try_restore(options);
    ASSERT_TRUE(restored) << restored.status().to_string();
    index_ = std::move(restored->index);
    slots_ = std::move(restored->slots);
  }

  static std::vector<std::pair<std::uint64_t, float>> pairs(const std::vector<Hit>& hits) {
    std::vector<std::pair<std::uint64_t, float>> found;
    for (const Hit& hit : hits) found.emplace_back(hit.row.value, hit.score);
    return found;
  }
  Result<std::vector<std::vector<Hit>>> search(const VectorIndex& index, std::span<const float> query, float recall) {
    SearchRequest request;
    request.queries = query;
    request.k = 10;
    request.recall_target = recall;
    return index.search(request);
  }
  /// The index answers as one that was made of the model just now.
  void expect_as_fresh() {
    const auto fresh = make_exact_index(kDimension, Metric::Cosine);
    for (const auto& [row, values] : model_) ASSERT_TRUE(fresh->add(RowId{row}, values, Lsn{1}));
    EXPECT_EQ(index_->live(), model_.size());
    std::size_t found = 0;
    constexpr std::size_t kQueries = 30;
    for (std::size_t i = 0; i < kQueries; ++i) {
      const std::vector<float> query = point();
      const auto truth = search(*fresh, query, 1), exact = search(*index_, query, 1),
                 quick = search(*index_, query, 0.9F);
      ASSERT_TRUE(exact) << exact.status().to_string();
      ASSERT_TRUE(quick) << quick.status().to_string();
      ASSERT_EQ(pairs(exact->front()), pairs(truth->front()));
      ASSERT_EQ(quick->front().size(), truth->front().size());
      for (const Hit& hit : truth->front())
        for (const Hit& other : quick->front()) found += hit.row == other.row ? 1 : 0;
    }
    EXPECT_GE(static_cast<double>(found), 0.85 * 10 * kQueries);
  }

  std::vector<std::filesystem::path> files() const {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(home_.directory)) found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    return found;
  }
  std::filesystem::path file(const std::string& kind) const {
    for (const auto& path : files())
      if (path.filename().string().find(kind) != std::string::npos) return path;
    return {};
  }

  test::TempDirectory directory_;
  IndexHome home_;
  SavedIndex saved_;
  SavedSlotsPtr slots_;
  std::unique_ptr<VectorIndex> index_;
  std::array<std::vector<float>, 16> centres_;
  std::map<std::uint64_t, std::vector<float>> model_;
  std::uint64_t lsn_ = 0;
  std::mt19937 random_;
  unsigned seed_ = 0;
};

TEST_F(IndexFiles, AnswerAfterwardsAsBefore) {
  put_rows(0, 6000);
  for (std::uint64_t row = 0; row < 300; row += 3) erase(row);
  for (std::uint64_t row = 1; row < 300; row += 3) put(row);
  compress();
  save();
  std::vector<std::vector<float>> queries;
  std::vector<std::vector<std::pair<std::uint64_t, float>>> before;
  for (int i = 0; i < 20; ++i) {
    queries.push_back(point());
    before.push_back(pairs(search(*index_, queries.back(), 0.95F)->front()));
  }
  const std::size_t compressed = index_->compressed(), slots = index_->slots();
  restore();
  EXPECT_EQ(index_->compressed(), compressed);
  EXPECT_EQ(index_->slots(), slots);
  EXPECT_EQ(index_->reflected(), Lsn{lsn_});
  for (std::size_t i = 0; i < queries.size(); ++i)
    EXPECT_EQ(pairs(search(*index_, queries[i], 0.95F)->front()), before[i]);
  expect_as_fresh();
}

TEST_F(IndexFiles, KeepRowIdAndNoteOfEverySlot) {
  put_rows(7, 3000);
  compress();
  save();
  restore();
  ASSERT_EQ(slots_->size(), 3000U);
  for (Slot slot = 0; slot < 3000; ++slot) {
    ASSERT_EQ(slots_->row(slot), RowId{7 + slot});
    ASSERT_EQ(slots_->id(slot), note_of(slot).id);
    ASSERT_EQ(as_text(slots_->note(slot)), as_text(note_of(slot).note));
  }
}

TEST_F(IndexFiles, GoOnWithChangesAndFurtherSaves) {
  put_rows(0, 3000);
  compress();
  save();
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 900; ++i) {
      const std::uint64_t row = random_() % 5000;
      random_() % 4 == 0 ? erase(row) : put(row);
    }
    compress();
    if (round % 3 != 2) save();
    if (round % 3 == 1) {
      restore();
      expect_as_fresh();
    }
  }
  save();
  restore();
  expect_as_fresh();
}

TEST_F(IndexFiles, MoveRowsOutOfMemoryWhenTheyAreKept) {
  put_rows(0, 9000);
  compress();
  const std::uint64_t before = index_->bytes_used();
  save();
  const std::uint64_t block = 4 * kMiB;
  EXPECT_GE(index_->file_bytes(), 3 * block - kMiB);
  EXPECT_LE(index_->bytes_used() + index_->file_bytes(), before + kMiB);
  expect_as_fresh();
  restore();
  // 48 + 16 bytes of 1-bit codes, 5 of row map, 8 beside the 8-bit codes; the block that is not full; the codebook.
  EXPECT_LE(index_->bytes_used(), 9000 * (100 + kDimension) + block + kMiB);
}

TEST_F(IndexFiles, HoldAllButTheOneBitCodesOfAColdIndex) {
  FunnelOptions cold = kOptions;
  cold.cold = true;
  index_ = make_funnel_index(kDimension, Metric::Cosine, cold);
  put_rows(0, 9000);
  compress();
  save();
  EXPECT_FALSE(index_->has_new_codes());
  EXPECT_GE(index_->file_bytes(), 9000 * kDimension + 3 * 4 * kMiB - kMiB);
  expect_as_fresh();
  restore(cold);
  EXPECT_LE(index_->bytes_used(), 9000 * 100 + 4 * kMiB + kMiB);
  expect_as_fresh();
}

TEST_F(IndexFiles, OfTheLastKeptSaveStayWholeWhateverComesAfter) {
  put_rows(0, 3000);
  compress();
  save();
  const auto kept = model_;
  const std::uint64_t lsn = lsn_;
  put_rows(3000, 2000);
  compress();
  ASSERT_TRUE(try_save());  // and the process dies before this is noted
  model_ = kept;
  lsn_ = lsn;
  restore();
  EXPECT_EQ(index_->slots(), 3000U);
  expect_as_fresh();
  EXPECT_EQ(files().size(), 5U);  // what the save had left is gone
}

TEST_F(IndexFiles, AreNotUsedWhenOneIsMissingCutOrOfAnotherIndex) {
  put_rows(0, 6000);
  compress();
  save();
  index_.reset();
  std::map<std::filesystem::path, std::string> bytes;
  for (const auto& path : files()) {
    std::ifstream in(path, std::ios::binary);
    bytes[path] = {std::istreambuf_iterator<char>(in), {}};
  }
  const auto write = [](const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
  };
  for (const auto& [path, whole] : bytes) {
    SCOPED_TRACE(path);
    std::filesystem::remove(path);
    EXPECT_EQ(try_restore().status().code(), Code::Corruption);
    for (const std::size_t left : {std::size_t{0}, std::size_t{40}, whole.size() / 2, whole.size() - 4096}) {
      write(path, whole.substr(0, left));
      EXPECT_EQ(try_restore().status().code(), Code::Corruption) << left;
    }
    for (const auto& [other, its_bytes] : bytes) {
      if (other == path) continue;
      write(path, its_bytes);
      EXPECT_EQ(try_restore().status().code(), Code::Corruption) << other;
    }
    write(path, whole);
  }
  EXPECT_TRUE(try_restore());
  IndexHome other = home_;
  other.id.bytes[15] = 9;
  EXPECT_EQ(open_funnel_index(kDimension, Metric::Cosine, kOptions, other, saved_, Lsn{lsn_}, false).status().code(),
            Code::Corruption);
}

// Every flip is found when the index is opened or when what it hit is touched; the answers before are right.
TEST_F(IndexFiles, NeverGiveAWrongAnswerAfterAFlippedBit) {
  put_rows(0, 6000);
  compress();
  save();
  std::vector<std::vector<float>> queries;
  std::vector<std::vector<std::pair<std::uint64_t, float>>> exact, quick;
  for (int i = 0; i < 3; ++i) {
    queries.push_back(point());
    exact.push_back(pairs(search(*index_, queries.back(), 1)->front()));
    quick.push_back(pairs(search(*index_, queries.back(), 0.9F)->front()));
  }
  index_.reset();
  const char* const wanted = std::getenv("MNEME_INDEX_FLIPS");
  const int flips = wanted != nullptr ? std::atoi(wanted) : 200;
  int at_open = 0, at_use = 0, harmless = 0;
  const std::vector<std::filesystem::path> all = files();
  for (int i = 0; i < flips; ++i) {
    const std::filesystem::path& path = all[static_cast<std::size_t>(i) % all.size()];
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(
        std::uniform_int_distribution<std::uint64_t>(0, std::filesystem::file_size(path) - 1)(random_));
    file.seekg(at);
    const int byte = file.get(), flipped = byte ^ (1 << random_() % 8);
    file.seekp(at);
    file.put(static_cast<char>(flipped));
    file.flush();
    SCOPED_TRACE(path.string() + " byte " + std::to_string(at));
    {
      Result<RestoredIndex> restored = try_restore();
      Status found = restored.status();
      for (std::size_t q = 0; restored && found.ok() && q < queries.size(); ++q) {
        const auto answer = search(*restored->index, queries[q], 0.9F);
        found = answer.status();
        if (answer) {
          ASSERT_EQ(pairs(answer->front()), quick[q]);
        }
      }
      const bool used = restored && found.ok();
      for (std::size_t q = 0; restored && found.ok() && q < queries.size(); ++q) {
        const auto answer = search(*restored->index, queries[q], 1);
        found = answer.status();
        if (answer) {
          ASSERT_EQ(pairs(answer->front()), exact[q]);
        }
      }
      if (restored && found.ok()) found = restored->index->verify();
      if (!found.ok()) {
        EXPECT_TRUE(found.code() == Code::Corruption || found.code() == Code::VersionMismatch) << found.to_string();
        EXPECT_NE(found.message().find(path.filename().string()), std::string::npos) << found.to_string();
      }
      ++(!restored ? at_open : !found.ok() || !used ? at_use : harmless);
    }
    file.seekp(at);
    file.put(static_cast<char>(byte));
  }
  std::printf("flips %d: %d found at open, %d at first use, %d in bytes that mean nothing\n", flips, at_open, at_use,
              harmless);
  EXPECT_GT(at_open, 0);
  EXPECT_GT(at_use, 0);
}

}  // namespace
}  // namespace mneme::index
