// A log in a file system that can fail and lose power, and the verbs to drive it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "fault_file_system.h"
#include "mneme/storage/wal.h"
#include "mneme/storage/wal_format.h"
#include "seeded_test.h"

namespace mneme::storage {

using mneme::testing::FaultFileSystem;

/// One record as a test sees it.
struct Entry {
  std::uint64_t lsn = 0;
  std::string text;
  friend bool operator==(const Entry&, const Entry&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Entry& e) {
    return out << e.lsn << ":" << (e.text.size() > 24 ? e.text.substr(0, 24) + "..." : e.text);
  }
};
using Entries = std::vector<Entry>;

inline DatabaseId test_database() {
  DatabaseId id;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<std::uint8_t>(0xd0 + i);
  return id;
}

/// What one open of a log gave.
struct Opened {
  Status status;
  std::unique_ptr<Wal> wal;
  Entries replayed;
  WalRecovery recovery;
};

inline Opened open_log(FileSystem& fs, const WalOptions& options, Lsn replay_after = {},
                       const DatabaseId& database = test_database()) {
  Opened opened;
  const auto keep = [&](const WalRecord& record) {
    opened.replayed.push_back({record.lsn.value, std::string(as_text(record.payload))});
    return Status();
  };
  auto wal = Wal::open(fs, system_clock(), "log", database, options, replay_after, keep, &opened.recovery);
  opened.status = wal.status();
  if (wal) opened.wal = std::move(wal).value();
  return opened;
}

inline Result<Lsn> append_text(Wal& wal, std::string_view text, Durability durability = Durability::Sync,
                               const Wal::CommitFn& on_commit = {}) {
  const ByteView part = as_bytes(text);
  return wal.append(1, {&part, 1}, durability, on_commit);
}

class WalTest : public mneme::testing::SeededTest {
 protected:
  WalTest() {
    options_.segment_bytes_min = 8 * kKiB;
    options_.segment_bytes_max = 16 * kKiB;
  }

  FaultFileSystem& fs() { return *fs_; }
  Wal& wal() { return *wal_; }

  /// Opens; on success wal() is the log and replayed() what it gave.
  Status open(Lsn replay_after = {}) {
    wal_.reset();
    Opened opened = open_log(*fs_, options_, replay_after);
    wal_ = std::move(opened.wal);
    replayed_ = std::move(opened.replayed);
    recovery_ = std::move(opened.recovery);
    return opened.status;
  }
  void must_open(Lsn replay_after = {}) {
    const Status status = open(replay_after);
    ASSERT_TRUE(status.ok()) << status.to_string();
  }
  void crash() { wal_.reset(); }  ///< no mark, nothing more is synced
  void cut_power() {
    wal_.reset();
    fs_ = fs_->after_power_loss(random());
  }
  void close() {
    const Status status = wal_->close();
    EXPECT_TRUE(status.ok()) << status.to_string();
    wal_.reset();
  }

  /// Appends and remembers what must be replayed.
  void append(const std::string& text, Durability durability = Durability::Sync) {
    const Result<Lsn> lsn = append_text(*wal_, text, durability);
    ASSERT_TRUE(lsn.ok()) << lsn.status().to_string();
    appended_.push_back({lsn->value, text});
  }

  std::string random_text(std::size_t bytes_max) {
    std::string text(below(bytes_max + 1), '\0');
    for (char& c : text) c = one_in(3) ? '\0' : static_cast<char>(below(256));
    if (one_in(4) && text.size() > 700) std::fill_n(text.begin() + 50, 600, '\0');
    return text;
  }

  Path segment_path(std::uint64_t number) const { return Path("log") / wal::segment_name(number); }
  std::vector<std::string> names() {
    auto listed = fs_->list("log");
    return listed ? *listed : std::vector<std::string>{};
  }
  std::size_t count_names(std::string_view suffix) {
    const auto all = names();
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [&](const std::string& name) { return name.ends_with(suffix); }));
  }

  Entries read_after(Lsn after) {
    Entries entries;
    const Status status = wal_->read(after, [&](const WalRecord& record) {
      entries.push_back({record.lsn.value, std::string(as_text(record.payload))});
      return true;
    });
    EXPECT_TRUE(status.ok()) << status.to_string();
    return entries;
  }

  WalOptions options_;
  std::unique_ptr<FaultFileSystem> fs_ = std::make_unique<FaultFileSystem>();
  std::unique_ptr<Wal> wal_;
  Entries appended_;
  Entries replayed_;
  WalRecovery recovery_;
};

inline bool is_prefix(const Entries& prefix, const Entries& all) {
  return prefix.size() <= all.size() && std::equal(prefix.begin(), prefix.end(), all.begin());
}

}  // namespace mneme::storage
