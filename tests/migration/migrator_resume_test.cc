// What a migration does after it was stopped, killed, or finds that the world is another one.
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <fstream>
#include <mutex>
#include <stdexcept>

#include "migrator_fixture.h"
#include "mneme/storage/failpoint.h"

namespace mneme::migration {
namespace {

class MigrationResume : public MigratorTest {
 protected:
  /// Flips one bit in the middle of a file.
  static void damage(const std::filesystem::path& file) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    const auto middle = static_cast<std::streamoff>(std::filesystem::file_size(file) / 2);
    stream.seekg(middle);
    const char byte = static_cast<char>(stream.get());
    stream.seekp(middle);
    stream.put(static_cast<char>(byte ^ 4));
    ASSERT_TRUE(stream.good());
  }

  /// Runs the migration of `memories` made from `seed` in another process that kills itself at the failpoint.
  /// True when it did.
  bool killed_at(const std::string& failpoint, std::uint64_t nth, unsigned workers, std::uint64_t seed,
                 std::size_t memories) {
    const std::string armed = "MNEME_FAILPOINTS=" + failpoint + "=kill@" + std::to_string(nth);
    std::vector<std::string> words = {MNEME_MIGRATE_ONCE, directory().string(), std::to_string(seed),
                                      std::to_string(memories), std::to_string(workers)};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    std::string environment = armed;
    char* const variables[] = {environment.data(), nullptr};
    pid_t child = 0;
    if (::posix_spawn(&child, MNEME_MIGRATE_ONCE, nullptr, nullptr, arguments.data(), variables) != 0) return false;
    int status = 0;
    if (::waitpid(child, &status, 0) != child) return false;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  }

  /// One of the nodes that are there.
  Node any_node() {
    Node found;
    const Status scanned = space().scan({}, [&](const NodeView& view) {
      found = view.node().value();
      return false;
    });
    EXPECT_TRUE(scanned.ok()) << scanned.to_string();
    return found;
  }

