// Moves between Warm and Cold, killed at random moments: every node is in one tier, whole, where its place says.
#include "child_process.h"
#include "mneme/storage/tier_store.h"
#include "node_samples.h"
#include "store_fixture.h"

namespace mneme::storage {
namespace {

constexpr SpaceId kSpace{3};
constexpr std::uint64_t kNodes = 40;
constexpr int kCycles = 30;

Node node_at(std::uint64_t n) {
  Node node = sample_node(n);
  node.content = std::string(n * 100, 'c');
  for (std::uint16_t generation = 0; generation < n % 3; ++generation)
    node.vectors.push_back({{generation}, sample_vector(n, 64)});
  return node;
}

std::unique_ptr<OrderedStore> open_in_child(const Path& directory) {
  OrderedStoreOptions options;
  options.families = database_families();
  auto opened = OrderedStore::open(directory, options);
  check_in_child(opened.status(), "open");
  return std::move(*opened);
}

void apply(OrderedStore& store, WriteSet& set) {
  check_in_child(store.apply(set, {store.applied_lsn().value + 1}), "apply");
}

void fill(const Path& directory) {
  const auto store = open_in_child(directory);
  WriteSet set;
  for (std::uint64_t n = 0; n < kNodes; ++n) {
    TierStore(*store, TierId::Warm).put(set, kSpace, {n}, *NodeRecord::from_node(node_at(n)));
    TierMap::put(set, kSpace, sample_id(n), {{n}, TierId::Warm, NodeKind::Episode});
  }
  apply(*store, set);
  check_in_child(store->flush(), "flush");
}

/// Until it is killed, `delay` after it began or, in odd cycles, after the store was open: where opening is slow, as
/// under a sanitizer, all kills would hit that.
void move_for_ever(const Path& directory, std::uint64_t seed, int cycle, std::chrono::microseconds delay) {
  if (cycle % 2 == 0) kill_this_process_after(delay);
  std::mt19937_64 random(seed);
  const auto store = open_in_child(directory);
  if (cycle % 2 != 0) kill_this_process_after(delay);
  for (;;) {
    WriteSet set;
    const TierId to = random() % 2 ? TierId::Cold : TierId::Warm;
    check_in_child(stage_move(set, *store, kSpace, sample_id(random() % kNodes), to), "stage move");
    apply(*store, set);
    if (random() % 4 == 0) check_in_child(store->flush(), "flush");
  }
}

/// Returns how many nodes are cold.
std::uint64_t verify(const Path& directory) {
  const auto store = open_in_child(directory);
  std::uint64_t cold = 0;
  for (std::uint64_t n = 0; n < kNodes; ++n) {
    const auto place = TierMap(*store).find(kSpace, sample_id(n));
    check_in_child(place.ok() && place->has_value() && (*place)->row == RowId{n}, "the place of a node");
    cold += (*place)->tier == TierId::Cold;
  }
  std::uint64_t seen = 0;
  for (const TierId tier : {TierId::Warm, TierId::Cold})
    check_in_child(TierStore(*store, tier)
                       .scan(kSpace, {0}, {},
                             [&](RowId row, const NodeRecordPtr& record) {
                               const auto place = TierMap(*store).find(kSpace, record->id());
                               check_in_child((*place)->tier == tier, "a node is not where its place says");
                               check_in_child(*record->decode() == node_at(row.value), "a node has changed");
                               ++seen;
                               return true;
                             }),
                   "scan");
  check_in_child(seen == kNodes, std::to_string(seen) + " nodes in both tiers");
  std::uint64_t vectors = 0, expected = 0;
  for (const Family family : {kWarmVector, kColdVector}) vectors += read_all(*store, family)->size();
  for (std::uint64_t n = 0; n < kNodes; ++n) expected += n % 3;
  check_in_child(vectors == expected, "vectors were left behind");
  return cold;
}

TEST(MoveCrash, LeavesEveryNodeWholeInOneTierAfterEveryKill) {
  std::mt19937_64 random(test_seed());
  const TemporaryDirectory root(quick_directory());
  const SharedMemory<std::uint64_t> cold;
  std::uint64_t cold_seen = 0;
  expect_success_in_child([&] { fill(root.path()); });
  for (int cycle = 0; cycle < kCycles && !testing::Test::HasFatalFailure(); ++cycle) {
    const std::chrono::microseconds delay(5'000 + random() % 80'000);
    run_until_killed([&, seed = random()] { move_for_ever(root.path(), seed, cycle, delay); });
    expect_success_in_child([&] { *cold = verify(root.path()); });
    cold_seen += *cold;
  }
  EXPECT_GT(cold_seen, 0u) << "nothing ever moved";
}

}  // namespace
}  // namespace mneme::storage
