// Power cuts: what was synced is there, the rest is a prefix without holes.
#include <atomic>

#include "wal_fixture.h"

namespace mneme::storage {
namespace {

class WalPower : public WalTest {
 protected:
  /// Everything that is `synced` and above `applied`, then records in the order they were appended, and nothing else.
  void expect_survivors(const Opened& opened, std::uint64_t applied, std::uint64_t synced) {
    ASSERT_TRUE(opened.status.ok()) << opened.status.to_string();
    ASSERT_GE(opened.recovery.last.value, synced);
    Entries expected;
    for (const Entry& entry : appended_)
      if (entry.lsn > applied && entry.lsn <= opened.recovery.last.value) expected.push_back(entry);
    ASSERT_EQ(opened.replayed, expected);
  }
};

TEST_F(WalPower, ASyncedRecordIsNeverLostAndNoneIsSkipped) {
  must_open();
  std::uint64_t synced = 0, applied = 0, cuts = 0;
  for (int step = 0; step < 20'000; ++step) {
    const auto durability = static_cast<Durability>(below(3));
    append(random_text(one_in(30) ? 9000 : 500), durability);
    if (durability == Durability::Sync) synced = appended_.back().lsn;
    if (one_in(40)) {
      // What a store does: make the log durable, then its own state, then drop.
      ASSERT_TRUE(wal().sync().ok());
      synced = appended_.back().lsn;
      applied = synced - below(std::min<std::uint64_t>(synced - applied + 1, 20));
      ASSERT_TRUE(wal().drop_through(Lsn{applied}).ok());
    }
    if (!one_in(25)) continue;
    ++cuts;
    auto image = fs_->after_power_loss(random());  // while the log is alive and may be preparing a segment
    wal_.reset();
    fs_ = std::move(image);
    Opened opened = open_log(*fs_, options_, Lsn{applied});
    expect_survivors(opened, applied, synced);
    if (HasFatalFailure()) return;
    std::erase_if(appended_, [&](const Entry& entry) { return entry.lsn > opened.recovery.last.value; });
    synced = opened.recovery.last.value;  // what was shown is durable
    wal_ = std::move(opened.wal);
  }
  EXPECT_GT(cuts, 500u);
}

TEST_F(WalPower, ACutBeforeAnyCallLosesNothingSynced) {
  std::uint64_t images = 0;
  for (std::uint64_t nth = 1;; nth += 1) {
    fs_ = std::make_unique<FaultFileSystem>();
    appended_.clear();
    std::atomic<std::uint64_t> acknowledged{0}, applied{0};
    std::uint64_t synced_then = 0, applied_then = 0;
    std::vector<std::unique_ptr<FaultFileSystem>> cut;
    fs().before_call(nth, [&] {
      synced_then = acknowledged;
      applied_then = applied;
      for (int i = 0; i < 4; ++i) cut.push_back(fs_->after_power_loss(random()));
    });
    for (int life = 0; life < 2; ++life) {
      must_open(Lsn{applied});
      for (int i = 0; i < 12; ++i) {
        const bool sync = one_in(2);
        append(std::to_string(i) + std::string(800, 'x'), sync ? Durability::Sync : Durability::Memory);
        if (sync) acknowledged = appended_.back().lsn;
      }
      ASSERT_TRUE(wal().sync().ok());
      acknowledged = appended_.back().lsn;
      applied = acknowledged - 3;
      ASSERT_TRUE(wal().drop_through(Lsn{applied}).ok());
      if (life == 0) crash();
    }
    close();
    for (const auto& image : cut) {
      ++images;
      expect_survivors(open_log(*image, options_, Lsn{applied_then}), applied_then, synced_then);
      if (HasFatalFailure()) {
        ADD_FAILURE() << "before call " << nth;
        return;
      }
    }
    if (cut.empty()) break;
  }
  EXPECT_GT(images, 200u);
}

TEST_F(WalPower, ACutDuringRecoveryChangesNothing) {
  for (int round = 0; round < 500; ++round) {
    fs_ = std::make_unique<FaultFileSystem>();
    appended_.clear();
    must_open();
    for (std::uint64_t i = below(6); i > 0; --i) append(random_text(700));
    const std::size_t safe = appended_.size();
    for (std::uint64_t i = 1 + below(5); i > 0; --i) append(random_text(700), Durability::Memory);
    cut_power();
    std::unique_ptr<FaultFileSystem> image;
    fs().before_call(1 + below(12), [&] { image = fs_->after_power_loss(random()); });
    must_open();
    const Entries first = replayed_;
    ASSERT_TRUE(is_prefix(first, appended_));
    ASSERT_GE(first.size(), safe);
    crash();
    if (!image) continue;
    fs_ = std::move(image);
    must_open();
    ASSERT_EQ(replayed_, first);
  }
}

}  // namespace
}  // namespace mneme::storage
