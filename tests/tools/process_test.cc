// The command among other processes: locks, signals, closed pipes, terminals.
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "cli_fixture.h"
#include "memories.h"
#include "mneme/database.h"

namespace mneme::tools {
namespace {

class Process : public CliTest {
 protected:
  static std::vector<std::string> migrate(const std::vector<std::string>& more = {}) {
    std::vector<std::string> all{"migrate-dual", "--source", "old", "--target", "new", "--space", "s", "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  void legacy_store(std::size_t count) {
    write("in.jsonl", many_lines(count));
    done("legacy", "import", "old", "--from", "jsonl", "in.jsonl");
  }
  /// A migration in steps of one record, begun: its plan is on disk.
  Running slow_migration() {
    Running running = start(migrate({"--batch-size", "1", "--parallel-workers", "1"}));
    while (!running.ended() && !std::filesystem::exists(path("new/migration/1/PLAN"))) ::sched_yield();
    return running;
  }
  /// A process that writes nodes n0 … n4 with the content "content of nI", each acknowledged, and dies by SIGKILL.
  void write_five_and_die();
  void flip_a_byte_of(std::string_view text);
  /// What the command writes to a terminal of 100 columns on standard error.
  std::string on_terminal(const std::vector<std::string>& arguments, const char* no_colour);
};

std::string Process::on_terminal(const std::vector<std::string>& arguments, const char* no_colour) {
  winsize size{};
  size.ws_col = 100;
  size.ws_row = 24;
  int master = -1;
  std::vector<std::string> words{MNEME_BINARY};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const std::string directory = path(".").string();
  const pid_t pid = ::forkpty(&master, nullptr, nullptr, &size);
  if (pid == 0) {
    ::setenv("TERM", "xterm", 1);
    ::setenv("LC_ALL", "C.UTF-8", 1);
    if (no_colour == nullptr)
      ::unsetenv("NO_COLOR");
    else
      ::setenv("NO_COLOR", no_colour, 1);
    if (::chdir(directory.c_str()) == 0) ::execv(argv[0], argv.data());
    ::_exit(126);
  }
  std::string text;
  std::array<char, 4096> chunk{};
  for (ssize_t got = 0; (got = ::read(master, chunk.data(), chunk.size())) > 0;)
    text.append(chunk.data(), static_cast<std::size_t>(got));
  ::close(master);
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << text;
  return text;
}

void Process::write_five_and_die() {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const auto database = Database::open(path("mind"));
    const auto space = database ? (*database)->space("notes") : Result<Space>(database.status());
    for (int i = 0; space && i < 5; ++i) {
      Node node;
      node.external_id = "n" + std::to_string(i);
      node.content = "content of " + *node.external_id;
      if (!space->put(std::move(node))) ::_exit(1);
    }
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFSIGNALED(status));
}

void Process::flip_a_byte_of(std::string_view text) {
  std::size_t flipped = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path("mind/wal"))) {
    if (!entry.is_regular_file()) continue;
    const std::string name = "mind/wal/" + entry.path().filename().string();
    std::string bytes = read(name);
    const std::size_t at = bytes.find(text);
    if (at == std::string::npos) continue;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    write(name, bytes);
    ++flipped;
  }
  ASSERT_EQ(flipped, 1u);
}

TEST_F(Process, AcknowledgedWritesOfAKilledProcessAreThere) {
  make_mind();
  write_five_and_die();
  EXPECT_EQ(objects("scan", "mind", "--space", "notes").size(), 5u);
  EXPECT_EQ(member(object("get", "mind", "--space", "notes", "n4"), "content"), "content of n4");
}

TEST_F(Process, LostDataIsRefusedAndTheErrorSaysHowToLookAndHowToGoOn) {
  make_mind();
  write_five_and_die();
  flip_a_byte_of("content of n1");

  const Ran refused = mneme("stats", "mind", "--json");
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_EQ(error_member(refused, "code"), "DataLoss");
  EXPECT_NE(error_member(refused, "hint").find("mneme stats mind --read-only"), std::string::npos) << refused.err;
  EXPECT_NE(error_member(refused, "hint").find("mneme stats mind --accept-data-loss"), std::string::npos);

  const Ran looked = mneme("scan", "mind", "--space", "notes", "--read-only", "--json");
  EXPECT_EQ(looked.exit_code, 0) << looked.err;
  EXPECT_EQ(objects_of(looked.out).size(), 1u);
  EXPECT_NE(looked.err.find("warning"), std::string::npos) << looked.err;
  EXPECT_EQ(mneme("stats", "mind").exit_code, 1);

  EXPECT_EQ(mneme("stats", "mind", "--accept-data-loss").exit_code, 0);
  EXPECT_EQ(objects("scan", "mind", "--space", "notes").size(), 1u);
}

