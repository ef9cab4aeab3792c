// What a log gives back when nothing goes wrong, and what it keeps on disk.
#include <thread>

#include "mneme/base/limits.h"
#include "wal_fixture.h"

namespace mneme::storage {
namespace {

class WalReplay : public WalTest {};

TEST_F(WalReplay, GivesEveryRecordInOrder) {
  must_open();
  for (int i = 0; i < 200; ++i) append(random_text(1500), static_cast<Durability>(below(3)));
  const Lsn last = wal().last();
  crash();

  must_open();
  EXPECT_EQ(replayed_, appended_);
  EXPECT_EQ(recovery_.first.value, 1u);
  EXPECT_EQ(recovery_.last, last);
  EXPECT_EQ(recovery_.records, 200u);
  EXPECT_EQ(recovery_.trimmed_bytes, 0u);
  EXPECT_EQ(wal().last(), last);
  EXPECT_EQ(wal().synced(), last);
}

TEST_F(WalReplay, GivesOnlyWhatLiesAboveReplayAfter) {
  must_open();
  for (int i = 0; i < 40; ++i) append("record " + std::to_string(i));
  crash();
  must_open(Lsn{35});
  EXPECT_EQ(replayed_, Entries(appended_.begin() + 35, appended_.end()));
}

TEST_F(WalReplay, JoinsThePartsOfARecord) {
  must_open();
  const std::vector<ByteView> parts{as_bytes("one"), as_bytes(""), as_bytes(" and "), as_bytes("two")};
  ASSERT_TRUE(wal().append(9, parts, Durability::Sync, {}).ok());
  ASSERT_TRUE(wal().append(9, {}, Durability::Sync, {}).ok());
  crash();
  must_open();
  EXPECT_EQ(replayed_, (Entries{{1, "one and two"}, {2, ""}}));
}

TEST_F(WalReplay, StopsWithTheErrorOfTheCaller) {
  must_open();
  append("a");
  append("b");
  crash();
  const auto refuse = [](const WalRecord& record) {
    return record.lsn.value == 2 ? Status(Code::InvalidArgument, "not this one") : Status();
  };
  const auto opened = Wal::open(fs(), system_clock(), "log", test_database(), options_, {}, refuse, nullptr);
  EXPECT_EQ(opened.status().code(), Code::InvalidArgument);
}

TEST_F(WalReplay, GoesOnBehindWhatItFound) {
  for (int round = 0; round < 30; ++round) {
    must_open();
    ASSERT_EQ(replayed_, appended_);
    for (std::uint64_t i = below(6); i > 0; --i) append(random_text(900));
    if (one_in(2)) {
      close();
    } else {
      crash();
    }
  }
}

TEST_F(WalReplay, TakesARecordLargerThanAnySegment) {
  must_open();
  append("before");
  append(std::string(300'000, 'L'));
  append("after");
  append(std::string(100'000, '\0'));
  crash();
  must_open();
  EXPECT_EQ(replayed_, appended_);
}

TEST_F(WalReplay, RefusesWhatBreaksItsRules) {
  must_open();
  const std::string huge(limits::kBatchBytesMax + 1, 'x');
  EXPECT_EQ(append_text(wal(), huge).status().code(), Code::InvalidArgument);
  EXPECT_EQ(wal().append(0, {}, Durability::Sync, {}).status().code(), Code::InvalidArgument);
  EXPECT_EQ(wal().append(kMarkRecord, {}, Durability::Sync, {}).status().code(), Code::InvalidArgument);
  append("still fine");
}

TEST_F(WalReplay, ADoublingOfSegmentsEndsAtTheUpperSize) {
  options_.segment_bytes_max = 64 * kKiB;
  must_open();
  for (int i = 0; i < 300; ++i) append(std::string(1000, 'x'));
  std::vector<std::size_t> sizes;
  for (std::uint64_t number = 1; fs().holds(segment_path(number)); ++number) {
    const auto header = wal::decode_segment_header(fs().contents(segment_path(number)));
    ASSERT_TRUE(header.ok());
    sizes.push_back(header->segment_bytes / kKiB);
  }
  ASSERT_GE(sizes.size(), 5u);
  EXPECT_EQ(std::vector<std::size_t>(sizes.begin(), sizes.begin() + 5), (std::vector<std::size_t>{8, 16, 32, 64, 64}));
}

TEST_F(WalReplay, ANewLogTakesOneSmallSegment) {
  options_ = {};
  must_open();
  append("tiny");
  EXPECT_EQ(wal().bytes_on_disk(), kMiB);
  EXPECT_EQ(names(), std::vector<std::string>{"0000000000000001.wal"});
}

TEST_F(WalReplay, BeingOpenedAndClosedDoesNotLetItGrow) {
  must_open();
  append("only one");
  close();
  const Bytes closed_once = fs().contents(segment_path(1));
  for (int i = 0; i < 20; ++i) {
    must_open();
    EXPECT_EQ(replayed_, appended_);
    EXPECT_EQ(wal().last().value, 2u) << "the record and the mark";
    close();
  }
  EXPECT_EQ(fs().contents(segment_path(1)), closed_once);
  EXPECT_EQ(names().size(), 1u);
}

TEST_F(WalReplay, ANewLogThatIsOnlyOpenedHoldsNoRecord) {
  must_open();
  close();
  must_open();
  EXPECT_EQ(wal().last().value, 0u);
  EXPECT_EQ(recovery_.first.value, 0u);
}

TEST_F(WalReplay, ACloseMarksEverythingAsSynced) {
  must_open();
  append("a", Durability::Memory);
  append("b", Durability::Memory);
  close();
  must_open();
  EXPECT_EQ(recovery_.synced.value, 2u);
  EXPECT_EQ(recovery_.last.value, 3u);
  EXPECT_EQ(recovery_.records, 2u);
}

TEST_F(WalReplay, AClosedLogTakesNothingMore) {
  must_open();
  ASSERT_TRUE(wal().close().ok());
  EXPECT_EQ(append_text(wal(), "late").status().code(), Code::FailedPrecondition);
  EXPECT_EQ(wal().sync().code(), Code::FailedPrecondition);
  EXPECT_TRUE(wal().close().ok());
}

TEST_F(WalReplay, CommitsAreToldInOrderBeforeAppendReturns) {
  must_open();
  std::vector<std::uint64_t> told;
  for (int i = 0; i < 5; ++i) {
    const auto lsn = append_text(wal(), "x", Durability::Sync, [&](Lsn committed) {
      EXPECT_LT(wal().last(), committed) << "last() moves once the call has returned";
      EXPECT_GE(wal().synced(), committed) << "visible only once it is durable";
      told.push_back(committed.value);
    });
    ASSERT_TRUE(lsn.ok());
    EXPECT_EQ(told.back(), lsn->value);
    EXPECT_EQ(wal().last(), *lsn);
  }
  EXPECT_EQ(told, (std::vector<std::uint64_t>{1, 2, 3, 4, 5}));
}

TEST_F(WalReplay, SyncMovesTheMark) {
  must_open();
  append("a", Durability::Memory);
  EXPECT_EQ(wal().synced().value, 0u);
  ASSERT_TRUE(wal().sync().ok());
  EXPECT_EQ(wal().synced().value, 1u);
}

TEST_F(WalReplay, IntervalWritesAreSyncedInTheBackground) {
  options_.sync_interval = std::chrono::milliseconds(1);
  must_open();
  append("soon", Durability::Interval);
  while (wal().synced().value < 1) std::this_thread::yield();
  cut_power();
  must_open();
  EXPECT_EQ(replayed_, appended_);
}

class WalTail : public WalTest {};

TEST_F(WalTail, ReadsFromAnyRecordOn) {
  must_open();
  for (int i = 0; i < 60; ++i) append(random_text(800));
  for (std::uint64_t after = 0; after <= 60; ++after)
    EXPECT_EQ(read_after(Lsn{after}), Entries(appended_.begin() + static_cast<std::ptrdiff_t>(after), appended_.end()));
}

TEST_F(WalTail, FollowsAppendsAcrossSegments) {
  must_open();
  Entries followed;
  for (int round = 0; round < 50; ++round) {
    for (std::uint64_t i = below(4); i > 0; --i) append(random_text(900), Durability::Memory);
    const Entries news = read_after(Lsn{followed.empty() ? 0 : followed.back().lsn});
    followed.insert(followed.end(), news.begin(), news.end());
    ASSERT_EQ(followed, appended_);
  }
}

TEST_F(WalTail, StopsWhenTheVisitorHasEnough) {
  must_open();
  for (int i = 0; i < 10; ++i) append(std::to_string(i));
  int seen = 0;
  ASSERT_TRUE(wal().read(Lsn{2}, [&](const WalRecord&) { return ++seen < 3; }).ok());
  EXPECT_EQ(seen, 3);
}

TEST_F(WalTail, DropsWholeSegmentsThatNobodyPins) {
  must_open();
  for (int i = 0; i < 80; ++i) append(std::string(900, 'x'));
  const std::uint64_t before = wal().live_bytes();
  auto pin = wal().pin(Lsn{30});

  ASSERT_TRUE(wal().drop_through(wal().last()).ok());
  EXPECT_EQ(read_after(Lsn{30}).size(), 50u) << "the pin keeps what lies above it";
  EXPECT_LT(wal().live_bytes(), before);
  EXPECT_EQ(wal().read(Lsn{0}, [](const WalRecord&) { return true; }).code(), Code::NotFound);

  pin.reset();
  ASSERT_TRUE(wal().drop_through(Lsn{80}).ok());
  EXPECT_EQ(count_names(".wal"), 1u);
  EXPECT_EQ(wal().read(Lsn{30}, [](const WalRecord&) { return true; }).code(), Code::NotFound);
  const Lsn last = wal().last();
  crash();
  must_open(Lsn{80});
  EXPECT_EQ(wal().last(), last);
  EXPECT_TRUE(replayed_.empty());
}

TEST_F(WalTail, APinMayOutliveTheLog) {
  must_open();
  append("x");
  const auto pin = wal().pin(Lsn{0});
  close();
}

TEST_F(WalTail, RecycledSegmentsDoNotBringOldRecordsBack) {
  options_.segment_bytes_max = options_.segment_bytes_min;
  must_open();
  std::uint64_t applied = 0;
  for (int round = 0; round < 400; ++round) {
    append(random_text(700), one_in(2) ? Durability::Sync : Durability::Memory);
    if (one_in(5)) {
      applied = std::max(applied, wal().last().value - std::min(wal().last().value, below(3)));
      ASSERT_TRUE(wal().drop_through(Lsn{applied}).ok());
    }
    if (one_in(20)) {
      crash();
      must_open(Lsn{applied});
      ASSERT_EQ(replayed_, Entries(appended_.begin() + static_cast<std::ptrdiff_t>(applied), appended_.end()));
    }
  }
}

}  // namespace
}  // namespace mneme::storage
