// The tiers on disk: nodes come back bit for bit, in row order, and move between Warm and Cold.
#include "mneme/storage/tier_store.h"

#include <limits>

#include "node_samples.h"
#include "store_fixture.h"

namespace mneme::storage {
namespace {

constexpr SpaceId kSpace{7};

class Tiers : public StoreTest, public testing::WithParamInterface<TierId> {
 protected:
  void SetUp() override {
    options.families = database_families();
    open();
  }

  void apply(WriteSet& set) { ASSERT_OK(store->apply(set, {store->applied_lsn().value + 1})); }

  void put(SpaceId space, RowId row, const Node& node) {
    WriteSet set;
    TierStore(*store, tier).put(set, space, row, *NodeRecord::from_node(node));
    TierMap::put(set, space, node.id, {row, tier, node.kind});
    apply(set);
  }

  std::optional<Node> get(TierId from, SpaceId space, RowId row) {
    const auto record = TierStore(*store, from).get(space, row);
    EXPECT_TRUE(record.ok()) << record.status().to_string();
    if (!record.ok() || !*record) return std::nullopt;
    auto node = (**record)->decode();
    EXPECT_TRUE(node.ok());
    return *node;
  }

  std::map<std::uint64_t, Node> scanned(TierId from, SpaceId space, RowId first = {0}) {
    std::map<std::uint64_t, Node> nodes;
    std::uint64_t last = 0;
    EXPECT_OK(TierStore(*store, from).scan(space, first, {}, [&](RowId row, const NodeRecordPtr& record) {
      EXPECT_TRUE(nodes.empty() || row.value > last) << "rows ascend";
      last = row.value;
      nodes.emplace(row.value, *record->decode());
      return true;
    }));
    return nodes;
  }

  Status move(const Node& node, TierId to) {
    WriteSet set;
    MNEME_TRY(stage_move(set, *store, kSpace, node.id, to));
    if (set.count() == 0) return ok_status();
    return store->apply(set, {store->applied_lsn().value + 1});
  }

