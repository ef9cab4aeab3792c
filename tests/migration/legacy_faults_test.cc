// The legacy store under faults: kills, second openers, damage, full disks, half-made stores.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <thread>

#include "fault_file_system.h"
#include "legacy_fixture.h"
#include "legacy_store_impl.h"
#include "mneme/storage/control_record.h"

namespace mneme::migration {
namespace {

using testing::Ids;
using testing::memory_of;

constexpr int kBatch = 5;
constexpr std::size_t kSegmentHeaderBytes = 4096;

std::string id_of(int writer, int batch, int i) {
  return std::to_string(writer) + "-" + std::to_string(batch) + "-" + std::to_string(i);
}

class LegacyFaults : public testing::LegacyTest {
 protected:
  /// A process that writes batches from two threads and tells of each acknowledged one; killed after `acks` of them.
  /// Returns the number of acknowledged batches of each writer.
  std::array<int, 2> write_until_killed(std::size_t acks, int first_batch, bool unsynced) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      write_for_ever(ends[1], first_batch, unsynced);
    }
    ::close(ends[1]);
    std::array<int, 2> acknowledged{};
    char told[2];
    for (std::size_t i = 0; i < acks && ::read(ends[0], told, 1) == 1; ++i)
      ++acknowledged[static_cast<std::size_t>(told[0])];
    EXPECT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself";
    while (::read(ends[0], told, 1) == 1) ++acknowledged[static_cast<std::size_t>(told[0])];  // before it was killed
    ::close(ends[0]);
    return acknowledged;
  }

  [[noreturn]] void write_for_ever(int tell, int first_batch, bool unsynced) {
    auto opened = LegacyStore::open(directory(), creating());
    if (!opened) ::_exit(2);
    const auto write = [&](int writer) {
      for (int batch = first_batch;; ++batch) {
        std::vector<Memory> memories;
        for (int i = 0; i < kBatch; ++i) memories.push_back(memory_of(id_of(writer, batch, i), std::string(300, 'x')));
        const Status written = unsynced ? (*opened)->put_unsynced(memories) : (*opened)->put(memories);
        const char told = static_cast<char>(writer);
        if (!written || ::write(tell, &told, 1) != 1) ::_exit(3);
      }
    };
    std::thread other(write, 1);
    write(0);
    ::_exit(4);
  }

  void expect_batches_whole(int writer, int first_batch, int acknowledged) {
    for (int batch = first_batch; batch < first_batch + acknowledged; ++batch)
      for (int i = 0; i < kBatch; ++i) ASSERT_TRUE(store().get(id_of(writer, batch, i))) << id_of(writer, batch, i);
    // What was on its way is there whole, or not at all.
    const int next = first_batch + acknowledged;
    int found = 0;
    for (int i = 0; i < kBatch; ++i) found += store().get(id_of(writer, next, i)).ok() ? 1 : 0;
    ASSERT_TRUE(found == 0 || found == kBatch) << found << " of batch " << next;
    ASSERT_FALSE(store().get(id_of(writer, next + 1, 0)));
  }
};

TEST_F(LegacyFaults, LosesNoAcknowledgedBatchAndHalvesNoneWhenKilled) {
  for (int cycle = 0; cycle < 8; ++cycle) {
    const int first = cycle * 100'000;
    const auto acknowledged = write_until_killed(1 + below(40), first, cycle % 2 == 1);
    open();
    for (int writer = 0; writer < 2; ++writer)
      expect_batches_whole(writer, first, acknowledged[static_cast<std::size_t>(writer)]);
    ASSERT_EQ(ids().size(), store().stats().memories);
    close();
  }
}

