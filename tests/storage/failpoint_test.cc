// Failpoints, and a log whose process dies at each of its own.
#include "mneme/storage/failpoint.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "temp_directory.h"
#include "wal_fixture.h"

namespace mneme::storage {
namespace {

class Failpoints : public ::testing::Test {
 protected:
  ~Failpoints() override { failpoint::disarm_all(); }
};

TEST_F(Failpoints, RunTheirActionOnTheNthPass) {
  int runs = 0;
  failpoint::arm("here", 3, [&] { ++runs; });
  for (int i = 0; i < 5; ++i) failpoint::pass("here");
  failpoint::pass("elsewhere");
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(failpoint::passes("here"), 5u);
  failpoint::disarm_all();
  failpoint::pass("here");
  EXPECT_EQ(failpoint::passes("here"), 0u);
}

TEST_F(Failpoints, ReadTheirText) {
  EXPECT_TRUE(failpoint::arm_from_text(""));
  EXPECT_TRUE(failpoint::arm_from_text("a.b=kill@1000000,c=kill@7"));
  failpoint::pass("c");
  EXPECT_EQ(failpoint::passes("c"), 1u);
  for (const char* wrong : {"a", "=kill", "a=kill@", "a=kill@0", "a=kill@x", "a=stop", "a=kill@2x"})
    EXPECT_FALSE(failpoint::arm_from_text(wrong)) << wrong;
}

#if defined(MNEME_FAILPOINTS_ENABLED)

/// Children write a log on the real disk and die; the parent opens it.
class WalKilled : public Failpoints {
 protected:
  WalKilled() {
    options_.segment_bytes_min = 8 * kKiB;
    options_.segment_bytes_max = 16 * kKiB;
  }

  /// Appends until it is killed; each acknowledged LSN goes to `acknowledged`. Never returns.
  [[noreturn]] void live(int acknowledged, std::uint64_t first) {
    auto wal = Wal::open(posix_file_system(), system_clock(), directory_ / "log", test_database(), options_, Lsn{},
                         nullptr, nullptr);
    if (!wal) ::_exit(2);
    for (std::uint64_t i = first; i < first + 60; ++i) {
      const std::string text = std::to_string(i) + std::string(600, 'k');
      const ByteView part = as_bytes(text);
      const auto lsn = (*wal)->append(1, {&part, 1}, i % 2 == 0 ? Durability::Sync : Durability::Memory, {});
      if (!lsn || ::write(acknowledged, &lsn->value, sizeof lsn->value) != sizeof lsn->value) ::_exit(3);
    }
    ::_exit(0);
  }

  /// Runs a child that dies at the nth pass of `name`; the LSNs it was acknowledged. `killed` says whether it got there.
  std::vector<std::uint64_t> acknowledged_before(const std::string& name, std::uint64_t nth, bool& killed) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      if (!failpoint::arm_from_text(name + "=kill@" + std::to_string(nth))) ::_exit(4);
      live(ends[1], 1);
    }
    ::close(ends[1]);
    std::vector<std::uint64_t> lsns;
    std::uint64_t lsn = 0;
    while (::read(ends[0], &lsn, sizeof lsn) == static_cast<ssize_t>(sizeof lsn)) lsns.push_back(lsn);
    ::close(ends[0]);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    EXPECT_TRUE(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) << name << " status " << status;
    return lsns;
  }

  void expect_kept(const std::vector<std::uint64_t>& lsns, const std::string& where) {
    std::uint64_t replayed = 0;
    WalRecovery recovery;
    const auto replay = [&](const WalRecord& record) {
      EXPECT_EQ(record.lsn.value, ++replayed);
      EXPECT_TRUE(as_text(record.payload).starts_with(std::to_string(record.lsn.value) + "k"));
      return Status();
    };
    const auto wal = Wal::open(posix_file_system(), system_clock(), directory_ / "log", test_database(), options_,
                               Lsn{}, replay, &recovery);
    ASSERT_TRUE(wal.ok()) << where << ": " << wal.status().to_string();
    EXPECT_GE(replayed, lsns.size()) << where;
    EXPECT_LE(replayed, lsns.size() + 1) << where << ": only the one on its way may be there unacknowledged";
  }

  const test::TempDirectory directory_;
  WalOptions options_;
};

TEST_F(WalKilled, AtAnyFailpointLosesNothingAcknowledged) {
  for (const std::string name : {"wal.before_write", "wal.after_write", "wal.after_sync", "wal.segment_written",
                                 "wal.segment_renamed", "wal.spare_filled"}) {
    bool killed = true;
    std::uint64_t deaths = 0;
    for (std::uint64_t nth = 1; killed && nth < 200; nth += nth < 4 ? 1 : 9) {
      ASSERT_TRUE(posix_file_system().remove_all(directory_ / "log").ok());
      const auto lsns = acknowledged_before(name, nth, killed);
      expect_kept(lsns, name + " " + std::to_string(nth));
      deaths += killed;
    }
    EXPECT_GE(deaths, 1u) << name << " is never passed";
  }
}

#endif

}  // namespace
}  // namespace mneme::storage
