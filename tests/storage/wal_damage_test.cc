// Cuts, flips, torn writes and missing segments: trimmed or refused as the rules say, never wrong.
//
// What must come out is worked out here from the bytes of the intact log, by code that shares nothing with recovery.
#include <cstring>
#include <functional>
#include <set>

#include "wal_fixture.h"

namespace mneme::storage {
namespace {

std::uint64_t number_at(const Bytes& file, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  std::memcpy(&value, file.data() + at, size);
  return value;
}

/// One record of an intact segment, found by its length field.
struct Span {
  std::size_t begin = 0, end = 0;
  std::uint64_t lsn = 0, synced = 0;
};

std::size_t begin_behind(std::size_t offset) { return offset % 512 > 480 ? (offset / 512 + 1) * 512 : offset; }

std::vector<Span> spans_of(const Bytes& file) {
  std::vector<Span> spans;
  for (std::size_t at = begin_behind(4096); at + 40 <= file.size() && number_at(file, at + 8, 8) != 0;) {
    const std::size_t end = at + 32 + (number_at(file, at + 4, 4) + 7) / 8 * 8 + 8;
    spans.push_back({at, end, number_at(file, at + 8, 8), number_at(file, at + 16, 8)});
    at = begin_behind(end);
  }
  return spans;
}

/// Sectors behind the header's own in which the record's bytes are all zeros.
std::size_t zero_sectors(const Bytes& file, const Span& span) {
  std::size_t zeros = 0;
  for (std::size_t sector = (span.begin + 31) / 512 + 1; sector * 512 < span.end; ++sector) {
    const std::size_t from = sector * 512, to = std::min(span.end, from + 512);
    zeros += std::all_of(file.begin() + static_cast<std::ptrdiff_t>(from),
                         file.begin() + static_cast<std::ptrdiff_t>(to), [](std::byte b) { return b == std::byte{0}; });
  }
  return zeros;
}

enum class Verdict { All, Prefix, DataLoss };
struct Expected {
  Verdict verdict = Verdict::All;
  std::size_t records = 0;  // of a prefix
};

class WalDamage : public WalTest {
 protected:
  /// A log of one segment with records of every shape: empty, small, over sectors, zeros inside, unsynced at the end.
  void write_small_log(bool mark) {
    must_open();
    append("first");
    append("");
    append(std::string(1100, 'a'));
    append(std::string(20, 'b') + std::string(1200, '\0') + "c", Durability::Memory);
    append(std::string(430, '\0'), Durability::Memory);
    append("last", Durability::Memory);
    if (mark) {
      close();
    } else {
      crash();
    }
  }

  Opened reopen_with(const Bytes& file, std::uint64_t number = 1) {
    FaultFileSystem image;
    EXPECT_TRUE(image.make_directory("log").ok());
    for (const Path& path : fs().files()) image.set_contents(path, fs().contents(path));
    image.set_contents(segment_path(number), file);
    Opened opened = open_log(image, options_);
    if (opened.status.ok()) expect_usable(image, opened);
    opened.wal.reset();
    return opened;
  }

  /// A log that opened takes records, and gives all of them at the next open.
  void expect_usable(FaultFileSystem& image, Opened& opened) {
    const auto lsn = append_text(*opened.wal, "new");
    ASSERT_TRUE(lsn.ok()) << lsn.status().to_string();
    opened.wal.reset();
    Entries expected = opened.replayed;
    expected.push_back({lsn->value, "new"});
    const Opened again = open_log(image, options_);
    ASSERT_TRUE(again.status.ok()) << again.status.to_string();
    ASSERT_EQ(again.replayed, expected);
    ASSERT_EQ(again.recovery.trimmed_bytes, 0u) << "the tail was trimmed before";
  }

  void expect(const Expected& expected, const Opened& opened, const std::string& what) {
    if (expected.verdict == Verdict::DataLoss) {
      ASSERT_EQ(opened.status.code(), Code::DataLoss) << what << ": " << opened.status.to_string();
      return;
    }
    ASSERT_TRUE(opened.status.ok()) << what << ": " << opened.status.to_string();
    const std::size_t records =
        expected.verdict == Verdict::All ? appended_.size() : std::min(expected.records, appended_.size());
    ASSERT_EQ(opened.replayed, Entries(appended_.begin(), appended_.begin() + static_cast<std::ptrdiff_t>(records)))
        << what;
  }

