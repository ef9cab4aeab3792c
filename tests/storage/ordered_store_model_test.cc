// The ordered store against a std::map: random sets, snapshots, flushes, compactions, ingests and reopens.
#include <deque>

#include "store_fixture.h"

namespace mneme::storage {
namespace {

constexpr Family kFamilies = 4;

struct Change {
  enum Kind { Put, Erase, EraseRange } kind = Put;
  Family family = 0;
  std::string key, value;  // value is the end of a range
};
using Changes = std::vector<Change>;

/// What the store should hold.
struct Model {
  std::array<KeyValues, kFamilies> families;

  void take(const Changes& changes) {
    for (const Change& change : changes) {
      KeyValues& family = families[change.family];
      if (change.kind == Change::Put) family[change.key] = change.value;
      if (change.kind == Change::Erase) family.erase(change.key);
      if (change.kind == Change::EraseRange && change.key < change.value)
        family.erase(family.lower_bound(change.key), family.lower_bound(change.value));
    }
  }
};

class OrderedStoreModel : public StoreTest {
 protected:
  void SetUp() override {
    random.seed(test_seed());
    options = four_families(128 * kKiB);  // small, so that memtables fill and flush by themselves
    open();
  }

  std::size_t below(std::size_t bound) { return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random); }

  std::string any_key() {
    const std::string prefix(below(3), 'p');
    return prefix + std::string(1, static_cast<char>(below(256))) + std::to_string(below(60));
  }

  std::string any_value() {
    static constexpr std::size_t kSizes[] = {0, 3, 100, 1500, 9000};
    std::string value(kSizes[below(5)], static_cast<char>('a' + below(26)));
    for (std::size_t i = 0; i < value.size(); i += 1 + below(16)) value[i] = static_cast<char>(below(256));
    return value;
  }

  Changes any_changes() {
    Changes changes(1 + below(20));
    for (Change& change : changes) {
      const std::size_t dice = below(20);
      change.kind = dice == 0 ? Change::EraseRange : dice < 5 ? Change::Erase : Change::Put;
      change.family = static_cast<Family>(below(kFamilies));
      change.key = any_key();
      if (change.kind == Change::Put) change.value = any_value();
      if (change.kind == Change::EraseRange) change.value = any_key();
    }
    return changes;
  }

  void apply_changes() {
    const Changes changes = any_changes();
    WriteSet set;
    for (const Change& change : changes) {
      if (change.kind == Change::Put) set.put(change.family, change.key, as_bytes(change.value));
      if (change.kind == Change::Erase) set.erase(change.family, change.key);
      if (change.kind == Change::EraseRange) set.erase_range(change.family, change.key, change.value);
    }
    lsn += 1 + below(3);
    ASSERT_OK(store->apply(set, {lsn}));
    since_base.emplace_back(lsn, changes);
    model.take(changes);
  }

  /// Files over keys that nobody else uses. Durable at once, with all that was applied before.
  void ingest_files() {
    std::vector<IngestFile> files;
    Changes changes;
    const std::string prefix = "~" + std::to_string(++ingests) + "/";
    for (Family family = 0; family < kFamilies; ++family) {
      if (below(4) == 0) continue;
      KeyValues content;
      for (std::size_t i = 0, n = 1 + below(50); i < n; ++i) content[prefix + any_key()] = any_value();
      files.push_back({family, file(std::to_string(ingests) + "-" + std::to_string(family))});
      write_file(family, files.back().path, content);
      for (const auto& [key, value] : content) changes.push_back({Change::Put, family, key, value});
    }
    ASSERT_OK(store->ingest(files));
    since_base.emplace_back(lsn, changes);
    model.take(changes);
    if (!files.empty()) {
      ASSERT_EQ(store->flushed_lsn(), Lsn{lsn});
    }
  }

  void compare() {
    for (Family family = 0; family < kFamilies; ++family) ASSERT_EQ(all(family), model.families[family]) << int{family};
    ASSERT_EQ(store->applied_lsn(), Lsn{lsn});
  }

  void compare_some() {
    for (int i = 0; i < 5; ++i) {
      const auto family = static_cast<Family>(below(kFamilies));
      const std::string key = any_key(), end = any_key();
      const KeyValues& expected = model.families[family];
      const auto found = expected.find(key);
      ASSERT_EQ(get(family, key), found == expected.end() ? std::nullopt : std::optional(found->second));
      if (found != expected.end()) {
        ASSERT_TRUE(store->may_exist(family, key));
      }
      if (key < end) {
        ASSERT_EQ(*read_all(*store, family, key, end), KeyValues(expected.lower_bound(key), expected.lower_bound(end)));
      }
    }
  }

  void take_snapshot() {
    if (snapshots.size() > 5) snapshots.pop_front();
    snapshots.emplace_back(store->snapshot(), model);
    ASSERT_EQ(snapshots.back().first->lsn(), Lsn{lsn});
  }

  void compare_snapshots() {
    for (const auto& [snapshot, expected] : snapshots)
      for (Family family = 0; family < kFamilies; ++family)
        ASSERT_EQ(*read_all(*store, family, "", "", {.snapshot = snapshot}), expected.families[family]);
  }

  /// The state after a reopen without a flush is the state at flushed_lsn, whole.
  void lose_what_is_not_flushed() {
    const Lsn flushed = store->flushed_lsn();
    snapshots.clear();
    reopen();
    ASSERT_GE(store->applied_lsn(), flushed);  // a flush of its own may have ended in between
    ASSERT_LE(store->applied_lsn(), Lsn{lsn});
    lsn = store->applied_lsn().value;
    for (const auto& [at, changes] : since_base)
      if (at <= lsn) base.take(changes);
    since_base.clear();
    model = base;
    compare();
  }

  std::mt19937_64 random;
  Model model, base;  // base and since_base make model
  std::vector<std::pair<std::uint64_t, Changes>> since_base;
  std::deque<std::pair<StoreSnapshotPtr, Model>> snapshots;
  std::uint64_t lsn = 0;
  int ingests = 0;
};

TEST_F(OrderedStoreModel, HoldsWhatAMapHoldsAndReopensToAPrefixOfIt) {
  for (int step = 0; step < 3000 && !HasFatalFailure(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const std::size_t dice = below(1000);
    if (dice < 700)
      apply_changes();
    else if (dice < 850)
      compare_some();
    else if (dice < 900)
      take_snapshot();
    else if (dice < 920)
      compare_snapshots();
    else if (dice < 940)
      ASSERT_OK(store->flush());
    else if (dice < 960)
      ingest_files();
    else if (dice < 970)
      ASSERT_OK(store->compact(static_cast<Family>(below(kFamilies)), "", ""));
    else if (dice < 990)
      compare();
    else
      lose_what_is_not_flushed();
  }
  ASSERT_OK(store->flush());
  ASSERT_OK(store->verify_checksums());
  lose_what_is_not_flushed();
  EXPECT_EQ(store->applied_lsn(), Lsn{lsn});
}

}  // namespace
}  // namespace mneme::storage
