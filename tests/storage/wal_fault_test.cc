// Calls that fail: what callers are told is what the next open shows.
#include <map>

#include "mneme/storage/failpoint.h"
#include "wal_fixture.h"

namespace mneme::storage {
namespace {

using Call = FaultFileSystem::Call;

class WalFaults : public WalTest {};

TEST_F(WalFaults, AFailedSyncPoisonsTheLogUntilItIsOpenedAgain) {
  options_.segment_bytes_min = options_.segment_bytes_max = kMiB;  // no spare, whose syncs would be counted
  must_open();
  append("acknowledged");
  fs().fail_my_next(Call::Sync, Code::IoError);
  bool told = false;
  const auto lsn = append_text(wal(), "unknown", Durability::Sync, [&](Lsn) { told = true; });
  EXPECT_EQ(lsn.status().code(), Code::Indeterminate);
  EXPECT_FALSE(told);
  EXPECT_EQ(wal().last().value, 1u);
  EXPECT_EQ(wal().synced().value, 1u);

  const std::uint64_t syncs = fs().calls(Call::Sync);
  EXPECT_EQ(append_text(wal(), "refused").status().code(), Code::Indeterminate);
  EXPECT_EQ(append_text(wal(), "refused", Durability::Memory).status().code(), Code::Indeterminate);
  EXPECT_EQ(wal().sync().code(), Code::Indeterminate);
  EXPECT_EQ(wal().health().code(), Code::Indeterminate);
  EXPECT_NE(wal().health().message().find("injected fault"), std::string::npos);
  EXPECT_EQ(wal().close().code(), Code::Indeterminate);
  EXPECT_EQ(fs().calls(Call::Sync), syncs) << "a failed sync is not tried again";
}

// After a failed fsync the kernel counts the pages as written. A process that opens the log again sees the record,
// may act on it, and loses it in a power cut unless it is written and synced once more.
TEST_F(WalFaults, WhatIsReplayedAfterAFailedSyncIsDurable) {
  must_open();
  append("acknowledged");
  fs().fail_my_next(Call::Sync, Code::IoError);
  ASSERT_FALSE(append_text(wal(), "unknown").ok());
  must_open();
  ASSERT_EQ(replayed_, (Entries{{1, "acknowledged"}, {2, "unknown"}}));
  for (int i = 0; i < 20; ++i) {
    wal_.reset();
    auto image = fs_->after_power_loss(random());
    const Opened opened = open_log(*image, options_);
    ASSERT_TRUE(opened.status.ok());
    ASSERT_EQ(opened.replayed, (Entries{{1, "acknowledged"}, {2, "unknown"}}));
  }
}

TEST_F(WalFaults, AFailedWriteLeavesNothingAndTheLogGoesOn) {
  for (const Code code : {Code::NoSpace, Code::IoError}) {
    must_open();
    append("before");
    fs().fail_my_next(Call::Write, code);
    EXPECT_EQ(append_text(wal(), std::string(1500, 'x')).status().code(), code);
    EXPECT_TRUE(wal().health().ok());
    crash();
    must_open();
    EXPECT_EQ(replayed_, appended_);
    EXPECT_EQ(recovery_.trimmed_bytes, 0u) << "the failed write was undone at once";
    fs().fail_my_next(Call::Write, code);
    EXPECT_FALSE(append_text(wal(), "x").ok());
    append("after");
    crash();
  }
  must_open();
  EXPECT_EQ(replayed_, appended_);
}

TEST_F(WalFaults, AFailedWriteDoesNotComeBackAfterAPowerCut) {
  fs().set_failing_write_eighths(8);
  options_.segment_bytes_max = 32 * kKiB;
  must_open();
  append("before");
  // In a segment of zeros, then in one that grows with each record, for it was needed before it was prepared.
  for (const bool grows : {false, true}) {
    if (grows) append(std::string(20'000, 'x'));
    fs().fail_my_next(Call::Write, Code::NoSpace);
    ASSERT_EQ(append_text(wal(), "never", Durability::Memory).status().code(), Code::NoSpace);
    for (int i = 0; i < 100; ++i) {
      const auto image = fs().after_power_loss(random());
      const Opened opened = open_log(*image, options_);
      ASSERT_TRUE(opened.status.ok()) << opened.status.to_string();
      ASSERT_EQ(opened.replayed, appended_);
    }
  }
}

TEST_F(WalFaults, AWriteThatCannotBeUndonePoisons) {
  must_open();
  append("before");
  fs().fail(Call::Write, 1, Code::IoError, true);
  EXPECT_EQ(append_text(wal(), std::string(1500, 'x')).status().code(), Code::Indeterminate);
  fs().fail_nothing();
  EXPECT_EQ(append_text(wal(), "x").status().code(), Code::Indeterminate);
  must_open();
  EXPECT_EQ(replayed_, appended_);
}

TEST_F(WalFaults, AFullDiskIsNoSpaceAndTakesWritesAgainWhenThereIsRoom) {
  must_open();
  fs().set_capacity(30'000);
  std::size_t refused = 0;
  for (int round = 0; round < 3; ++round) {
    Result<Lsn> lsn = Lsn{};
    for (std::uint64_t i = 0; lsn.ok(); ++i) {
      const std::string text = std::to_string(round) + std::string(900, 'x');
      lsn = append_text(wal(), text);
      if (lsn) appended_.push_back({lsn->value, text});
    }
    ++refused;
    EXPECT_EQ(lsn.status().code(), Code::NoSpace) << lsn.status().to_string();
    EXPECT_TRUE(wal().health().ok());
    EXPECT_EQ(read_after(Lsn{0}), appended_) << "reads go on";
    EXPECT_EQ(append_text(wal(), std::string(900, 'y')).status().code(), Code::NoSpace);
    fs().set_capacity(30'000 + 40'000 * static_cast<std::uint64_t>(round + 1));
  }
  append("room again");
  EXPECT_EQ(refused, 3u);
  crash();
  must_open();
  EXPECT_EQ(replayed_, appended_);
}

TEST_F(WalFaults, DroppingMakesRoomOnAFullDisk) {
  must_open();
  fs().set_capacity(40'000);
  for (int round = 0; round < 200; ++round) {
    const auto lsn = append_text(wal(), std::string(800, 'x'));
    if (lsn) continue;
    ASSERT_EQ(lsn.status().code(), Code::NoSpace);
    ASSERT_TRUE(wal().drop_through(wal().last()).ok());
    append("after the drop");
  }
}

TEST_F(WalFaults, ASpareThatCannotBePreparedDoesNotStopAppends) {
  must_open();
  append("first");
  // The first segment holds about four of these; every spare fails on its first write to a new file.
  for (int i = 0; i < 60; ++i) {
    if (one_in(4)) fs().fail(Call::Open, 1, Code::IoError);
    const std::string text(900, 'a');
    const auto lsn = append_text(wal(), text);
    if (lsn) appended_.push_back({lsn->value, text});
    EXPECT_TRUE(wal().health().ok());
    fs().fail_nothing();
  }
  crash();
  must_open();
  EXPECT_EQ(replayed_, appended_);
}

TEST_F(WalFaults, ANewSegmentWhoseNameMayNotBeDurablePoisons) {
  must_open();
  append("first");
  fs().fail(Call::SyncDirectory, 1);
  Result<Lsn> lsn = Lsn{};
  while (lsn.ok()) {
    lsn = append_text(wal(), std::string(900, 'x'));
    if (lsn) appended_.push_back({lsn->value, std::string(900, 'x')});
  }
  EXPECT_EQ(lsn.status().code(), Code::Indeterminate);
  must_open();
  EXPECT_EQ(replayed_, appended_);
}

/// Runs a whole life of a log under one fault and checks what the next open shows.
class WalEveryFault : public WalTest {
 protected:
  enum class Fate { Acknowledged, Failed, Unknown };

  /// A log of several segments whose tail is torn.
  std::unique_ptr<FaultFileSystem> torn_log() {
    fs_ = std::make_unique<FaultFileSystem>();
    must_open();
    for (int i = 0; i < 14; ++i) append("old " + std::to_string(i) + std::string(850, 'o'));
    append("torn" + std::string(1500, 't'), Durability::Memory);
    appended_.pop_back();
    crash();
    Path newest;
    for (const Path& path : fs().files())
      if (path.extension() == ".wal") newest = path;
    Bytes file = fs().contents(newest);
    std::size_t end = file.size();
    while (file[end - 1] == std::byte{0}) --end;
    std::fill_n(file.begin() + static_cast<std::ptrdiff_t>(end / 512 * 512 - 512), 512, std::byte{0});
    fs().set_contents(newest, file);
    return fs_->after_kill();
  }

  void live(std::map<std::string, Fate>& fates, std::uint64_t& dropped) {
    if (!open().ok()) return;
    EXPECT_EQ(replayed_, appended_);
    for (int i = 0; i < 24; ++i) {
      const std::string text = "new " + std::to_string(i) + std::string(600, 'n');
      const auto lsn = append_text(wal(), text, i % 3 == 0 ? Durability::Memory : Durability::Sync);
      fates[text] = lsn.ok()                                     ? Fate::Acknowledged
                    : lsn.status().code() == Code::Indeterminate ? Fate::Unknown
                                                                 : Fate::Failed;
      if (i != 12) continue;
      dropped = 10;  // applied, whether or not dropping works
      static_cast<void>(wal().drop_through(Lsn{dropped}));
    }
    static_cast<void>(wal().close());
  }

  void check(const Opened& opened, const std::map<std::string, Fate>& fates, std::uint64_t dropped) {
    ASSERT_TRUE(opened.status.ok()) << opened.status.to_string();
    std::size_t old = 0, acknowledged = 0, seen = 0;
    std::uint64_t before = dropped;
    for (const Entry& entry : opened.replayed) {
      ASSERT_GT(entry.lsn, before);
      before = entry.lsn;
      const auto fate = fates.find(entry.text);
      if (fate == fates.end()) {
        ASSERT_EQ(entry, appended_.at(entry.lsn - 1));
        ++old;
      } else {
        ASSERT_NE(fate->second, Fate::Failed) << "replayed, though its append had failed: " << entry;
        acknowledged += fate->second == Fate::Acknowledged;
      }
    }
    for (const auto& [text, fate] : fates) seen += fate == Fate::Acknowledged;
    ASSERT_EQ(old, appended_.size() - dropped);
    ASSERT_EQ(acknowledged, seen) << "an acknowledged record is missing";
  }

  void fail_every_call(Code code, bool sticky) {
    const auto torn = torn_log();
    for (std::uint64_t nth = 1;; ++nth) {
      fs_ = torn->after_kill();
      fs().fail(Call::Any, nth, code, sticky);
      std::map<std::string, Fate> fates;
      std::uint64_t dropped = 0;
      live(fates, dropped);
      wal_.reset();
      const bool fired = fs().fault_fired();
      fs().fail_nothing();

      Opened opened = open_log(fs(), options_, Lsn{dropped});
      check(opened, fates, dropped);
      if (HasFatalFailure()) {
        ADD_FAILURE() << "call " << nth;
        return;
      }
      // Whatever a reopened log has shown stays, whatever the failed calls did to the disk.
      opened.wal.reset();
      const auto image = fs().after_power_loss(random());
      const Opened again = open_log(*image, options_, Lsn{dropped});
      ASSERT_TRUE(again.status.ok()) << again.status.to_string();
      ASSERT_EQ(again.replayed, opened.replayed) << "call " << nth;
      if (!fired) {
        EXPECT_GT(nth, 60u) << "calls in a life of the log";
        return;
      }
      ASSERT_LT(nth, 2000u);
    }
  }
};

TEST_F(WalEveryFault, OnceIoError) { fail_every_call(Code::IoError, false); }
TEST_F(WalEveryFault, OnceNoSpace) { fail_every_call(Code::NoSpace, false); }
TEST_F(WalEveryFault, ForGoodIoError) { fail_every_call(Code::IoError, true); }
TEST_F(WalEveryFault, ForGoodNoSpace) { fail_every_call(Code::NoSpace, true); }

}  // namespace
}  // namespace mneme::storage
