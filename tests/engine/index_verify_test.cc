// A deep verification reads every byte of saved indexes and names the files that are damaged; nothing is lost by it.

#include <thread>

#include "saved_index_support.h"

namespace mneme::test {
namespace {

class IndexVerify : public SavedIndexTest {
 protected:
  void make_saved_index() {
    load(kNodes);
    wait_until_saved(1);
  }
  std::filesystem::path file(const std::string& kind) const {
    for (const auto& one : files())
      if (one.filename().string().find("." + kind) != std::string::npos) return one;
    return {};
  }
  /// Flips a bit of byte `at` of the file while the database is closed.
  void flip(const std::string& kind, std::uint64_t at) {
    db_.reset();
    std::fstream bytes(file(kind), std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekg(static_cast<std::streamoff>(at));
    const int byte = bytes.get();
    bytes.seekp(static_cast<std::streamoff>(at));
    bytes.put(static_cast<char>(byte ^ 0x20));
  }
  VerifyReport verified() {
    if (!db_) open();
    return must(db_->verify(true));
  }
  static bool names(const std::vector<std::string>& problems, const std::string& file) {
    return std::any_of(problems.begin(), problems.end(),
                       [&](const std::string& one) { return one.find(file) != std::string::npos; });
  }
};

TEST_F(IndexVerify, CountsTheFilesThatItHasRead) {
  make_saved_index();
  const VerifyReport deep = verified();
  EXPECT_EQ(deep.indexes, 1U);
  EXPECT_EQ(deep.index_files, 5U);
  std::uint64_t bytes = 0;
  for (const auto& one : files()) bytes += std::filesystem::file_size(one);
  EXPECT_EQ(deep.index_bytes, bytes);
  EXPECT_TRUE(deep.index_problems.empty());
  EXPECT_EQ(must(db_->verify(false)).index_files, 0U);
}

TEST_F(IndexVerify, NamesEveryDamagedFileAndTheFirstDamagedPieceOfIt) {
  make_saved_index();
  flip("rows", 4096 + 700'000);           // of a full block
  flip("slots", 4096 + 64 + 4 * 32 + 8);  // of the rows
  flip("book", 70'000);
  flip("codes", std::filesystem::file_size(file("codes")) - 4096 - 9000);  // of the 8-bit codes
  const VerifyReport report = verified();
  EXPECT_EQ(report.problem_count, 0U);
  EXPECT_EQ(report.index_files, 5U);
  ASSERT_EQ(report.index_problems.size(), 4U);
  EXPECT_TRUE(names(report.index_problems, file("rows").filename().string() + ": piece 10 at byte"))
      << report.index_problems[0];
  EXPECT_TRUE(names(report.index_problems, ".slots: section rows"));
  EXPECT_TRUE(names(report.index_problems, file("book").filename().string() + ": section centroid"));
  EXPECT_TRUE(names(report.index_problems, file("codes").filename().string() + ": section eightbit"));
  EXPECT_TRUE(names(report.index_problems, "space agent, generation 0"));
}

TEST_F(IndexVerify, NamesAFileThatIsMissingOrCut) {
  make_saved_index();
  db_.reset();
  const std::string book = file("book").filename().string(), rows = file("rows").filename().string();
  std::filesystem::remove(file("book"));
  std::filesystem::resize_file(file("rows"), 100'000);
  const VerifyReport report = verified();
  ASSERT_EQ(report.index_problems.size(), 2U);
  EXPECT_TRUE(names(report.index_problems, book));
  EXPECT_TRUE(names(report.index_problems, rows));
}

TEST_F(IndexVerify, SaysOfADamagedStateFileThatNothingElseIsKnown) {
  make_saved_index();
  flip("state", 100);
  const VerifyReport report = verified();
  EXPECT_EQ(report.index_files, 1U);
  ASSERT_EQ(report.index_problems.size(), 1U);
  EXPECT_TRUE(names(report.index_problems, file("state").filename().string()));
}

TEST_F(IndexVerify, FindsNothingAnyMoreWhenTheIndexWasMadeAgain) {
  make_saved_index();
  flip("slots", 4096 + 64 + 4 * 32 + 8);
  EXPECT_EQ(verified().index_problems.size(), 1U);
  wait_until_saved(1);
  EXPECT_EQ(db_->stats().indexes_damaged, 1U);
  expect_sound();
  EXPECT_EQ(verified().index_files, 5U);
}

TEST_F(IndexVerify, ChangesNothingOfAReadOnlyDatabase) {
  make_saved_index();
  flip("codes", 10'000);
  options_.read_only = true;
  const auto before = files();
  EXPECT_EQ(verified().index_problems.size(), 1U);
  db_.reset();
  EXPECT_EQ(files(), before);
}

// A save replaces files while they are read: what went away is not damage.
TEST_F(IndexVerify, FindsNothingBesideSaves) {
  make_saved_index();
  std::atomic<bool> stop{false};
  std::thread verifier([&] {
    while (!stop) expect_sound();
  });
  for (std::uint64_t saves = 2; saves <= 4; ++saves) {
    load(6000);
    wait_until_saved(saves);
  }
  stop = true;
  verifier.join();
}

}  // namespace
}  // namespace mneme::test
