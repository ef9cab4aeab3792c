// Indexes in files: a reopened database uses them, a harmed one says so, and every answer is as it was without them.

#include <sys/mount.h>

#include "saved_index_support.h"

namespace mneme::test {
namespace {

TEST_F(SavedIndexTest, IsUsedByTheNextOpenAndAnswersTheSame) {
  load(kNodes);
  wait_until_saved(1);
  const auto asked = queries(10);
  const std::vector<Answer> before = answers(asked);
  reopen();
  EXPECT_EQ(answers(asked), before);
  const DatabaseStats stats = db_->stats();
  EXPECT_EQ(stats.indexes_restored, 1U);
  EXPECT_EQ(stats.indexes_loaded, 0U);
  EXPECT_EQ(stats.indexes_damaged, 0U);
  EXPECT_GE(stats.index_file_bytes, 2 * 4 * kMiB - kMiB);
  expect_sound();
}

TEST_F(SavedIndexTest, IsNotMadeForASpaceThatIsSmall) {
  load(1000);
  must(nearest(point(), 0.9F));
  reopen();
  EXPECT_TRUE(files().empty());
  must(nearest(point(), 0.9F));
  EXPECT_EQ(db_->stats().indexes_loaded, 1U);
}

TEST_F(SavedIndexTest, KnowsEveryChangeThatCameAfterIt) {
  load(kNodes);
  wait_until_saved(1);
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 150; ++i) change();
    if (round == 2) load(700);
    db_.reset();
    copy("copy");
    expect_as_without_files("copy", true);
    open();
    must(nearest(point(), 0.9F));
    EXPECT_EQ(db_->stats().indexes_restored, 1U);
  }
}

// The process of the next test, in which this one runs: it writes until a failpoint of a save kills it.
TEST_F(SavedIndexTest, WritesUntilASaveIsKilled) {
  const char* const directory = std::getenv("MNEME_TEST_CHILD_DATABASE");
  if (directory == nullptr) GTEST_SKIP() << "runs as a process of IsTheOldOneOrTheNewOneWhereverASaveIsKilled";
  db_ = must(Database::open(directory, options_));
  const Result<Space> there = db_->space("agent");
  if (!there.ok()) must(db_->create_space("agent"));
  next_name_ = 100'000 * (random_() % 10'000);
  must(space().scan({}, [&](const NodeView& view) {
    ids_.push_back(view->id());
    return true;
  }));
  load(ids_.empty() ? kNodes : 5000);
  for (int round = 0; round < 20; ++round) {
    for (const auto& query : queries(1000)) {
      must(nearest(query, 0.9F));
      change();
    }
    load(5000);
  }
}

TEST_F(SavedIndexTest, IsTheOldOneOrTheNewOneWhereverASaveIsKilled) {
  if (!failpoint::enabled()) GTEST_SKIP() << "built without failpoints";
  db_.reset();
  std::filesystem::remove_all(path());
  std::uint64_t restored = 0;
  for (const std::string place : {"index.saved", "index.flushed", "index.saved", "index.recorded", "index.flushed"}) {
    SCOPED_TRACE(place);
    run_child_until_killed(place + "=kill");
    restored += expect_killed_as_without_files();
  }
  EXPECT_GE(restored, 3U);  // after the first flush there is always one to restore
}

TEST_F(SavedIndexTest, AnswersTheSameAfterAKillAtAnyMoment) {
  db_.reset();
  std::filesystem::remove_all(path());
  const char* const wanted = std::getenv("MNEME_INDEX_KILLS");
  const int kills = wanted != nullptr ? std::atoi(wanted) : 4;
  if (failpoint::enabled()) run_child_until_killed("index.flushed=kill");  // there is an index to restore from now on
  std::uint64_t restored = 0;
  for (int i = 0; i < kills; ++i) {
    run_child_until_killed("", std::chrono::milliseconds(1000 + random_() % 3000));
    restored += expect_killed_as_without_files();
  }
  std::printf("kills %d: %llu times there was an index to restore\n", kills, static_cast<unsigned long long>(restored));
}