TEST_F(Process, AnInterruptEndsTheWaitForStandardInput) {
  make_mind();
  // A pipe that stays open and brings nothing; the command opens the database before it reads.
  const Ran ran = shell(
      "mkfifo wait; exec 3<>wait\n"
      "mneme put mind --space notes --content - <wait & pid=$!\n"
      "until ls -l /proc/$pid/fd | grep -q mind/LOCK; do kill -0 $pid || exit 1; done\n"
      "kill -TERM $pid; wait $pid");
  EXPECT_EQ(ran.exit_code, 130) << ran.err;
  EXPECT_EQ(member(object("space", "stats", "mind", "notes"), "nodes"), "0");
}

TEST_F(Process, ADatabaseThatAnotherProcessHasOpenIsBusy) {
  make_mind();
  const auto holder = Database::open(path("mind"));
  ASSERT_TRUE(holder.ok());
  for (const char* command : {"stats", "verify"}) {
    const Ran ran = mneme(command, "mind", "--json");
    EXPECT_EQ(ran.exit_code, 75);
    EXPECT_EQ(error_member(ran, "code"), "Busy");
    EXPECT_NE(error_member(ran, "hint").find("fuser"), std::string::npos) << ran.err;
  }
  EXPECT_EQ(mneme("init", "mind", "--dim", "3").exit_code, 75);
  ASSERT_TRUE((*holder)->close().ok());
  done("stats", "mind");
}

TEST_F(Process, ALegacyStoreUnderMigrationIsBusy) {
  legacy_store(2'000);
  Running running = slow_migration();
  ASSERT_FALSE(running.ended());
  running.signal(SIGSTOP);
  EXPECT_EQ(mneme("legacy", "stats", "old").exit_code, 75);
  EXPECT_EQ(run(migrate()).exit_code, 75);
  EXPECT_EQ(mneme("stats", "new").exit_code, 75);
}

TEST_F(Process, AnInterruptedMigrationSaysHowToGoOnAndGoesOn) {
  for (const int signal : {SIGINT, SIGTERM}) {
    std::filesystem::remove_all(path("new"));
    legacy_store(2'000);
    Running running = slow_migration();
    running.signal(signal);
    const Ran ran = running.wait();
    EXPECT_EQ(ran.exit_code, 130) << ran.err;
    EXPECT_EQ(error_member(ran, "code"), "Cancelled");
    EXPECT_NE(error_member(ran, "hint").find("--resume"), std::string::npos) << ran.err;
    const Ran resumed = run(migrate({"--resume"}));
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_EQ(member(objects_of(resumed.out).at(0), "migrated"), "2000");
  }
}

TEST_F(Process, AMigrationKilledAtAnyMomentIsResumed) {
  legacy_store(2'000);
  Running running = slow_migration();
  running.signal(SIGKILL);
  EXPECT_EQ(running.wait().exit_code, 128 + SIGKILL);
  const Ran resumed = run(migrate({"--resume", "--parallel-workers", "2"}));
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  const Value result = objects_of(resumed.out).at(0);
  EXPECT_EQ(member(result, "migrated"), "2000");
  EXPECT_EQ(member(result, "verified"), "true");
  EXPECT_EQ(objects_of(done("scan", "new", "--space", "s", "--json")).size(), 2'000u);
}

TEST_F(Process, AClosedPipeEndsAScanQuietly) {
  make_mind("8");
  write("in.jsonl", many_lines(5'000));
  done("import", "mind", "--space", "notes", "--from", "jsonl", "in.jsonl");
  const Ran ran = shell("mneme scan mind --space notes --json | head -n 1; exit ${PIPESTATUS[0]}");
  EXPECT_EQ(ran.exit_code, 141);
  EXPECT_EQ(ran.err, "");
  EXPECT_EQ(objects_of(ran.out).size(), 1u);
  const Ran exported = shell("mneme export mind --space notes --to jsonl - | head -n 1; exit ${PIPESTATUS[0]}");
  EXPECT_EQ(exported.exit_code, 141);
  EXPECT_EQ(exported.err, "");
  done("verify", "mind");
}

TEST_F(Process, OnATerminalProgressIsABarThatStaysWithinTheLine) {
  write("in.jsonl", many_lines(20'000));
  const std::vector<std::string> import{"legacy", "import", "old", "--from", "jsonl", "in.jsonl"};
  const std::string plain = on_terminal(import, "1");
  EXPECT_NE(plain.find("\r\x1b[K"), std::string::npos) << plain;
  EXPECT_NE(plain.find("import"), std::string::npos) << plain;
  EXPECT_EQ(plain.find("\x1b[36m"), std::string::npos) << plain;
  std::filesystem::remove_all(path("old"));
  EXPECT_NE(on_terminal(import, nullptr).find("\x1b[36m"), std::string::npos);
}

TEST_F(Process, QuietAndRedirectedProgressIsSilentWhenWorkIsShort) {
  write("in.jsonl", many_lines(100));
  EXPECT_EQ(mneme("legacy", "import", "old", "--from", "jsonl", "in.jsonl", "--quiet").err, "");
  const Ran ran = mneme("legacy", "import", "old", "--from", "jsonl", "in.jsonl");
  EXPECT_EQ(ran.err.find('\r'), std::string::npos) << ran.err;
  EXPECT_EQ(ran.err.find('\x1b'), std::string::npos) << ran.err;
}

}  // namespace
}  // namespace mneme::tools