TEST_F(LegacyFaults, GivesASecondOpenerBusyInThisProcessAndInAnother) {
  open();
  EXPECT_EQ(opening_fails().code(), Code::Busy);
  LegacyOptions reading;
  reading.read_only = true;
  EXPECT_EQ(opening_fails(reading).code(), Code::Busy);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto second = LegacyStore::open(directory(), creating());
    ::_exit(!second && second.status().code() == Code::Busy ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  MNEME_ASSERT_OK(put(memory_of("still mine")));
}

TEST_F(LegacyFaults, SaysNotFoundAndLeavesNothingBehindWhereThereIsNoStore) {
  LegacyOptions options;
  EXPECT_EQ(opening_fails(options).code(), Code::NotFound);
  EXPECT_FALSE(std::filesystem::exists(directory()));
  std::filesystem::create_directory(directory());
  EXPECT_EQ(opening_fails(options).code(), Code::NotFound);
  EXPECT_TRUE(std::filesystem::is_empty(directory()));
  options.create_if_missing = options.read_only = true;
  EXPECT_EQ(opening_fails(options).code(), Code::NotFound);
  EXPECT_TRUE(std::filesystem::is_empty(directory()));
}

TEST_F(LegacyFaults, MakesNoStoreAmongOtherFiles) {
  std::filesystem::create_directory(directory());
  testing::write_text(directory() / "thesis.txt", "the only copy");
  EXPECT_EQ(opening_fails().code(), Code::AlreadyExists);
  EXPECT_EQ(testing::files_of(directory()).size(), 1U);
}

TEST_F(LegacyFaults, MakesAStoreAnewWhoseMakingWasCutShort) {
  open();
  MNEME_ASSERT_OK(put(memory_of("a")));
  close();
  // As if the process had died before the last step of making it.
  std::filesystem::rename(directory() / "MANIFEST", directory() / "MANIFEST.new");
  std::filesystem::remove_all(directory() / "wal");
  LegacyOptions options;
  EXPECT_EQ(opening_fails(options).code(), Code::NotFound);
  open();
  EXPECT_EQ(store().stats().memories, 0U);
  EXPECT_FALSE(std::filesystem::exists(directory() / "MANIFEST.new"));
  MNEME_ASSERT_OK(put(memory_of("b")));
  reopen();
  EXPECT_EQ(ids(), Ids{"b"});
}

TEST_F(LegacyFaults, RefusesAStoreThatLostAPart) {
  open();
  MNEME_ASSERT_OK(put(memory_of("a")));
  close();
  for (const char* part : {"MANIFEST", "wal", "store"}) {
    std::filesystem::rename(directory() / part, in_work("aside"));
    const Status refused = opening_fails();
    EXPECT_EQ(refused.code(), std::strcmp(part, "MANIFEST") == 0 ? Code::Corruption : Code::DataLoss);
    EXPECT_NE(refused.message().find(part), std::string::npos) << refused.message();
    std::filesystem::rename(in_work("aside"), directory() / part);
  }
  open();
  EXPECT_EQ(ids(), Ids{"a"});
}

TEST_F(LegacyFaults, RefusesAManifestWithAnyBitFlipped) {
  open();
  close();
  const std::string good = testing::read_text(directory() / "MANIFEST");
  for (std::size_t bit = 0; bit < good.size() * 8; bit += 3) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    testing::write_text(directory() / "MANIFEST", bad);
    const Code code = opening_fails().code();
    ASSERT_TRUE(code == Code::Corruption || code == Code::VersionMismatch) << "bit " << bit << ": " << name_of(code);
  }
  for (const std::string& bad : {std::string(), good.substr(0, 47), good.substr(0, good.size() - 1), good + "x"}) {
    testing::write_text(directory() / "MANIFEST", bad);
    EXPECT_EQ(opening_fails().code(), Code::Corruption) << bad.size();
  }
}

