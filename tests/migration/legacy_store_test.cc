// The legacy store: what it takes, what it refuses, what it keeps.
#include "mneme/migration/legacy_store.h"

#include <sys/stat.h>

#include <set>
#include <thread>

#include "legacy_fixture.h"
#include "mneme/base/limits.h"
#include "random_memory.h"

namespace mneme::migration {
namespace {

using testing::Ids;
using testing::memory_of;

class LegacyStoreTest : public testing::LegacyTest {};

TEST_F(LegacyStoreTest, KeepsWhatWasPutAcrossAReopen) {
  open();
  std::map<std::string, Memory> expected;
  for (int i = 0; i < 300; ++i) {
    Memory memory = testing::valid_memory(random(), 7);
    MNEME_ASSERT_OK(put(memory));
    expected[memory.id] = std::move(memory);
  }
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(store().stats().memories, expected.size());
    EXPECT_EQ(ids().size(), expected.size());
    for (const auto& [id, memory] : expected) {
      const auto found = store().get(id);
      ASSERT_TRUE(found) << found.status().to_string();
      EXPECT_EQ(*found, memory);
    }
    reopen();
  }
}

TEST_F(LegacyStoreTest, CountsExactlyWhateverIsReplacedOrErased) {
  open();
  std::set<std::string> expected;
  for (int i = 0; i < 400; ++i) {
    const std::string id = "m" + std::to_string(below(60));
    if (one_in(3)) {
      MNEME_ASSERT_OK(store().erase(id));
      expected.erase(id);
    } else {
      MNEME_ASSERT_OK(put(memory_of(id)));
      expected.insert(id);
    }
    if (one_in(100)) reopen();
    ASSERT_EQ(store().stats().memories, expected.size());
  }
  EXPECT_EQ(ids(), Ids(expected.begin(), expected.end()));
}

TEST_F(LegacyStoreTest, SaysNotFoundForWhatIsNotThere) {
  open();
  EXPECT_EQ(store().get("nobody").status().code(), Code::NotFound);
  MNEME_ASSERT_OK(store().erase("nobody"));
  MNEME_ASSERT_OK(put(std::vector<Memory>{}));
  EXPECT_EQ(store().stats().memories, 0U);
}

TEST_F(LegacyStoreTest, WritesNothingOfABatchWithOneBadMemoryAndNamesIt) {
  open();
  Memory bad = memory_of("bad");
  bad.activation = 7.0;
  const Status refused = put({memory_of("good"), bad});
  EXPECT_EQ(refused.code(), Code::InvalidArgument);
  EXPECT_NE(refused.message().find("\"bad\": activation"), std::string::npos) << refused.message();
  EXPECT_EQ(store().stats().memories, 0U);
  EXPECT_EQ(put({memory_of("twin"), memory_of("twin")}).code(), Code::InvalidArgument);
  EXPECT_EQ(put(memory_of("")).code(), Code::InvalidArgument);
  EXPECT_EQ(put(std::vector<Memory>(limits::kBatchOperationsMax + 1, memory_of("m"))).code(), Code::InvalidArgument);
  EXPECT_EQ(ids(), Ids());
}

TEST_F(LegacyStoreTest, HoldsEmbeddingsOfOneDimension) {
  open();
  EXPECT_EQ(store().stats().dimension, std::nullopt);
  EXPECT_EQ(put({memory_of("a", "", {{1, 2}}), memory_of("b", "", {{1, 2, 3}})}).code(), Code::InvalidArgument);
  EXPECT_EQ(store().stats().dimension, std::nullopt);  // a refused batch decides nothing
  MNEME_ASSERT_OK(put(memory_of("a", "", {{1, 2, 3}})));
  EXPECT_EQ(store().stats().dimension, 3U);
  const Status refused = put(memory_of("b", "", {{1, 2}}));
  EXPECT_EQ(refused.code(), Code::InvalidArgument);
  EXPECT_NE(refused.message().find("\"b\": embedding has 2 values, those of the store have 3"), std::string::npos)
      << refused.message();
  MNEME_ASSERT_OK(put(memory_of("c")));
  reopen();
  EXPECT_EQ(store().stats().dimension, 3U);
  EXPECT_EQ(put(memory_of("b", "", {{1, 2}})).code(), Code::InvalidArgument);
}

TEST_F(LegacyStoreTest, LetsOneOfManyFirstDimensionsWin) {
  for (int round = 0; round < 10; ++round) {
    open();
    std::vector<std::thread> writers;
    for (std::size_t i = 0; i < 4; ++i)
      writers.emplace_back([&, i] {
        const Status written = put(memory_of("m" + std::to_string(i), "", std::vector<float>(1 + i % 2, 1.0F)));
        EXPECT_TRUE(written || written.code() == Code::InvalidArgument) << written.to_string();
      });
    for (std::thread& writer : writers) writer.join();
    const auto dimension = store().stats().dimension;
    ASSERT_TRUE(dimension);
    for (const std::string& id : ids()) EXPECT_EQ(store().get(id)->embedding->size(), *dimension);
    close();
    std::filesystem::remove_all(directory());
  }
}

TEST_F(LegacyStoreTest, TakesWritesOfManyThreadsAtOnce) {
  open();
  constexpr int kThreads = 4, kWrites = 60;
  std::vector<std::thread> writers;
  for (int thread = 0; thread < kThreads; ++thread)
    writers.emplace_back([&, thread] {
      for (int i = 0; i < kWrites; ++i) {
        const std::string id = std::to_string(thread) + "-" + std::to_string(i);
        ASSERT_TRUE(put({memory_of(id), memory_of(id + "x")}));
        ASSERT_TRUE(store().get(id));  // visible on return
        ASSERT_TRUE(store().erase(id + "x"));
      }
    });
  std::uint64_t seen = 0;
  for (int i = 0; i < 50; ++i) {
    const auto view = store().view();
    const std::size_t size = ids(view).size();
    ASSERT_EQ(size, ids(view).size());
    ASSERT_GE(store().lsn(*view).value, seen);
    seen = store().lsn(*view).value;
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(store().stats().memories, static_cast<std::uint64_t>(kThreads * kWrites));
  reopen();
  EXPECT_EQ(ids().size(), static_cast<std::size_t>(kThreads * kWrites));
}

TEST_F(LegacyStoreTest, ShowsAViewAsItWas) {
  open();
  MNEME_ASSERT_OK(put({memory_of("a"), memory_of("b")}));
  const auto view = store().view();
  EXPECT_EQ(store().lsn(*view), store().stats().last);
  MNEME_ASSERT_OK(put({memory_of("a", "new"), memory_of("c")}));
  MNEME_ASSERT_OK(store().erase("b"));
  EXPECT_EQ(ids(view), (Ids{"a", "b"}));
  EXPECT_EQ(ids(), (Ids{"a", "c"}));
  MNEME_ASSERT_OK(store().scan(view, "a", "b", [](const LegacyStore::RawRecord& record) {
    EXPECT_EQ(decode_memory(record.encoded)->content, "tea");
    return true;
  }));
}

TEST_F(LegacyStoreTest, ScansRangesInByteOrderAndStopsWhenTold) {
  open();
  MNEME_ASSERT_OK(put({memory_of("b"), memory_of("\xc3\xa9"), memory_of("a"), memory_of(std::string("a\0", 2)),
                       memory_of("B"), memory_of("c")}));
  EXPECT_EQ(ids(), (Ids{"B", "a", std::string("a\0", 2), "b", "c", "\xc3\xa9"}));
  EXPECT_EQ(ids("a", "c"), (Ids{"a", std::string("a\0", 2), "b"}));
  EXPECT_EQ(ids("b"), (Ids{"b", "c", "\xc3\xa9"}));
  EXPECT_EQ(ids("c", "a"), Ids());
  std::size_t visits = 0;
  MNEME_ASSERT_OK(store().scan(store().view(), {}, {}, [&](const LegacyStore::RawRecord&) { return ++visits < 2; }));
  EXPECT_EQ(visits, 2U);
}

TEST_F(LegacyStoreTest, SplitsIntoRangesThatCoverEverythingOnce) {
  open();
  std::vector<Memory> memories;
  for (int i = 0; i < 2000; ++i) memories.push_back(memory_of("m" + std::to_string(i), std::string(200, 'x')));
  MNEME_ASSERT_OK(put(memories));
  MNEME_ASSERT_OK(store().flush());
  auto bounds = store().split_points(8);
  ASSERT_TRUE(bounds) << bounds.status().to_string();
  EXPECT_GE(bounds->size(), 3U);
  EXPECT_LE(bounds->size(), 7U);
  EXPECT_GT(store().approximate_bytes({}, {}), 0U);
  bounds->insert(bounds->begin(), "");
  bounds->push_back("");
  Ids all;
  for (std::size_t i = 0; i + 1 < bounds->size(); ++i) {
    const Ids part = ids((*bounds)[i], (*bounds)[i + 1]);
    EXPECT_FALSE(part.empty());
    all.insert(all.end(), part.begin(), part.end());
  }
  EXPECT_EQ(all, ids());
}

TEST_F(LegacyStoreTest, KeepsItsFilesFromOthers) {
  open();
  MNEME_ASSERT_OK(put(memory_of("a")));
  const auto mode = [&](const char* name) {
    struct stat found {};
    EXPECT_EQ(::stat((directory() / name).c_str(), &found), 0) << name;
    return found.st_mode & 0777;
  };
  EXPECT_EQ(mode("."), 0700U);
  EXPECT_EQ(mode("wal"), 0700U);
  EXPECT_EQ(mode("store"), 0700U);
  EXPECT_EQ(mode("MANIFEST"), 0600U);
  EXPECT_EQ(mode("LOCK"), 0600U);
}

TEST_F(LegacyStoreTest, AnswersFailedPreconditionOnceClosed) {
  open();
  MNEME_ASSERT_OK(store().close());
  MNEME_ASSERT_OK(store().close());
  EXPECT_EQ(put(memory_of("a")).code(), Code::FailedPrecondition);
  EXPECT_EQ(store().erase("a").code(), Code::FailedPrecondition);
  EXPECT_EQ(store().get("a").status().code(), Code::FailedPrecondition);
  EXPECT_EQ(store().sync().code(), Code::FailedPrecondition);
  EXPECT_EQ(store().flush().code(), Code::FailedPrecondition);
  EXPECT_EQ(store().split_points(2).status().code(), Code::FailedPrecondition);
  EXPECT_EQ(store().stats().memories, 0U);
}

TEST_F(LegacyStoreTest, DoesNotCountOpeningAndClosingAsAChange) {
  open();
  MNEME_ASSERT_OK(put(memory_of("a")));
  const Lsn last = store().stats().last;
  for (int i = 0; i < 3; ++i) reopen();
  EXPECT_EQ(store().stats().last, last);
  EXPECT_EQ(store().lsn(*store().view()), last);
}

TEST_F(LegacyStoreTest, DropsItsLogAsItGrowsAndLosesNothing) {
  open();
  const std::string content(1'000'000, 'x');
  for (int i = 0; i < 170; ++i) {
    const Memory memory = memory_of("m" + std::to_string(i), content);
    MNEME_ASSERT_OK(store().put_unsynced({&memory, 1}));
  }
  MNEME_ASSERT_OK(store().sync());
  std::uint64_t log_bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(directory() / "wal"))
    if (file.is_regular_file()) {
      struct stat found {};
      ASSERT_EQ(::stat(file.path().c_str(), &found), 0);
      log_bytes += file.path().filename().string().find("spare") == std::string::npos
                       ? static_cast<std::uint64_t>(found.st_size)
                       : 0;
    }
  EXPECT_LT(log_bytes, 200 * kMiB);
  reopen();
  EXPECT_EQ(store().stats().memories, 170U);
  EXPECT_EQ(store().get("m0")->content, content);
  EXPECT_EQ(store().get("m169")->content, content);
}

}  // namespace
}  // namespace mneme::migration