  TierId tier = TierId::Warm;
};

class EitherTier : public Tiers {
 protected:
  void SetUp() override {
    tier = GetParam();
    Tiers::SetUp();
  }
};
INSTANTIATE_TEST_SUITE_P(Disk, EitherTier, testing::Values(TierId::Warm, TierId::Cold),
                         [](const auto& given) { return std::string(name_of(given.param)); });

TEST_P(EitherTier, GivesNodesBackBitForBit) {
  constexpr float kDenormal = std::numeric_limits<float>::denorm_min(), kMax = std::numeric_limits<float>::max();
  Node plain = sample_node(1), two = sample_node(2), large = sample_node(3), empty;
  plain.vectors = {{{0}, {-0.0f, kDenormal, -kMax, 1.0f}}};
  two.vectors = {{{0}, sample_vector(2, 768)}, {{3}, sample_vector(22, 384)}};
  two.kind = NodeKind::Concept;
  large.content = std::string(kMiB, 'x');
  large.vectors.clear();
  empty.id = sample_id(4);
  const std::map<std::uint64_t, Node> nodes{{1, plain}, {2, two}, {300, large}, {~std::uint64_t{0} - 1, empty}};
  for (const auto& [row, node] : nodes) put(kSpace, {row}, node);

  for (int round = 0; round < 2; ++round) {
    for (const auto& [row, node] : nodes) EXPECT_EQ(get(tier, kSpace, {row}), node) << row;
    EXPECT_EQ(scanned(tier, kSpace), nodes);
    ASSERT_OK(store->flush());
    reopen();
  }
  EXPECT_EQ(get(tier, kSpace, {5}), std::nullopt);
  EXPECT_EQ(get(tier, {8}, {1}), std::nullopt);
}

TEST_P(EitherTier, ScansRowsInOrderAmongNodesWithAndWithoutVectorsOfEachGeneration) {
  std::map<std::uint64_t, Node> nodes;
  std::mt19937_64 random(test_seed());
  for (std::uint64_t row = 0; row < 400; ++row) {
    Node node = sample_node(row);
    node.vectors.clear();
    for (const std::uint16_t generation : std::array<std::uint16_t, 3>{0, 1, 5})
      if (random() % (generation == 5 ? 40 : 3) == 0)
        node.vectors.push_back({GenerationId{generation}, sample_vector(row, 8)});
    if (random() % 5 != 0) nodes[row] = node;
  }
  for (const auto& [row, node] : nodes) put(kSpace, {row}, node);
  put({6}, {9}, sample_node(1'000));
  put({8}, {0}, sample_node(1'001));
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(scanned(tier, kSpace), nodes);
    EXPECT_EQ(scanned(tier, kSpace, {200}), decltype(nodes)(nodes.lower_bound(200), nodes.end()));
    EXPECT_EQ(scanned(tier, {8}).size(), 1u);
    ASSERT_OK(store->flush());
  }
}

TEST_P(EitherTier, StopsAScanWhenTheVisitorHasEnough) {
  for (std::uint64_t row = 0; row < 10; ++row) put(kSpace, {row}, sample_node(row));
  int seen = 0;
  ASSERT_OK(TierStore(*store, tier).scan(kSpace, {0}, {}, [&](RowId, const NodeRecordPtr&) { return ++seen < 3; }));
  EXPECT_EQ(seen, 3);
  seen = 0;
  ASSERT_OK(TierStore(*store, tier).scan_bodies(kSpace, {4}, {}, [&](RowId row, ByteView body) {
    EXPECT_EQ(row.value, 4u + static_cast<std::uint64_t>(seen));
    EXPECT_FALSE(body.empty());
    ++seen;
    return true;
  }));
  EXPECT_EQ(seen, 6);
}

TEST_P(EitherTier, ErasesBodyAndEveryVector) {
  Node node = sample_node(1);
  node.vectors = {{{0}, sample_vector(1, 16)}, {{2}, sample_vector(2, 4)}};
  put(kSpace, {1}, node);
  WriteSet set;
  const std::array<VectorShape, 2> shapes{VectorShape{{0}, 16}, VectorShape{{2}, 4}};
  TierStore(*store, tier).erase(set, kSpace, {1}, shapes);
  apply(set);
  EXPECT_EQ(get(tier, kSpace, {1}), std::nullopt);
  EXPECT_TRUE(all(TierStore(*store, tier).body_family()).empty());
  EXPECT_TRUE(all(TierStore(*store, tier).vector_family()).empty());
}

TEST_P(EitherTier, CallsAMissingOrShortenedVectorCorruption) {
  Node node = sample_node(1);
  node.vectors = {{{0}, sample_vector(1, 16)}};
  put(kSpace, {1}, node);
  const TierStore nodes(*store, tier);
  WriteSet set;
  set.put(nodes.vector_family(), vector_key(kSpace, {0}, {1}), as_bytes("short"));
  apply(set);
  EXPECT_EQ(nodes.get(kSpace, {1}).status().code(), Code::Corruption);
  set.erase(nodes.vector_family(), vector_key(kSpace, {0}, {1}));
  apply(set);
  const Status got = nodes.get(kSpace, {1}).status();
  EXPECT_EQ(got.code(), Code::Corruption);
  EXPECT_NE(got.message().find("space 7 row 1: vector of generation 0: missing"), std::string::npos) << got.message();
  EXPECT_EQ(nodes.scan(kSpace, {0}, {}, [](RowId, const NodeRecordPtr&) { return true; }).code(), Code::Corruption);
}

TEST_P(EitherTier, LeavesOutVectorsOfDroppedGenerationsAndNoOthers) {
  Node node = sample_node(1);
  node.vectors = {{GenerationId{0}, {1, 2}}, {GenerationId{1}, {3}}};
  put(kSpace, {5}, node);
  DroppedGenerations dropped;
  dropped.add({8}, {1});  // of another space
  const TierStore watched(*store, tier, &dropped);
  EXPECT_EQ((**watched.get(kSpace, {5}))->vector_count(), 2U);
  WriteSet set;
  set.erase(watched.vector_family(), vector_key(kSpace, {1}, {5}));
  apply(set);
  EXPECT_EQ(watched.get(kSpace, {5}).status().code(), Code::Corruption);
  dropped.add(kSpace, {1});
  node.vectors.pop_back();
  EXPECT_EQ(*(**watched.get(kSpace, {5}))->decode(), node);
  EXPECT_OK(watched.scan(kSpace, {0}, {}, [&](RowId, const NodeRecordPtr& record) {
    EXPECT_EQ(*record->decode(), node);
    return true;
  }));

  const TierId to = tier == TierId::Warm ? TierId::Cold : TierId::Warm;
  EXPECT_EQ(stage_move(set, *store, kSpace, node.id, to).code(), Code::Corruption);
  ASSERT_OK(stage_move(set, *store, kSpace, node.id, to, &dropped));
  apply(set);
  EXPECT_EQ(get(to, kSpace, {5}), node);  // the body no longer names it
}

TEST_P(EitherTier, CallsAStrayKeyCorruption) {
  WriteSet set;
  set.put(TierStore(*store, tier).body_family(), space_prefix(kSpace) + "stray", as_bytes("?"));
  apply(set);
  EXPECT_EQ(TierStore(*store, tier).scan_bodies(kSpace, {0}, {}, [](RowId, ByteView) { return true; }).code(),
            Code::Corruption);
}

TEST_P(EitherTier, ReadsAsOfASnapshot) {
  Node node = sample_node(1);
  node.vectors = {{{0}, sample_vector(1, 16)}};
  put(kSpace, {1}, node);
  const StoreSnapshotPtr before = store->snapshot();
  Node changed = node;
  changed.vectors = {{{0}, sample_vector(9, 32)}};
  put(kSpace, {1}, changed);
  EXPECT_EQ(*(**TierStore(*store, tier).get(kSpace, {1}, before))->decode(), node);
  EXPECT_EQ(get(tier, kSpace, {1}), changed);
  EXPECT_EQ(TierMap(*store).find(kSpace, node.id, before)->has_value(), true);
}

TEST_P(EitherTier, EstimatesTheBytesOfOneSpace) {
  for (std::uint64_t row = 0; row < 3'000; ++row) {
    Node node = sample_node(row);
    node.vectors = {{{0}, sample_vector(row, 256)}};
    put(kSpace, {row}, node);
  }
  ASSERT_OK(store->flush());
  const double expected = 3'000.0 * 256 * 4;
  const auto used = static_cast<double>(TierStore(*store, tier).bytes_used(kSpace));
  EXPECT_GT(used, 0.8 * expected);
  EXPECT_LT(used, 1.8 * expected);
  EXPECT_LT(TierStore(*store, tier).bytes_used({8}), 200'000u);
}

TEST_F(Tiers, MoveBothWaysAndAskingTwiceMovesOnce) {
  Node node = sample_node(1);
  node.vectors = {{{0}, sample_vector(1, 768)}, {{1}, sample_vector(2, 8)}};
  put(kSpace, {4}, node);
  for (const auto& [from, to] : {std::pair{TierId::Warm, TierId::Cold}, std::pair{TierId::Cold, TierId::Warm}}) {
    for (int twice = 0; twice < 2; ++twice) {
      ASSERT_OK(move(node, to));
      EXPECT_EQ(get(to, kSpace, {4}), node);
      EXPECT_EQ(get(from, kSpace, {4}), std::nullopt);
      EXPECT_EQ((**TierMap(*store).find(kSpace, node.id)), (Place{{4}, to, node.kind}));
      EXPECT_TRUE(all(TierStore(*store, from).vector_family()).empty());
    }
  }
}

TEST_F(Tiers, MoveOfAnUnknownNodeIsNotFound) {
  EXPECT_EQ(move(sample_node(5), TierId::Cold).code(), Code::NotFound);
  put(kSpace, {1}, sample_node(5));
  EXPECT_EQ(move(sample_node(5), TierId::Hot).code(), Code::InvalidArgument);
}

TEST_F(Tiers, MoveOfANodeThatItsTierHasLostIsCorruption) {
  WriteSet set;
  TierMap::put(set, kSpace, sample_id(1), {{3}, TierId::Warm, NodeKind::Episode});
  apply(set);
  EXPECT_EQ(move(sample_node(1), TierId::Cold).code(), Code::Corruption);
}

TEST_F(Tiers, MapFindsPlacesAndProvesAbsence) {
  put(kSpace, {1}, sample_node(1));
  const TierMap map(*store);
  EXPECT_EQ(**map.find(kSpace, sample_id(1)), (Place{{1}, TierId::Warm, NodeKind::Episode}));
  EXPECT_EQ(*map.find({8}, sample_id(1)), std::nullopt);
  EXPECT_TRUE(map.may_hold(kSpace, sample_id(1)));
  EXPECT_FALSE(map.may_hold(kSpace, sample_id(2)));
  WriteSet set;
  TierMap::erase(set, kSpace, sample_id(1));
  apply(set);
  EXPECT_EQ(*map.find(kSpace, sample_id(1)), std::nullopt);
}

TEST_F(Tiers, KeysAndValuesAreTheExampleOfTheFormat) {
  tier = TierId::Cold;
  Node node;
  node.id = sample_id(9);
  node.vectors = {{{0}, {1.0f, -2.0f}}};
  put({3}, {5}, node);
  using std::string_literals::operator""s;
  EXPECT_EQ(all(1), (KeyValues{{"\0\0\0\3\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09"s, "\5\0\0\0\0\0\0\0\2\1"s}}));
  const std::string body(as_text(NodeRecord::from_node(node)->body()));
  EXPECT_EQ(all(4), (KeyValues{{"\0\0\0\3\0\0\0\0\0\0\0\5"s, body}}));
  EXPECT_EQ(all(5), (KeyValues{{"\0\0\0\3\0\0\0\0\0\0\0\0\0\5"s, "\0\0\x80\x3f\0\0\0\xc0"s}}));
}

TEST(PlaceBytes, AreTheOnesOfTheFormat) {
  const auto bytes = encode_place({{0x0102030405060708}, TierId::Cold, NodeKind::Concept});
  EXPECT_EQ(as_text(bytes), std::string_view("\x08\x07\x06\x05\x04\x03\x02\x01\x02\x02", 10));
  EXPECT_EQ(*decode_place(bytes), (Place{{0x0102030405060708}, TierId::Cold, NodeKind::Concept}));
  EXPECT_EQ(decode_place(ByteView(bytes).first(9)).status().code(), Code::Corruption);
  for (const auto& [at, wrong] : {std::pair{8, 0}, std::pair{8, 3}, std::pair{9, 0}, std::pair{9, 3}}) {
    auto damaged = bytes;
    damaged[static_cast<std::size_t>(at)] = static_cast<std::byte>(wrong);
    EXPECT_EQ(decode_place(damaged).status().code(), Code::Corruption);
  }
}

TEST(FamilyKeys, AreTheOnesOfTheFormat) {
  EXPECT_EQ(space_prefix({0x01020304}), "\x01\x02\x03\x04");
  EXPECT_EQ(body_key({1}, {0x0102}), std::string_view("\0\0\0\1\0\0\0\0\0\0\1\2", 12));
  EXPECT_EQ(vector_key({1}, {0x0304}, {2}), std::string_view("\0\0\0\1\3\4\0\0\0\0\0\0\0\2", 14));
  EXPECT_EQ(id_key({1}, sample_id(9)).size(), 20u);
  EXPECT_EQ(prefix_end("a"), "b");
  EXPECT_EQ(prefix_end("a\xff\xff"), "b");
  EXPECT_EQ(prefix_end("\xff"), "");
  EXPECT_EQ(prefix_end(""), "");
}

}  // namespace
}  // namespace mneme::storage