TEST_F(LegacyFaults, RefusesTheManifestOfADatabaseAndTheLogOfAnotherStore) {
  open();
  close();
  const std::string good = testing::read_text(directory() / "MANIFEST");
  const auto id =
      storage::read_control<storage::LegacyManifest>(storage::posix_file_system(), directory() / "MANIFEST");
  ASSERT_TRUE(id);
  MNEME_ASSERT_OK(storage::write_control(storage::posix_file_system(), directory() / "MANIFEST", id->database,
                                         storage::DatabaseManifest()));
  EXPECT_FALSE(opening_fails().ok());
  Uuid other = id->database;
  other.bytes[0] ^= 1;
  MNEME_ASSERT_OK(storage::write_control(storage::posix_file_system(), directory() / "MANIFEST", other, id->record));
  EXPECT_FALSE(opening_fails().ok());
  testing::write_text(directory() / "MANIFEST", good);
  open();
}

/// The one segment that holds the log of a small store that was killed.
std::filesystem::path only_segment(const std::filesystem::path& log) {
  std::filesystem::path largest;
  for (const auto& file : std::filesystem::directory_iterator(log))
    if (file.is_regular_file() && file.path().string().find("spare") == std::string::npos) largest = file.path();
  return largest;
}

TEST_F(LegacyFaults, RefusesABitFlippedInItsLogOrLosesNothingByIt) {
  const auto acknowledged = write_until_killed(20, 0, false);
  const std::filesystem::path copy = in_work("copy");
  std::filesystem::copy(directory(), copy, std::filesystem::copy_options::recursive);
  const std::filesystem::path segment = only_segment(directory() / "wal");
  const std::string good = testing::read_text(segment);
  const std::size_t used = good.find_last_not_of('\0') + 1;
  std::size_t refused = 0;
  for (int i = 0; i < 60; ++i) {
    // Behind the segment's header, and not the last records: a write that nobody was told of may be trimmed.
    const std::size_t bit = kSegmentHeaderBytes * 8 + below((used * 2 / 3 - kSegmentHeaderBytes) * 8);
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    testing::write_text(segment, bad);
    auto opened = LegacyStore::open(directory(), creating());
    if (!opened) {
      ++refused;
      const Code code = opened.status().code();
      EXPECT_TRUE(code == Code::DataLoss || code == Code::Corruption || code == Code::VersionMismatch)
          << "bit " << bit << ": " << opened.status().to_string();
      testing::write_text(segment, good);
      continue;
    }
    store_ = std::move(*opened);
    for (int writer = 0; writer < 2; ++writer)
      expect_batches_whole(writer, 0, acknowledged[static_cast<std::size_t>(writer)]);
    store_.reset();
    std::filesystem::remove_all(directory());
    std::filesystem::copy(copy, directory(), std::filesystem::copy_options::recursive);
  }
  EXPECT_GT(refused, 50U);  // bytes that pad records to their alignment carry nothing
}

TEST_F(LegacyFaults, ShowsReadOnlyWhatTheLogHoldsAndChangesNothing) {
  open();
  MNEME_ASSERT_OK(put({memory_of("0-0-0", "old"), memory_of("zz"), memory_of("a")}));
  close();
  const auto acknowledged = write_until_killed(5, 0, false);
  const auto before = testing::files_of(directory());
  LegacyOptions reading;
  reading.read_only = true;
  open(reading);
  for (int writer = 0; writer < 2; ++writer)
    expect_batches_whole(writer, 0, acknowledged[static_cast<std::size_t>(writer)]);
  const Ids all = ids();
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
  EXPECT_EQ(all.size(), store().stats().memories);
  EXPECT_EQ(all.back(), "zz");
  EXPECT_EQ(ids("0-0-0", "0-0-1"), Ids{"0-0-0"});
  EXPECT_EQ(store().get("0-0-0")->content == "old", !store().get("0-0-1"));  // replaced with its batch
  EXPECT_EQ(put(memory_of("x")).code(), Code::FailedPrecondition);
  EXPECT_EQ(store().erase("x").code(), Code::FailedPrecondition);
  EXPECT_EQ(store().flush().code(), Code::FailedPrecondition);
  close();
  EXPECT_TRUE(testing::files_of(directory()) == before);
}

