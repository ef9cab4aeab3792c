// The store killed at random moments of opens, applies, flushes and ingests. Whatever it was doing, a reopened store
// shows the state of one lsn, whole over all families.
#include <algorithm>
#include <array>
#include <atomic>

#include "child_process.h"
#include "store_fixture.h"

namespace mneme::storage {
namespace {

constexpr int kCycles = 60;
constexpr Family kFamilies = 4;
constexpr std::uint64_t kKeys = 50;
constexpr std::uint64_t kIngestEvery = 40;
constexpr std::size_t kIngestedKeys = 20;

enum Ingest : std::uint8_t { NotYet = 0, Started = 1, Done = 2 };

/// What the writing child has been told, in memory that outlives it.
struct Told {
  std::atomic<std::uint64_t> applied, flushed;
  std::array<std::atomic<std::uint8_t>, 1 << 16> ingest;  // by lsn / kIngestEvery
};

/// The value of one lsn and size; changes are a function of the lsn, so that a state needs no record of its own.
std::string value_at(std::uint64_t lsn, std::size_t bytes) { return std::to_string(lsn) + std::string(bytes, 'v'); }

template <class Visit>
void changes_of(std::uint64_t lsn, Visit&& visit) {
  std::mt19937_64 random(lsn);
  for (int i = 0; i < 6; ++i) {
    const std::string key = "k" + std::to_string(random() % kKeys);
    const std::size_t bytes = random() % 3000;
    visit(key, bytes % 7 == 0 ? std::nullopt : std::optional(bytes));
  }
}

/// Keys of every family at an lsn.
KeyValues state_at(std::uint64_t lsn) {
  std::map<std::string, std::pair<std::uint64_t, std::size_t>> last;
  for (std::uint64_t at = 1; at <= lsn; ++at)
    changes_of(at, [&](const std::string& key, std::optional<std::size_t> bytes) {
      if (bytes)
        last[key] = {at, *bytes};
      else
        last.erase(key);
    });
  KeyValues state;
  for (const auto& [key, value] : last) state[key] = value_at(value.first, value.second);
  return state;
}

std::string ingest_prefix(std::uint64_t lsn) { return "~" + std::to_string(lsn) + "/"; }

std::unique_ptr<OrderedStore> open_in_child(const Path& directory) {
  auto opened = OrderedStore::open(directory, four_families(256 * kKiB));
  check_in_child(opened.status(), "open");
  return std::move(*opened);
}

class OrderedStoreCrash : public testing::Test {
 protected:
  void apply(OrderedStore& store, std::uint64_t lsn) {
    WriteSet set;
    changes_of(lsn, [&](const std::string& key, std::optional<std::size_t> bytes) {
      for (Family family = 0; family < kFamilies; ++family) {
        if (bytes)
          set.put(family, key, as_bytes(value_at(lsn, *bytes)));
        else
          set.erase(family, key);
      }
    });
    check_in_child(store.apply(set, {lsn}), "apply");
    told->applied = lsn;
  }

  void ingest(OrderedStore& store, std::uint64_t lsn) {
    std::vector<IngestFile> files;
    for (Family family = 1; family < kFamilies; ++family) {
      const Path path =
          root.path() / (std::to_string(::getpid()) + "-" + std::to_string(lsn) + "-" + std::to_string(family));
      auto writer = store.new_sorted_file(family, path);
      check_in_child(writer.status(), "new sorted file");
      for (std::size_t i = 0; i < kIngestedKeys; ++i)
        check_in_child((*writer)->put(ingest_prefix(lsn) + std::to_string(100 + i), as_bytes("file")), "put");
      check_in_child((*writer)->finish().status(), "finish");
      files.push_back({family, path});
    }
    told->ingest[lsn / kIngestEvery] = Started;
    check_in_child(store.ingest(files), "ingest");
    told->ingest[lsn / kIngestEvery] = Done;
    told->flushed = lsn;
  }

  void write_for_ever(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    const auto store = open_in_child(directory());
    for (std::uint64_t lsn = store->applied_lsn().value + 1;; ++lsn) {
      apply(*store, lsn);
      if (random() % 25 == 0) {
        check_in_child(store->flush(), "flush");
        told->flushed = lsn;
      }
      // Its flush makes the lsn durable, so that no later life comes here with the same one and keys that are there.
      if (lsn % kIngestEvery == 0) ingest(*store, lsn);
    }
  }

  void verify() {
    const auto store = open_in_child(directory());
    const std::uint64_t lsn = store->applied_lsn().value;
    check_in_child(lsn >= told->flushed,
                   "lsn " + std::to_string(lsn) + " shows less than was flushed, " + std::to_string(told->flushed));
    check_in_child(lsn <= told->applied + 1, "an lsn that was never applied");
    const KeyValues expected = state_at(lsn);
    for (Family family = 0; family < kFamilies; ++family) {
      const auto found = read_all(*store, family, "", "~");
      check_in_child(found.status(), "scan");
      check_in_child(*found == expected,
                     "family " + std::to_string(family) + " is not in the state of lsn " + std::to_string(lsn));
    }
    for (std::uint64_t at = kIngestEvery; at <= told->applied + 1; at += kIngestEvery) verify_ingest(*store, at);
    check_in_child(store->verify_checksums(), "verify");
  }

  void verify_ingest(const OrderedStore& store, std::uint64_t lsn) {
    const std::string what = "ingest at lsn " + std::to_string(lsn);
    const std::string prefix = ingest_prefix(lsn);
    std::array<std::size_t, kFamilies> counts{};
    for (Family family = 1; family < kFamilies; ++family)
      counts[family] = read_all(store, family, prefix, prefix + "~")->size();
    check_in_child(counts[1] == counts[2] && counts[2] == counts[3], what + " is there in part of its families");
    check_in_child(counts[1] == 0 || counts[1] == kIngestedKeys, what + " is there in part");
    const std::uint8_t state = told->ingest[lsn / kIngestEvery];
    check_in_child(counts[1] > 0 || state != Done, what + " is gone");
    check_in_child(counts[1] == 0 || state != NotYet, what + " was never asked for");
  }

  Path directory() const { return root.path() / "store"; }

  TemporaryDirectory root{quick_directory()};
  SharedMemory<Told> told;
};

TEST_F(OrderedStoreCrash, ShowsTheWholeStateOfOneLsnAfterEveryKill) {
  std::mt19937_64 random(test_seed());
  const auto ingested = [&] { return std::count(std::begin(told->ingest), std::end(told->ingest), Done); };
  const auto enough = [&] { return told->flushed > 100 && ingested() > 3; };
  // A slow machine hardly comes to write in so little time: lives go on, and longer ones, until something was at stake.
  int cycle = 0;
  for (; (cycle < kCycles || (!enough() && cycle < 10 * kCycles)) && !HasFatalFailure(); ++cycle) {
    SCOPED_TRACE("cycle " + std::to_string(cycle));
    const std::chrono::microseconds delay(1'000 + random() % 100'000 * (1 + cycle / kCycles));
    run_until_killed(delay, [&, seed = random()] { write_for_ever(seed); });
    expect_success_in_child([&] { verify(); });
  }
  std::cout << cycle << " kills, " << told->applied << " lsns applied, " << told->flushed << " flushed, " << ingested()
            << " ingests\n";
  EXPECT_GT(told->flushed, 100u);
  EXPECT_GT(ingested(), 3);
}

}  // namespace
}  // namespace mneme::storage