  static Expected after_cut(const std::vector<Span>& spans, std::size_t size) {
    if (size < 4096) return {Verdict::DataLoss};
    std::size_t whole = 0;
    while (whole < spans.size() && spans[whole].end <= size) ++whole;
    return {Verdict::Prefix, whole};
  }

  static Expected after_flip(const Bytes& intact, const Bytes& flipped, const std::vector<Span>& spans,
                             std::size_t at) {
    if (at < 64) return {Verdict::DataLoss};
    if (at < 4096) return {Verdict::All};
    for (std::size_t i = 0; i < spans.size(); ++i) {
      const Span& span = spans[i];
      if (at < span.begin || at >= span.end) continue;
      bool below_mark = false;
      for (std::size_t later = i + 1; later < spans.size(); ++later) below_mark |= spans[later].synced >= span.lsn;
      const bool torn = at >= span.begin + 32 && zero_sectors(flipped, span) > zero_sectors(intact, span);
      if (torn && !below_mark) return {Verdict::Prefix, i};
      return {Verdict::DataLoss};
    }
    // In the unwritten rest only the sector of the next header tells damage from a torn write.
    const std::size_t next = spans.empty() ? 4096 : begin_behind(spans.back().end);
    if (at >= next && at < (next / 512 + 1) * 512) return {Verdict::DataLoss};
    return {Verdict::All};
  }

  void cut_everywhere() {
    const Bytes intact = fs().contents(segment_path(1));
    const std::vector<Span> spans = spans_of(intact);
    for (std::size_t size = 0; size <= intact.size(); ++size) {
      const Bytes cut(intact.begin(), intact.begin() + static_cast<std::ptrdiff_t>(size));
      expect(after_cut(spans, size), reopen_with(cut), "cut to " + std::to_string(size));
      if (HasFatalFailure()) return;
    }
  }