TEST_F(SavedIndexTest, IsReadAgainFromTheDatabaseWhenAFileIsDamaged) {
  load(kNodes);
  wait_until_saved(1);
  const auto asked = queries(3);
  const std::vector<Answer> right = answers(asked);
  db_.reset();
  copy("whole");
  const char* const wanted = std::getenv("MNEME_INDEX_FLIPS");
  const int flips = wanted != nullptr ? std::atoi(wanted) : 25;
  int damaged = 0;
  for (int i = 0; i < flips; ++i) {
    const auto all = files();
    ASSERT_EQ(all.size(), 5U);
    const auto& file = all[static_cast<std::size_t>(i) % all.size()];
    const std::uint64_t at = random_() % std::filesystem::file_size(file);
    {
      std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
      bytes.seekg(static_cast<std::streamoff>(at));
      const int byte = bytes.get();
      bytes.seekp(static_cast<std::streamoff>(at));
      bytes.put(static_cast<char>(byte ^ (1 << random_() % 8)));
    }
    SCOPED_TRACE(file.string() + " byte " + std::to_string(at));
    open();
    for (const auto& query : asked) must(nearest(query, 0.9F));
    ASSERT_EQ(answers(asked), right);
    const DatabaseStats stats = db_->stats();
    ASSERT_LE(stats.indexes_damaged, 1U);
    ASSERT_EQ(stats.indexes_loaded, stats.indexes_damaged);
    if (stats.indexes_damaged > 0) {
      ++damaged;
      EXPECT_TRUE(said(file.filename().string()));
    }
    db_.reset();
    std::filesystem::remove_all(path());
    std::filesystem::copy(directory_ / "whole", path(), std::filesystem::copy_options::recursive);
  }
  std::printf("flips %d: %d found and the index made again, %d in bytes that were not used\n", flips, damaged,
              flips - damaged);
  EXPECT_GT(damaged, flips / 3);
}

TEST_F(SavedIndexTest, IsMadeAgainAndSavedAgainAfterDamage) {
  load(kNodes);
  wait_until_saved(1);
  db_.reset();
  for (const auto& file : files())
    if (file.extension() == ".slots") std::filesystem::resize_file(file, 5000);
  open();
  wait_until_saved(1);
  EXPECT_EQ(db_->stats().indexes_damaged, 1U);
  EXPECT_TRUE(said(".slots"));
  EXPECT_TRUE(said("it is read from the database again"));
  EXPECT_EQ(files().size(), 5U);
  reopen();
  must(nearest(point(), 0.9F));
  EXPECT_EQ(db_->stats().indexes_restored, 1U);
}

TEST_F(SavedIndexTest, ServesAReadOnlyOpenThatWritesNothing) {
  load(kNodes);
  wait_until_saved(1);
  const auto asked = queries(5);
  for (int i = 0; i < 50; ++i) change();
  const std::vector<Answer> right = answers(asked);
  db_.reset();
  const auto before = files();
  options_.read_only = true;
  open();
  EXPECT_EQ(answers(asked), right);
  EXPECT_EQ(db_->stats().indexes_restored, 1U);
  db_.reset();
  EXPECT_EQ(files(), before);
}

TEST_F(SavedIndexTest, GoesWithItsSpace) {
  load(kNodes);
  wait_until_saved(1);
  ASSERT_EQ(files().size(), 5U);
  must(db_->drop_space("agent"));
  EXPECT_TRUE(files().empty());
  reopen();
  EXPECT_TRUE(files().empty());
}

TEST_F(SavedIndexTest, GoesWithItsGenerationAndTheOthersStay) {
  load(kNodes);
  wait_until_saved(1);
  const std::vector<std::filesystem::path> before = files();
  const GenerationId second = must(space().add_generation({.dimension = 4, .metric = Metric::Cosine, .model = "new"}));
  must(space().drop_generation(second));
  EXPECT_EQ(files(), before);
  reopen();
  const auto query = point();
  const Answer right = answer(query);
  EXPECT_EQ(db_->stats().indexes_restored, 1U);

  must(space().add_generation({.dimension = 4, .metric = Metric::Cosine, .model = "newer"}));
  must(space().drop_generation(GenerationId{0}));
  EXPECT_TRUE(files().empty());
  for (int i = 0; i < 10; ++i) must(space().put(named("late", {}), Durability::Sync));
  reopen();
  EXPECT_TRUE(files().empty());
  EXPECT_EQ(db_->stats().indexes_damaged, 0U);
  EXPECT_FALSE(right.empty());
}

