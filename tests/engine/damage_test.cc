// Databases whose files were harmed, and disks that are full.

#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <random>

#include "engine_test.h"

namespace mneme::test {
namespace {

class DamageTest : public EngineTest {
 protected:
  // Puts nodes "0" … "n-1" in a child that kills itself, so that the log keeps them.
  void put_and_die(int count) {
    db_.reset();
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      open();
      for (int i = 0; i < count; ++i) put(named(std::to_string(i)));
      kill(getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
  }
  // The log segment that holds `text`, and where.
  std::pair<std::filesystem::path, std::size_t> find_in_log(const std::string& text) const {
    for (const auto& entry : std::filesystem::directory_iterator(path() / "wal")) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
      if (const std::size_t at = bytes.find(text); at != std::string::npos) return {entry.path(), at};
    }
    return {};
  }
  void flip_in_log(const std::string& text) const {
    const auto [file, at] = find_in_log(text);
    ASSERT_FALSE(file.empty()) << text;
    std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(static_cast<std::streamoff>(at));
    out.put(static_cast<char>(text[0] ^ 1));
  }
  Result<std::unique_ptr<Database>> try_open() const { return Database::open(path(), options_); }
};

TEST_F(DamageTest, KeepsEverythingAcknowledgedAcrossAKill) {
  put_and_die(20);
  open();
  EXPECT_GE(db_->recovery().records, 20U);
  EXPECT_EQ(must(space().stats()).nodes, 20U);
  EXPECT_EQ(found({1, 0, 0, 0}, 100).size(), 20U);
  expect_sound();
}

TEST_F(DamageTest, RefusesAFlippedBitInTheLogAndSaysWhere) {
  put_and_die(20);
  flip_in_log("content of 7");
  const Status refused = try_open().status();
  EXPECT_EQ(refused.code(), Code::DataLoss);
  EXPECT_NE(refused.message().find("record"), std::string::npos) << refused.message();
  EXPECT_NE(refused.message().find("byte"), std::string::npos) << refused.message();
}

TEST_F(DamageTest, RefusesAFlippedBitInTheLastRecordToo) {
  put_and_die(20);
  flip_in_log("content of 19");
  EXPECT_EQ(try_open().status().code(), Code::DataLoss);
}

TEST_F(DamageTest, ShowsWhatLiesBeforeTheDamageWhenOpenedReadOnly) {
  put_and_die(20);
  flip_in_log("content of 7");
  options_.read_only = true;
  open();
  EXPECT_EQ(db_->recovery().damage.code(), Code::DataLoss);
  EXPECT_EQ(must(space().stats()).nodes, 7U);
  EXPECT_EQ(scanned().size(), 7U);
  EXPECT_EQ(found({1, 0, 0, 0}, 100).size(), 7U);
  db_.reset();
  options_.read_only = false;
  EXPECT_EQ(try_open().status().code(), Code::DataLoss);  // and nothing was changed by looking
}

TEST_F(DamageTest, GoesOnWithoutTheLostPartOnlyWhenTold) {
  put_and_die(20);
  flip_in_log("content of 7");
  options_.accept_data_loss = true;
  open();
  EXPECT_EQ(must(space().stats()).nodes, 7U);
  options_.accept_data_loss = false;
  put(named("new"));
  reopen();
  EXPECT_EQ(must(space().stats()).nodes, 8U);
  expect_sound();
}

TEST_F(DamageTest, RefusesADamagedManifestAndAForeignDirectory) {
  db_.reset();
  {
    std::fstream out(path() / "MANIFEST", std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(50);
    out.put('\x55');
  }
  EXPECT_EQ(try_open().status().code(), Code::Corruption);
  std::filesystem::create_directory(directory_ / "other");
  std::ofstream(directory_ / "other" / "notes.txt") << "mine";
  EXPECT_EQ(Database::open(directory_ / "other", options_).status().code(), Code::FailedPrecondition);
  EXPECT_TRUE(std::filesystem::exists(directory_ / "other" / "notes.txt"));
  options_.create_if_missing = false;
  EXPECT_EQ(Database::open(directory_ / "absent", options_).status().code(), Code::NotFound);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "absent"));
}

TEST_F(DamageTest, MakesFilesThatOnlyTheOwnerCanRead) {
  put(named("a"));
  must(db_->flush());
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path())) {
    const auto mode = entry.status().permissions() & std::filesystem::perms::all;
    EXPECT_EQ(mode & (std::filesystem::perms::group_all | std::filesystem::perms::others_all),
              std::filesystem::perms::none)
        << entry.path();
  }
}

// A small disk of its own, in memory.
class FullDiskTest : public EngineTest {
 protected:
  void SetUp() override {
    disk_ = directory_ / "disk";
    std::filesystem::create_directory(disk_);
    if (mount("tmpfs", disk_.c_str(), "tmpfs", 0, "size=32m") != 0)
      GTEST_SKIP() << "mounting a tmpfs needs root: " << std::strerror(errno);
    mounted_ = true;
    options_.create_if_missing = true;
    options_.default_dimension = kDimension;
    options_.unapplied_bytes_max = 2 * kMiB;
    options_.log_bytes_max = 2 * kMiB;
    options_.busy_after = std::chrono::milliseconds(500);
    open_disk();
    must(db_->create_space("agent"));
  }
  void TearDown() override {
    db_.reset();
    if (mounted_) umount2(disk_.c_str(), MNT_DETACH);
  }
  void open_disk() { db_ = must(Database::open(disk_ / "db", options_)); }
  void fill() const {
    std::ofstream ballast(disk_ / "ballast", std::ios::binary);
    const std::string piece(64 * kKiB, 'x');
    while (ballast.write(piece.data(), static_cast<std::streamsize>(piece.size())).flush()) {
    }
  }
  // Content that does not compress, so that a put takes room.
  static Node bulky(int i) {
    Node node = named(std::to_string(i));
    std::mt19937 random(static_cast<unsigned>(i));
    std::string text;
    for (int c = 0; c < 20'000; ++c) text.push_back(static_cast<char>('!' + random() % 90));
    node.content = text;
    return node;
  }
  std::filesystem::path disk_;
  bool mounted_ = false;
};

TEST_F(FullDiskTest, SaysNoSpaceServesReadsAndRecoversByItself) {
  std::vector<NodeId> acknowledged;
  for (int episode = 0; episode < 3; ++episode) {
    fill();
    Status refused;
    for (int i = 0; i < 2000 && refused.ok(); ++i) {
      const Result<NodeId> id = space().put(bulky(static_cast<int>(acknowledged.size())));
      if (id.ok())
        acknowledged.push_back(*id);
      else
        refused = id.status();
    }
    EXPECT_EQ(refused.code(), Code::NoSpace) << refused.to_string();
    for (const NodeId& id : acknowledged) EXPECT_TRUE(space().get(id).ok());
    std::filesystem::remove(disk_ / "ballast");
    // Room again: the applier and the log find out by themselves.
    Status written;
    for (int tries = 0; tries < 100; ++tries) {
      const Result<NodeId> id = space().put(bulky(static_cast<int>(acknowledged.size())));
      written = id.status();
      if (id.ok()) {
        acknowledged.push_back(*id);
        break;
      }
    }
    EXPECT_TRUE(written.ok()) << written.to_string();
  }
  must(db_->flush());
  expect_sound();
  db_.reset();
  open_disk();
  for (const NodeId& id : acknowledged) EXPECT_TRUE(space().get(id).ok());
  EXPECT_EQ(must(space().stats()).nodes, acknowledged.size());
}

}  // namespace
}  // namespace mneme::test