  void flip_everywhere() {
    const Bytes intact = fs().contents(segment_path(1));
    const std::vector<Span> spans = spans_of(intact);
    for (std::size_t at = 0; at < intact.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        Bytes flipped = intact;
        flipped[at] ^= std::byte{static_cast<unsigned char>(1 << bit)};
        expect(after_flip(intact, flipped, spans, at), reopen_with(flipped),
               "bit " + std::to_string(bit) + " of byte " + std::to_string(at));
        if (HasFatalFailure()) return;
      }
    }
  }
};

TEST_F(WalDamage, EveryCutIsTrimmedToTheRecordsBeforeIt) {
  write_small_log(false);
  cut_everywhere();
}

TEST_F(WalDamage, EveryCutOfAClosedLogIsTrimmedToTheRecordsBeforeIt) {
  write_small_log(true);
  cut_everywhere();
}

TEST_F(WalDamage, EveryFlippedBitIsRefusedOrHarmless) {
  write_small_log(false);
  flip_everywhere();
}

TEST_F(WalDamage, EveryFlippedBitOfAClosedLogIsRefusedOrHarmless) {
  write_small_log(true);
  flip_everywhere();
}

TEST_F(WalDamage, EveryFlippedBitOfAnOlderSegmentIsRefusedOrHarmless) {
  must_open();
  while (!fs().holds(segment_path(3))) append(random_text(900));
  crash();
  const Bytes intact = fs().contents(segment_path(1));
  const std::size_t end = spans_of(intact).back().end;
  for (std::size_t at = 0; at < intact.size(); at += 1 + below(3)) {
    Bytes flipped = intact;
    flipped[at] ^= std::byte{static_cast<unsigned char>(1 << below(8))};
    bool within = at < 64;
    for (const Span& span : spans_of(intact)) within |= at >= span.begin && at < span.end;
    expect({within ? Verdict::DataLoss : Verdict::All}, reopen_with(flipped), "byte " + std::to_string(at));
    if (HasFatalFailure()) return;
  }
  for (std::size_t size = 0; size < intact.size(); size += 1 + below(20)) {
    const Bytes cut(intact.begin(), intact.begin() + static_cast<std::ptrdiff_t>(size));
    expect({size < end ? Verdict::DataLoss : Verdict::All}, reopen_with(cut), "cut to " + std::to_string(size));
    if (HasFatalFailure()) return;
  }
}

TEST_F(WalDamage, ATornGroupKeepsTheRecordsThatAreWhole) {
  for (int round = 0; round < 400; ++round) {
    fs_ = std::make_unique<FaultFileSystem>();
    appended_.clear();
    must_open();
    for (std::uint64_t i = 1 + below(3); i > 0; --i) append(random_text(600));
    const Bytes before = fs().contents(segment_path(1));
    const std::size_t safe = appended_.size();
    for (std::uint64_t i = 1 + below(4); i > 0; --i) append(random_text(500), Durability::Memory);
    crash();
    const Bytes after = fs().contents(segment_path(1));

    Bytes torn = after;
    for (std::size_t sector = 8; sector * 512 < torn.size(); ++sector)
      if (one_in(3))
        std::copy_n(before.begin() + static_cast<std::ptrdiff_t>(sector * 512), 512,
                    torn.begin() + static_cast<std::ptrdiff_t>(sector * 512));
    std::size_t whole = 0;
    for (const Span& span : spans_of(after)) {
      if (!std::equal(after.begin() + static_cast<std::ptrdiff_t>(span.begin),
                      after.begin() + static_cast<std::ptrdiff_t>(span.end),
                      torn.begin() + static_cast<std::ptrdiff_t>(span.begin)))
        break;
      ++whole;
    }
    ASSERT_GE(whole, safe);
    expect({Verdict::Prefix, whole}, reopen_with(torn), "round " + std::to_string(round));
    if (HasFatalFailure()) return;
  }
}

TEST_F(WalDamage, WhatLooksTornBelowAVisibleMarkIsRefused) {
  must_open();
  append(std::string(2000, 'a'));
  append("b");
  crash();
  Bytes file = fs().contents(segment_path(1));
  std::fill_n(file.begin() + 4096 + 1024, 512, std::byte{0});
  const Opened opened = reopen_with(file);
  EXPECT_EQ(opened.status.code(), Code::DataLoss);
  EXPECT_NE(opened.status.message().find("record 1 at byte 4096"), std::string::npos) << opened.status.to_string();
  EXPECT_NE(opened.status.message().find("1 whole records"), std::string::npos) << opened.status.to_string();

  std::fill_n(file.begin() + 4096, 2048, std::byte{0});  // not even a header
  EXPECT_EQ(reopen_with(file).status.code(), Code::DataLoss);
}

TEST_F(WalDamage, TrimmingSaysHowMuch) {
  must_open();
  append("kept");
  append(std::string(2000, 'x'), Durability::Memory);
  append("y", Durability::Memory);
  crash();
  Bytes file = fs().contents(segment_path(1));
  std::fill_n(file.begin() + 4096 + 512, 512, std::byte{0});
  const Opened opened = reopen_with(file);
  ASSERT_TRUE(opened.status.ok()) << opened.status.to_string();
  EXPECT_EQ(opened.replayed, (Entries{{1, "kept"}}));
  EXPECT_EQ(opened.recovery.trimmed_records, 2u);
  const std::vector<Span> spans = spans_of(fs().contents(segment_path(1)));
  EXPECT_EQ(opened.recovery.trimmed_bytes, spans[2].end - spans[0].end - 1) << "the last byte of an end is zero";
}

TEST_F(WalDamage, AMissingSegmentIsDataLoss) {
  must_open();
  while (!fs().holds(segment_path(4))) append(std::string(700, 'x'));
  crash();
  for (const std::uint64_t number : {1, 2, 3}) {
    const Bytes kept = fs().contents(segment_path(number));
    fs().erase(segment_path(number));
    EXPECT_EQ(open().code(), Code::DataLoss) << number;
    fs().set_contents(segment_path(number), kept);
  }
  EXPECT_TRUE(open().ok());
}

// An empty segment proves by being there that everything below its first LSN was synced.
TEST_F(WalDamage, ARecordMissingBeforeAnEmptySegmentIsDataLoss) {
  must_open();
  append("a");
  append("b");
  crash();
  Bytes first = fs().contents(segment_path(1));
  fs().set_contents(segment_path(2),
                    wal::encode_segment_header(
                        {.database = test_database(), .number = 2, .first_lsn = Lsn{3}, .segment_bytes = 8 * kKiB}));
  ASSERT_TRUE(open_log(*fs().after_kill(), options_).status.ok());
  const Span last = spans_of(first).back();
  std::fill(first.begin() + static_cast<std::ptrdiff_t>(last.begin), first.end(), std::byte{0});
  fs().set_contents(segment_path(1), first);
  EXPECT_EQ(open().code(), Code::DataLoss);
}

TEST_F(WalDamage, RecordsThatChangedPlacesAreRefused) {
  must_open();
  for (const char* text : {"aaaa", "bbbb", "cccc"}) append(text);
  crash();
  Bytes file = fs().contents(segment_path(1));
  const std::vector<Span> spans = spans_of(file);
  std::swap_ranges(file.begin() + static_cast<std::ptrdiff_t>(spans[1].begin),
                   file.begin() + static_cast<std::ptrdiff_t>(spans[1].end),
                   file.begin() + static_cast<std::ptrdiff_t>(spans[2].begin));
  EXPECT_EQ(reopen_with(file).status.code(), Code::DataLoss);
}

TEST_F(WalDamage, ALogThatEndsBelowWhatIsAppliedIsDataLoss) {
  must_open();
  for (int i = 0; i < 5; ++i) append("x");
  crash();
  EXPECT_TRUE(open(Lsn{5}).ok());
  EXPECT_EQ(open(Lsn{6}).code(), Code::DataLoss);
  fs().erase(segment_path(1));
  EXPECT_EQ(open(Lsn{5}).code(), Code::DataLoss) << "an empty directory";
}

TEST_F(WalDamage, SegmentsOfOthersAreRefused) {
  must_open();
  append("x");
  crash();
  DatabaseId other = test_database();
  other.bytes[3] ^= 1;
  EXPECT_EQ(open_log(fs(), options_, {}, other).status.code(), Code::Mismatch);

  const Bytes intact = fs().contents(segment_path(1));
  const auto with_header = [&](const wal::SegmentHeader& header) {
    Bytes file = wal::encode_segment_header(header);
    file.insert(file.end(), intact.begin() + 4096, intact.end());
    return reopen_with(file).status.code();
  };
  wal::SegmentHeader header = *wal::decode_segment_header(intact);
  EXPECT_EQ(with_header(header), Code::Ok);
  header.version = 2;
  EXPECT_EQ(with_header(header), Code::VersionMismatch);
  header.version = 1;
  header.features = 4;
  EXPECT_EQ(with_header(header), Code::VersionMismatch);
  header.features = 0;
  header.number = 2;
  EXPECT_EQ(with_header(header), Code::DataLoss) << "a segment under another's name";
}

TEST_F(WalDamage, AFileThatNeverBecameASegmentIsHarmless) {
  must_open();
  append("x");
  crash();
  fs().set_contents("log/0000000000000007.spare", Bytes(100));
  fs().set_contents("log/notes.txt", Bytes(3));
  must_open();
  EXPECT_EQ(replayed_, appended_);
  EXPECT_FALSE(fs().holds("log/0000000000000007.spare"));
  EXPECT_TRUE(fs().holds("log/notes.txt"));
}

/// A log of several segments with a byte of record `lsn` changed.
class WalOverride : public WalDamage {
 protected:
  void damage_record(std::uint64_t lsn) {
    must_open();
    for (int i = 0; i < 60; ++i) append(std::to_string(i) + std::string(500, 'x'));
    crash();
    for (std::uint64_t number = 1; fs().holds(segment_path(number)); ++number) {
      Bytes file = fs().contents(segment_path(number));
      for (const Span& span : spans_of(file)) {
        if (span.lsn != lsn) continue;
        file[span.begin + 100] ^= std::byte{1};
        fs().set_contents(segment_path(number), file);
        return;
      }
    }
    FAIL() << "no record " << lsn;
  }
};

TEST_F(WalOverride, ReadOnlyStopsBeforeDamageAndChangesNothing) {
  damage_record(30);
  std::vector<Bytes> before;
  for (const Path& path : fs().files()) before.push_back(fs().contents(path));

  options_.read_only = true;
  must_open();
  EXPECT_EQ(replayed_, Entries(appended_.begin(), appended_.begin() + 29));
  EXPECT_EQ(recovery_.damage.code(), Code::DataLoss);
  EXPECT_EQ(recovery_.last.value, 29u);
  EXPECT_EQ(append_text(wal(), "x").status().code(), Code::FailedPrecondition);
  EXPECT_EQ(read_after(Lsn{20}), Entries(appended_.begin() + 20, appended_.begin() + 29));
  close();

  std::vector<Bytes> after;
  for (const Path& path : fs().files()) after.push_back(fs().contents(path));
  EXPECT_EQ(before, after);
}

TEST_F(WalOverride, ReadOnlyNeedsALog) {
  options_.read_only = true;
  EXPECT_EQ(open().code(), Code::NotFound);
}

TEST_F(WalOverride, AcceptingLossKeepsWhatLiesBehindAndGoesOn) {
  damage_record(30);
  std::size_t segments = count_names(".wal");
  EXPECT_EQ(open().code(), Code::DataLoss);

  options_.accept_data_loss = true;
  must_open();
  appended_.resize(29);
  EXPECT_EQ(replayed_, appended_);
  EXPECT_EQ(recovery_.damage.code(), Code::DataLoss);
  append("after the loss");
  crash();
  const auto lost = fs().list("log/lost");
  ASSERT_TRUE(lost.ok());
  EXPECT_EQ(lost->size() + count_names(".wal"), segments + 1) << "the damaged segment is kept and copied";

  options_.accept_data_loss = false;
  must_open();
  EXPECT_EQ(replayed_, appended_);
}

TEST_F(WalOverride, WhatWasGivenUpSurvivesAPowerCut) {
  damage_record(30);
  std::multiset<std::string> damaged;
  bool behind = false;
  for (const Path& path : fs().files()) {
    for (const Span& span : spans_of(fs().contents(path))) behind |= span.lsn == 30;
    if (behind) damaged.emplace(as_text(fs().contents(path)));
  }
  options_.accept_data_loss = true;
  must_open();
  for (int i = 0; i < 20; ++i) {
    const auto image = fs().after_power_loss(random());
    std::multiset<std::string> lost;
    for (const Path& path : image->files())
      if (path.parent_path().filename() == "lost") lost.emplace(as_text(image->contents(path)));
    ASSERT_EQ(lost, damaged);
  }
}

TEST_F(WalOverride, AcceptingLossBelowWhatIsAppliedGoesOnAboveIt) {
  damage_record(30);
  options_.accept_data_loss = true;
  must_open(Lsn{50});
  EXPECT_EQ(wal().last().value, 50u);
  const auto lsn = append_text(wal(), "new");
  ASSERT_TRUE(lsn.ok());
  EXPECT_EQ(lsn->value, 51u) << "an LSN at or below what is applied would never be replayed";
  crash();
  options_.accept_data_loss = false;
  must_open(Lsn{50});
  EXPECT_EQ(replayed_, (Entries{{51, "new"}}));
}

TEST_F(WalOverride, AcceptingLossTakesADamagedHeaderAndAGap) {
  damage_record(60);
  Bytes file = fs().contents(segment_path(2));
  file[40] ^= std::byte{1};
  fs().set_contents(segment_path(2), file);
  EXPECT_EQ(open().code(), Code::DataLoss);
  options_.accept_data_loss = true;
  must_open();
  EXPECT_TRUE(is_prefix(replayed_, appended_));
  EXPECT_FALSE(replayed_.empty());
  EXPECT_FALSE(fs().holds(segment_path(2)));
  appended_ = replayed_;
  append("new");
  crash();
  options_.accept_data_loss = false;
  must_open();
  EXPECT_EQ(replayed_, appended_);
}

}  // namespace
}  // namespace mneme::storage