TEST_F(SavedIndexTest, AnswersTheSameWhenItStaysInItsFiles) {
  options_.cold_indexes = true;
  reopen();
  load(kNodes);
  wait_until_saved(1);
  for (int i = 0; i < 50; ++i) change();
  const auto asked = queries(6);
  const std::vector<Answer> right = answers(asked);
  reopen();
  EXPECT_EQ(answers(asked), right);
  const SpaceStats stats = must(space().stats());
  EXPECT_EQ(db_->stats().indexes_restored, 1U);
  EXPECT_LE(stats.index_bytes, kNodes * 100 + 8 * kMiB);  // a block that is not full, the codebook
}

// Nobody searches: notes of changed rows do not pile up.
TEST_F(SavedIndexTest, IsGivenUpWhenMoreHasChangedThanItHolds) {
  load(kNodes);
  wait_until_saved(1);
  reopen();
  for (int i = 0; i < 3; ++i) load(kNodes / 2);
  ASSERT_TRUE(eventually([&] { return db_->stats().nodes == kNodes * 5 / 2; }));
  // The saver looks ten times a second.
  std::size_t looks = 0;
  ASSERT_TRUE(eventually([&] { return ++looks > 50; }));
  must(nearest(point(), 0.9F));
  EXPECT_EQ(db_->stats().indexes_restored, 0U);
  EXPECT_EQ(db_->stats().indexes_loaded, 1U);
  EXPECT_EQ(db_->stats().indexes_damaged, 0U);
  wait_until_saved(1);
  reopen();
  must(nearest(point(), 0.9F));
  EXPECT_EQ(db_->stats().indexes_restored, 1U);
}

// On a file system of its own that fills up while the index is saved.
TEST_F(SavedIndexTest, WaitsForSpaceWhileSearchesGoOn) {
  const std::filesystem::path disk = directory_ / "disk";
  std::filesystem::create_directory(disk);
  if (mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=160m") != 0)
    GTEST_SKIP() << "mounting a tmpfs needs root: " << std::strerror(errno);
  db_ = must(Database::open(disk / "db", options_));
  must(db_->create_space("agent"));
  load(kNodes);
  {
    std::ofstream ballast(disk / "ballast", std::ios::binary);
    const std::string piece(64 * kKiB, 'x');
    while (ballast.write(piece.data(), static_cast<std::streamsize>(piece.size())).flush()) {
    }
  }
  const auto asked = queries(3);
  const std::vector<Answer> right = answers(asked);
  ASSERT_TRUE(eventually([&] {
    must(nearest(asked[0], 0.9F));
    return said("save: NoSpace");
  }));
  EXPECT_EQ(answers(asked), right);
  EXPECT_EQ(db_->stats().indexes_saved, 0U);
  std::filesystem::remove(disk / "ballast");
  wait_until_saved(1);
  db_.reset();
  db_ = must(Database::open(disk / "db", options_));
  EXPECT_EQ(answers(asked), right);
  EXPECT_EQ(db_->stats().indexes_restored, 1U);
  db_.reset();
  umount2(disk.c_str(), MNT_DETACH);
}

TEST_F(SavedIndexTest, IsReplacedWhenTheIndexIsCompacted) {
  load(kNodes);
  wait_until_saved(1);
  const auto stem_of = [](const std::filesystem::path& file) { return file.stem(); };
  const auto before = stem_of(files().front());
  for (std::size_t i = 0; i < 4500; ++i) must(space().erase(ids_[i], Durability::Memory));
  load(4500);
  ASSERT_TRUE(eventually([&] {
    must(nearest(centres_[0], 0.9F));
    // How many files the new one has depends on when it was made: rows that came later have codes of their own.
    const auto now = files();
    return !now.empty() &&
           std::none_of(now.begin(), now.end(), [&](const auto& file) { return stem_of(file) == before; });
  }));
  db_.reset();
  copy("copy");
  expect_as_without_files("copy", true);
}

}  // namespace
}  // namespace mneme::test
