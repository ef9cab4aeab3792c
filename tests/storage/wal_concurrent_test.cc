// Many threads on one log.
#include <atomic>
#include <thread>

#include "wal_fixture.h"

namespace mneme::storage {
namespace {

class WalThreads : public WalTest {
 protected:
  /// Runs `work(thread index)` in that many threads and waits for all.
  static void in_threads(int count, const std::function<void(int)>& work) {
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i) threads.emplace_back(work, i);
    for (std::thread& thread : threads) thread.join();
  }
};

TEST_F(WalThreads, EveryAcknowledgedRecordIsReplayedInCommitOrder) {
  must_open();
  Entries committed;  // without a lock: the log calls one CommitFn at a time, and the thread sanitizer sees to it
  in_threads(8, [&](int thread) {
    for (int i = 0; i < 300; ++i) {
      const std::string text = std::to_string(thread) + "/" + std::to_string(i) + std::string((i * 37) % 600, 'x');
      std::uint64_t told = 0;
      const auto lsn = append_text(wal(), text, static_cast<Durability>((thread + i) % 3), [&](Lsn at) {
        committed.push_back({at.value, text});
        told = at.value;
      });
      ASSERT_TRUE(lsn.ok()) << lsn.status().to_string();
      ASSERT_EQ(lsn->value, told);
    }
  });
  for (std::size_t i = 0; i < committed.size(); ++i) ASSERT_EQ(committed[i].lsn, i + 1);
  crash();
  must_open();
  EXPECT_EQ(replayed_, committed);
}

TEST_F(WalThreads, ASlowCommitKeepsTheOrder) {
  must_open();
  std::vector<std::uint64_t> told;
  in_threads(4, [&](int thread) {
    for (int i = 0; i < 50; ++i) {
      const auto lsn = append_text(wal(), "x", Durability::Sync, [&](Lsn at) {
        for (int turn = 0; thread == 0 && turn < 3; ++turn) std::this_thread::yield();
        told.push_back(at.value);
      });
      ASSERT_TRUE(lsn.ok());
      ASSERT_GE(wal().last(), *lsn);
    }
  });
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  EXPECT_EQ(told.size(), 200u);
}

TEST_F(WalThreads, TailsPinsDropsAndSyncsWorkBesideAppends) {
  must_open();
  std::atomic<bool> done{false};
  const auto start = wal().pin(Lsn{0});
  std::thread follower([&] {
    std::uint64_t seen = 0;
    while (true) {
      const bool last_round = done;
      const Status status = wal().read(Lsn{seen}, [&](const WalRecord& record) {
        EXPECT_EQ(record.lsn.value, seen + 1);
        seen = record.lsn.value;
        return true;
      });
      ASSERT_TRUE(status.ok()) << status.to_string();
      if (last_round) break;
    }
    EXPECT_EQ(seen, 4 * 250u);
  });
  std::thread dropper([&] {
    while (!done) {
      EXPECT_TRUE(wal().drop_through(wal().last()).ok());
      EXPECT_TRUE(wal().sync().ok());
      EXPECT_GE(wal().bytes_on_disk(), wal().live_bytes());
    }
  });
  in_threads(4, [&](int thread) {
    for (int i = 0; i < 250; ++i)
      ASSERT_TRUE(append_text(wal(), std::string(300, 'x'), static_cast<Durability>((thread + i) % 3)).ok());
  });
  done = true;
  follower.join();
  dropper.join();
}

TEST_F(WalThreads, RecyclingBesideAppendsLosesNothing) {
  must_open();
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> applied{0};
  std::thread dropper([&] {
    while (!done) {
      applied = wal().last().value;
      EXPECT_TRUE(wal().drop_through(Lsn{applied}).ok());
    }
  });
  Entries committed;
  in_threads(4, [&](int thread) {
    for (int i = 0; i < 250; ++i) {
      const std::string text = std::to_string(thread) + ":" + std::to_string(i) + std::string(400, 'x');
      ASSERT_TRUE(append_text(wal(), text, Durability::Memory, [&](Lsn at) {
                    committed.push_back({at.value, text});
                  }).ok());
    }
  });
  done = true;
  dropper.join();
  crash();
  must_open(Lsn{applied});
  EXPECT_EQ(replayed_, Entries(committed.begin() + static_cast<std::ptrdiff_t>(applied.load()), committed.end()));
}

TEST_F(WalThreads, AFailedSyncIsToldToEveryWaiter) {
  options_.segment_bytes_min = options_.segment_bytes_max = kMiB;  // one segment: the sync that fails is a group's
  for (int round = 0; round < 20; ++round) {
    fs_ = std::make_unique<FaultFileSystem>();
    must_open();
    fs().fail(FaultFileSystem::Call::Sync, 5 + below(20));
    Entries committed;
    std::atomic<int> unknown{0};
    in_threads(6, [&](int thread) {
      for (int i = 0; i < 40; ++i) {
        const std::string text = std::to_string(thread) + "/" + std::to_string(i);
        const auto lsn = append_text(wal(), text, Durability::Sync, [&](Lsn at) {
          committed.push_back({at.value, text});
        });
        if (lsn.ok()) continue;
        ASSERT_EQ(lsn.status().code(), Code::Indeterminate);
        ++unknown;
      }
    });
    EXPECT_GT(unknown.load(), 0);
    EXPECT_EQ(wal().last().value, committed.size());
    must_open();
    EXPECT_TRUE(is_prefix(committed, replayed_));
  }
}

TEST_F(WalThreads, ClosingBesideAppendsRefusesOrKeepsThem) {
  for (int round = 0; round < 20; ++round) {
    fs_ = std::make_unique<FaultFileSystem>();
    must_open();
    Entries committed;
    std::thread closer([&] {
      while (wal().last().value < 20) std::this_thread::yield();
      EXPECT_TRUE(wal().close().ok());
    });
    in_threads(3, [&](int thread) {
      for (int i = 0;; ++i) {
        const std::string text = std::to_string(thread) + "/" + std::to_string(i);
        const auto lsn = append_text(wal(), text, Durability::Sync, [&](Lsn at) {
          committed.push_back({at.value, text});
        });
        if (lsn.ok()) continue;
        ASSERT_EQ(lsn.status().code(), Code::FailedPrecondition) << lsn.status().to_string();
        return;
      }
    });
    closer.join();
    must_open();
    EXPECT_EQ(replayed_, committed);
  }
}

}  // namespace
}  // namespace mneme::storage