TEST_F(LegacyFaults, ReadsUpToTheDamageReadOnlyAndGoesOnWithoutTheRestOnlyWhenTold) {
  const auto acknowledged = write_until_killed(8, 0, false);
  const std::filesystem::path segment = only_segment(directory() / "wal");
  std::string bytes = testing::read_text(segment);
  const std::size_t used = bytes.find_last_not_of('\0') + 1;
  bytes[used / 2] = static_cast<char>(bytes[used / 2] ^ 1);
  testing::write_text(segment, bytes);
  EXPECT_EQ(opening_fails().code(), Code::DataLoss);
  LegacyOptions reading;
  reading.read_only = true;
  std::string said;
  reading.log = [&](std::string_view line) { said += line; };
  open(reading);
  const std::uint64_t left = store().stats().memories;
  EXPECT_LT(left, static_cast<std::uint64_t>((acknowledged[0] + acknowledged[1]) * kBatch));
  EXPECT_NE(said.find("DataLoss"), std::string::npos) << said;
  close();
  LegacyOptions accepting = creating();
  accepting.accept_data_loss = true;
  open(accepting);
  EXPECT_EQ(store().stats().memories, left);
  MNEME_ASSERT_OK(put(memory_of("after")));
  reopen();
  EXPECT_EQ(store().stats().memories, left + 1);
  reading.accept_data_loss = true;
  close();
  EXPECT_EQ(opening_fails(reading).code(), Code::InvalidArgument);
}

/// An ordered store whose disk is full while `full` is set.
class FullStore final : public storage::OrderedStore {
 public:
  FullStore(std::unique_ptr<storage::OrderedStore> store, const std::atomic<bool>& full)
      : store_(std::move(store)), full_(full) {}
  Status apply(storage::WriteSet& set, Lsn applied) override {
    return full_ ? no_space() : store_->apply(set, applied);
  }
  Status resume() override { return full_ ? no_space() : store_->resume(); }
  Status flush() override { return full_ ? no_space() : store_->flush(); }
  Lsn applied_lsn() const override { return store_->applied_lsn(); }
  Lsn flushed_lsn() const override { return store_->flushed_lsn(); }
  Result<std::optional<storage::PinnedValue>> get(storage::Family family, std::string_view key,
                                                  const storage::StoreSnapshotPtr& snapshot) const override {
    return store_->get(family, key, snapshot);
  }
  bool may_exist(storage::Family family, std::string_view key) const override { return store_->may_exist(family, key); }
  std::unique_ptr<storage::StoreIterator> scan(storage::Family family, std::string_view begin, std::string_view end,
                                               const storage::ScanOptions& options) const override {
    return store_->scan(family, begin, end, options);
  }
  storage::StoreSnapshotPtr snapshot() const override { return store_->snapshot(); }
  Result<std::unique_ptr<storage::SortedFileWriter>> new_sorted_file(storage::Family family,
                                                                     const storage::Path& path) override {
    return store_->new_sorted_file(family, path);
  }
  Status ingest(std::span<const storage::IngestFile> files) override { return store_->ingest(files); }
  Result<std::vector<std::string>> split_points(storage::Family family, std::string_view begin, std::string_view end,
                                                std::size_t n) const override {
    return store_->split_points(family, begin, end, n);
  }
  std::uint64_t approximate_bytes(storage::Family family, std::string_view begin, std::string_view end) const override {
    return store_->approximate_bytes(family, begin, end);
  }
  std::uint64_t bytes_on_disk() const override { return store_->bytes_on_disk(); }
  storage::StorePressure pressure() const override { return store_->pressure(); }
  Status verify_checksums() const override { return store_->verify_checksums(); }
  Status compact(storage::Family family, std::string_view begin, std::string_view end) override {
    return store_->compact(family, begin, end);
  }

 private:
  static Status no_space() { return Status(Code::NoSpace, "the disk is full"); }
  const std::unique_ptr<storage::OrderedStore> store_;
  const std::atomic<bool>& full_;
};

class LegacyOnAFullDisk : public LegacyFaults {
 protected:
  ~LegacyOnAFullDisk() override { store_.reset(); }  // before the files it writes to