  /// The same memories here as in the process that is killed.
  void fill_from(std::uint64_t seed, std::size_t memories) {
    const std::unique_ptr<Random> random = seeded_random(seed);
    ASSERT_OK(source().put(tricky_memories(*random, memories, kTestDimension)));
  }
};

constexpr std::size_t kMemories = 150;

struct KillPoint {
  std::string failpoint;
  std::uint64_t nth;
};

class MigrationKilled : public MigrationResume, public ::testing::WithParamInterface<KillPoint> {};

TEST_P(MigrationKilled, IsFinishedByAnotherNumberOfWorkersWithNothingLostOrTwice) {
  const std::uint64_t seed = random().next();
  fill_from(seed, kMemories);
  for (const unsigned workers : {1U, 3U}) {
    SCOPED_TRACE(workers);
    close();
    ASSERT_TRUE(killed_at(GetParam().failpoint, GetParam().nth, workers, seed, kMemories));
    // Killed again while it resumes, where there is that much left to do.
    killed_at("migration.before_insert", 3, 5 - workers, seed, kMemories);
    open();
    migrated(resuming(9 - workers), kMemories);
    expect_target_equals_source();
    const Result<VerifyReport> deep = database().verify(/*deep=*/true);
    ASSERT_TRUE(deep.ok()) << deep.status().to_string();
    EXPECT_TRUE(deep->problems.empty()) << deep->problems.front();
    ASSERT_OK(database().drop_space(kTestSpace));
    reopen();
  }
}

INSTANTIATE_TEST_SUITE_P(
    AtEveryTransition, MigrationKilled,
    ::testing::Values(KillPoint{"migration.before_plan", 1}, KillPoint{"migration.after_plan", 1},
                      KillPoint{"migration.before_insert", 1}, KillPoint{"migration.after_insert", 1},
                      KillPoint{"migration.before_insert", 2}, KillPoint{"migration.after_insert", 4},
                      KillPoint{"migration.before_insert", 7}, KillPoint{"migration.after_insert", 10},
                      KillPoint{"migration.before_report", 1}, KillPoint{"migration.after_report", 1}),
    [](const auto& point) {
      std::string name = point.param.failpoint + "_" + std::to_string(point.param.nth);
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

TEST_F(MigrationResume, GoesOnWithWhatIsLeft) {
  fill(200);
  migrate_in_part(4);
  const std::uint64_t before = space().stats()->nodes;
  EXPECT_GT(before, 0u);
  EXPECT_LT(before, 200u);
  EXPECT_EQ(migrated(resuming(8), 200).migrated_now, 200 - before);
  expect_target_equals_source();
}

TEST_F(MigrationResume, GoesOnWithOtherChunkSizes) {
  fill(200);
  migrate_in_part(3);
  MigrationOptions other = resuming(3);
  other.batch_size = 7;
  other.partitions = 1;  // the plan's hold
  migrated(other, 200);
  expect_target_equals_source();
}

TEST_F(MigrationResume, IsAskedForWhenAMigrationIsUnfinished) {
  fill(200);
  migrate_in_part(2);
  const std::string message = refused(Code::FailedPrecondition);
  EXPECT_NE(message.find("32 of 200 records; resume it"), std::string::npos) << message;
}

TEST_F(MigrationResume, FollowsACancelThatWaitsForNobody) {
  fill(200);
  std::mutex mutex;
  std::condition_variable told;
  bool cancelled = false;
  // The third chunk waits until the migration is cancelled; so some are written and some are not.
  failpoint::arm("migration.before_insert", 3, [&] {
    std::unique_lock lock(mutex);
    told.wait(lock, [&] { return cancelled; });
  });
  MigrationOptions cancelling = options();
  cancelling.progress = [&](const Progress& progress) {
    if (progress.phase != "backfill") return true;
    const std::lock_guard lock(mutex);
    cancelled = true;
    told.notify_all();
    return false;
  };
  EXPECT_NE(refused(Code::Cancelled, cancelling).find("resume goes on from there"), std::string::npos);
  failpoint::disarm_all();
  EXPECT_LT(space().stats()->nodes, 200u);
  migrated(resuming(), 200);
  expect_target_equals_source();
}

TEST_F(MigrationResume, IsCancelledBeforeAnythingIsWritten) {
  fill(10);
  MigrationOptions cancelling = options();
  cancelling.progress = [](const Progress&) { return false; };
  refused(Code::Cancelled, cancelling);
  EXPECT_FALSE(std::filesystem::exists(plan_file()));
}

TEST_F(MigrationResume, VerifiesAgainWhatWasCancelledWhileVerifying) {
  fill(100);
  MigrationOptions cancelling = options();
  cancelling.progress = [](const Progress& progress) { return progress.phase != "verify"; };
  refused(Code::Cancelled, cancelling);
  EXPECT_FALSE(std::filesystem::exists(report_file()));
  const MigrationResult result = migrated(resuming(), 100);
  EXPECT_EQ(result.migrated_now, 0u);
  EXPECT_FALSE(result.was_finished);
}

TEST_F(MigrationResume, RefusesAnotherSource) {
  fill(100);
  migrate_in_part(2);
  Uuid other;
  other.bytes.fill(9);
  source().set_id(other);
  EXPECT_NE(refused(Code::FailedPrecondition, resuming()).find("source"), std::string::npos);
}

TEST_F(MigrationResume, RefusesASourceThatChanged) {
  fill(100);
  migrate_in_part(2);
  ASSERT_OK(source().erase(source().ids().front()));
  EXPECT_NE(refused(Code::FailedPrecondition, resuming()).find("the source changed"), std::string::npos);
}

TEST_F(MigrationResume, RefusesASourceThatChangedSinceItWasFinished) {
  fill(100);
  migrated(options(), 100);
  ASSERT_OK(source().erase(source().ids().front()));
  EXPECT_NE(refused(Code::FailedPrecondition).find("the source changed"), std::string::npos);
}

TEST_F(MigrationResume, FindsASourceThatChangesWhileItIsCopied) {
  fill(100);
  failpoint::arm("migration.after_insert", 2, [&] {
    const Status erased = source().erase(source().ids().back());
    EXPECT_TRUE(erased.ok());
  });
  const std::string message = refused(Code::FailedPrecondition, options(1));
  failpoint::disarm_all();
  EXPECT_NE(message.find("the source changed"), std::string::npos) << message;
  EXPECT_FALSE(std::filesystem::exists(report_file()));
}

TEST_F(MigrationResume, RefusesNodesThatItDidNotWrite) {
  fill(200);
  migrate_in_part(2);
  Node node;
  node.content = "put in between";
  ASSERT_OK(space().put(node).status());
  EXPECT_NE(refused(Code::FailedPrecondition, resuming()).find("holds 33 nodes, this migration has written 32"),
            std::string::npos);
}

TEST_F(MigrationResume, RefusesADamagedPlanAndPlansNothingAnew) {
  fill(100);
  migrate_in_part(2);
  damage(plan_file());
  const auto files = files_under(directory());
  EXPECT_NE(refused(Code::Corruption, resuming()).find("cannot be resumed"), std::string::npos);
  refused(Code::Corruption);
  EXPECT_EQ(files_under(directory()), files);
}

TEST_F(MigrationResume, RefusesALostPlan) {
  fill(100);
  migrate_in_part(2);
  std::filesystem::remove(plan_file());
  EXPECT_NE(refused(Code::FailedPrecondition, resuming()).find("there is no plan"), std::string::npos);
}

TEST_F(MigrationResume, PlansAnewWhereADamagedPlanWasNotBegun) {
  fill(100);
  failpoint::arm("migration.after_plan", 1, [] { throw std::runtime_error("stopped by the test"); });
  EXPECT_THROW(static_cast<void>(migrate()), std::runtime_error);
  failpoint::disarm_all();
  damage(plan_file());
  migrated(options(), 100);
}

TEST_F(MigrationResume, VerifiesAgainWhenItsReportIsDamaged) {
  fill(100);
  migrated(options(), 100);
  damage(report_file());
  const MigrationResult result = migrated(resuming(), 100);
  EXPECT_EQ(result.migrated_now, 0u);
  EXPECT_FALSE(result.was_finished);
  EXPECT_TRUE(migrated(options(), 100).was_finished);
}

TEST_F(MigrationResume, ReportsNothingWhenTheTargetWasChangedUnderIt) {
  fill(100);
  migrate_in_part(2);
  Node node = any_node();
  node.content = "changed behind its back";
  ASSERT_OK(space().put(node).status());
  EXPECT_NE(refused(Code::Mismatch, resuming()).find("differs"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(report_file()));
}

TEST_F(MigrationResume, LetsOneMigratorWorkAtATime) {
  fill(100);
  std::string second;
  failpoint::arm("migration.before_insert", 1, [&] { second = refused(Code::Busy); });
  migrated(options(1), 100);
  failpoint::disarm_all();
  EXPECT_FALSE(second.empty());
}

}  // namespace
}  // namespace mneme::migration