  /// A store whose log lies in memory files and whose ordered store can be full.
  void open_full() {
    std::filesystem::create_directories(directory());
    storage::OrderedStoreOptions options;
    options.families = {{.name = "meta"}, {.name = "memory"}};
    auto inner = storage::OrderedStore::open(directory() / "store", options);
    ASSERT_TRUE(inner) << inner.status().to_string();
    auto state = LegacyState::over(std::make_unique<FullStore>(std::move(*inner), full_), false);
    ASSERT_TRUE(state);
    auto log = open_log(**state);
    ASSERT_TRUE(log) << log.status().to_string();
    store_ = std::make_unique<OpenLegacyStore>(directory(), LegacyOptions(), id_, nullptr, std::move(*state),
                                               std::move(*log));
  }

  Result<std::unique_ptr<storage::Wal>> open_log(LegacyState& state) {
    return storage::Wal::open(
        files_, system_clock(), "/log", id_, {}, state.store().applied_lsn(),
        [&](const storage::WalRecord& record) { return state.replay(record.lsn, record.payload); }, nullptr);
  }

  mneme::testing::FaultFileSystem files_;
  std::atomic<bool> full_{false};
  const Uuid id_ = uuid_v5({}, "test");
};

TEST_F(LegacyOnAFullDisk, RefusesWritesAndReadsOnWhenTheLogHasNoRoomAndRecoversByItself) {
  open_full();
  MNEME_ASSERT_OK(put(memory_of("before")));
  std::uint64_t used = 0;
  for (const storage::Path& file : files_.files()) used += files_.contents(file).size();
  files_.set_capacity(used);
  EXPECT_EQ(put(memory_of("during", std::string(3'000'000, 'x'))).code(), Code::NoSpace);
  EXPECT_TRUE(store().get("before"));
  EXPECT_EQ(store().get("during").status().code(), Code::NotFound);
  EXPECT_EQ(store().stats().memories, 1U);
  files_.set_capacity(used * 100);
  MNEME_ASSERT_OK(put(memory_of("after")));
  EXPECT_EQ(ids(), (Ids{"after", "before"}));
}

TEST_F(LegacyOnAFullDisk, KeepsWhatTheLogTookInOrderUntilItCanBeApplied) {
  open_full();
  MNEME_ASSERT_OK(put(memory_of("before", "", {{1, 2}})));
  full_ = true;
  const Status waits = put(memory_of("a", "first"));
  EXPECT_EQ(waits.code(), Code::NoSpace);
  EXPECT_NE(waits.message().find("is in the log"), std::string::npos) << waits.message();
  EXPECT_EQ(put(memory_of("a", "never")).code(), Code::NoSpace);  // refused before the log
  EXPECT_EQ(store().get("a").status().code(), Code::NotFound);
  EXPECT_TRUE(store().get("before"));
  EXPECT_EQ(store().flush().code(), Code::NoSpace);
  full_ = false;
  MNEME_ASSERT_OK(put(memory_of("b")));
  EXPECT_EQ(ids(), (Ids{"a", "b", "before"}));
  EXPECT_EQ(store().get("a")->content, "first");
  EXPECT_EQ(store().stats().memories, 3U);
  EXPECT_EQ(store().stats().last, store().lsn(*store().view()));
}

TEST_F(LegacyOnAFullDisk, AppliesWhatWaitedWhenItIsOpenedAgain) {
  open_full();
  full_ = true;
  EXPECT_EQ(put(memory_of("a", "", {{1, 2, 3}})).code(), Code::NoSpace);
  EXPECT_EQ(store().stats().dimension, 3U);  // it counts although it waits
  EXPECT_FALSE(store().close());             // says that it could not be flushed
  store_.reset();
  full_ = false;
  open_full();
  EXPECT_EQ(ids(), Ids{"a"});
  EXPECT_EQ(store().stats().dimension, 3U);
}

}  // namespace
}  // namespace mneme::migration
