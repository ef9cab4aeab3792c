#include <cmath>
#include <cstring>

#include "engine_test.h"

namespace mneme::test {
namespace {

using DatabaseTest = EngineTest;

TEST_F(DatabaseTest, ReadsBackWhatWasPutBeforeAndAfterAReopen) {
  const NodeId id = put(episode("tea at four"));
  EXPECT_EQ(content(id), "tea at four");
  EXPECT_EQ(must(space().tier_of(id)), TierId::Hot);
  reopen();
  EXPECT_EQ(content(id), "tea at four");
  EXPECT_EQ(must(space().tier_of(id)), TierId::Warm);
  expect_sound();
}

TEST_F(DatabaseTest, KeepsEveryBitOfAVector) {
  const std::vector<float> tricky{-0.0F, 1e-45F, 3.4028235e38F, -1.17549435e-38F};
  const NodeId id = put(episode("bits", tricky));
  for (int round = 0; round < 2; ++round) {
    const NodeView view = must(space().get(id));
    const std::span<const float> stored = view->vector(GenerationId{0});
    ASSERT_EQ(stored.size(), tricky.size());
    EXPECT_EQ(std::memcmp(stored.data(), tricky.data(), tricky.size() * sizeof(float)), 0);
    reopen();
  }
}

TEST_F(DatabaseTest, ReplacesANodeAndKeepsItsCreationTimeAndRow) {
  Node first = named("a");
  first.created_at = Timestamp(std::chrono::seconds(1000));
  const NodeId id = put(first);
  const RowId row = must(space().get(id)).row();
  Node second = named("a", {0, 1, 0, 0});
  second.content = "newer";
  EXPECT_EQ(put(second), id);
  const NodeView view = must(space().get(id));
  EXPECT_EQ(view->content(), "newer");
  EXPECT_EQ(view->created_at(), Timestamp(std::chrono::seconds(1000)));
  EXPECT_EQ(view.row(), row);
  EXPECT_EQ(must(space().stats()).nodes, 1U);
  expect_sound();
}

TEST_F(DatabaseTest, ErasesANodeWithItsLinks) {
  const NodeId a = put(named("a")), b = put(named("b")), c = put(named("c"));
  must(space().link({a, b}));
  must(space().link({b, c}));
  must(space().link({c, a}));
  must(space().erase(b));
  EXPECT_EQ(content(b), "NotFound");
  EXPECT_EQ(must(space().stats()).links, 1U);
  EXPECT_TRUE(must(space().links(a, LinkDirection::Out)).empty());
  EXPECT_EQ(must(space().links(a, LinkDirection::In)).size(), 1U);
  expect_sound();
  reopen();
  EXPECT_EQ(content(b), "NotFound");
  EXPECT_EQ(must(space().stats()).links, 1U);
  expect_sound();
}

TEST_F(DatabaseTest, ListsLinksOfBothDirectionsWithTheirValues) {
  const NodeId a = put(named("a")), b = put(named("b"));
  Link link{a, b, std::string(kBindingType), 0.25};
  link.valid_from = Timestamp(std::chrono::seconds(5));
  must(space().link(link));
  for (int round = 0; round < 2; ++round) {
    const auto out = must(space().links(a));
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(out[0].weight, 0.25);
    EXPECT_EQ(out[0].valid_from, link.valid_from);
    EXPECT_EQ(must(space().links(b, LinkDirection::In)), out);
    EXPECT_EQ(must(space().links(b, LinkDirection::Both)), out);
    EXPECT_TRUE(must(space().links(a, LinkDirection::Out, "other")).empty());
    reopen();
  }
}

TEST_F(DatabaseTest, RefusesALinkToANodeThatIsNotThere) {
  const NodeId a = put(named("a"));
  const Status refused = space().link({a, Uuid{}});
  EXPECT_EQ(refused.code(), Code::NotFound);
  EXPECT_EQ(must(space().stats()).links, 0U);
}

TEST_F(DatabaseTest, AppliesABatchWholeAndInOrder) {
  Batch batch;
  const Space target = space();
  const NodeId a = must(batch.put(target, named("a")));
  const NodeId b = must(batch.put(target, named("b")));
  must(batch.link(target, {a, b}));
  must(batch.erase(target, a));
  must(batch.put(target, named("a", {0, 0, 1, 0})));
  must(db_->write(batch));
  EXPECT_EQ(must(space().stats()).nodes, 2U);
  EXPECT_EQ(must(space().stats()).links, 0U);
  EXPECT_EQ(found({0, 0, 1, 0}, 1), Contents{"content of a"});
  expect_sound();
}

TEST_F(DatabaseTest, WritesNothingOfABatchThatFails) {
  Batch batch;
  const NodeId a = must(batch.put(space(), named("a")));
  must(batch.link(space(), {a, Uuid{}}));
  EXPECT_EQ(db_->write(batch).status().code(), Code::NotFound);
  EXPECT_EQ(content(a), "NotFound");
  EXPECT_EQ(must(space().stats()).nodes, 0U);
}

TEST_F(DatabaseTest, RefusesWhatBreaksTheRules) {
  EXPECT_EQ(space().put(episode("nan", {NAN, 0, 0, 0})).status().code(), Code::InvalidArgument);
  EXPECT_EQ(space().put(episode("short", {1, 0})).status().code(), Code::InvalidArgument);
  EXPECT_EQ(space().put(episode("\xff\xfe")).status().code(), Code::InvalidArgument);
  Node generation = episode("generation");
  generation.vectors[0].generation = GenerationId{7};
  EXPECT_EQ(space().put(generation).status().code(), Code::InvalidArgument);
  EXPECT_EQ(must(space().stats()).nodes, 0U);
}

TEST_F(DatabaseTest, FindsAWriteAtOnceAndNotAnErasedOne) {
  const NodeId near = put(named("near", {1, 0, 0, 0}));
  put(named("far", {0, 1, 0, 0}));
  EXPECT_EQ(found({1, 0.1F, 0, 0}), (Contents{"content of near", "content of far"}));
  put(named("nearer", {2, 0, 0, 0}));
  EXPECT_EQ(found({1, 0.1F, 0, 0}, 2), (Contents{"content of nearer", "content of near"}));
  must(space().erase(near));
  EXPECT_EQ(found({1, 0.1F, 0, 0}), (Contents{"content of nearer", "content of far"}));
  reopen();
  EXPECT_EQ(found({1, 0.1F, 0, 0}), (Contents{"content of nearer", "content of far"}));
}

TEST_F(DatabaseTest, MovesANodeBetweenTiersAndStillFindsIt) {
  const NodeId id = put(named("a"));
  for (const TierId tier : {TierId::Cold, TierId::Warm, TierId::Hot, TierId::Cold}) {
    must(space().move(id, tier));
    EXPECT_EQ(must(space().tier_of(id)), tier);
    EXPECT_EQ(content(id), "content of a");
    EXPECT_EQ(found({1, 0, 0, 0}), Contents{"content of a"});
  }
  EXPECT_EQ(must(space().stats()).cold_nodes, 1U);
  expect_sound();
  reopen();
  EXPECT_EQ(must(space().tier_of(id)), TierId::Cold);
  EXPECT_EQ(scanned(), Contents{"content of a"});
  Node newer = named("a");
  newer.content = "warm again";
  put(newer);
  EXPECT_EQ(scanned(), Contents{"warm again"});
  EXPECT_EQ(must(space().stats()).cold_nodes, 0U);
  expect_sound();
}

TEST_F(DatabaseTest, ShowsThroughAViewWhatWasThereWhenItWasTaken) {
  const NodeId a = put(named("a", {1, 0, 0, 0}));
  const ReadView view = must(db_->read_view());
  Node newer = named("a", {0, 1, 0, 0});
  newer.content = "newer";
  put(newer);
  put(named("b", {1, 0, 0, 0}));
  EXPECT_EQ(must(space().get(a, view))->content(), "content of a");
  Query query;
  query.vector = {1, 0, 0, 0};
  query.view = view;
  for (int round = 0; round < 2; ++round) {  // before and after the index is loaded
    const auto hits = must(space().search(query));
    ASSERT_EQ(hits.size(), 1U);
    EXPECT_EQ(hits[0].node->content(), "content of a");
    found({1, 0, 0, 0});
  }
  ScanQuery scan;
  scan.view = view;
  EXPECT_EQ(scanned(scan), Contents{"content of a"});
  EXPECT_EQ(scanned(), (Contents{"newer", "content of b"}));
}

TEST_F(DatabaseTest, KeepsSpacesApart) {
  must(db_->create_space("other"));
  put(named("a"));
  const NodeId there = must(space("other").put(named("a")));
  EXPECT_NE(there, must(space().get_by_name("a")).id());
  EXPECT_EQ(space().get(there).status().code(), Code::NotFound);
  must(db_->drop_space("other"));
  EXPECT_EQ(db_->space("other").status().code(), Code::NotFound);
  EXPECT_EQ(scanned(), Contents{"content of a"});
  must(db_->create_space("other"));
  EXPECT_EQ(must(space("other").stats()).nodes, 0U);
  EXPECT_EQ(space("other").get(there).status().code(), Code::NotFound);
  reopen();
  EXPECT_EQ(db_->spaces().size(), 2U);
  EXPECT_EQ(must(space("other").stats()).nodes, 0U);
  expect_sound();
}

TEST_F(DatabaseTest, RefusesWritesToAStoppedSpaceAndServesReads) {
  const NodeId id = put(named("a"));
  must(db_->stop_space("agent"));
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(space().put(named("b")).status().code(), Code::FailedPrecondition);
    EXPECT_EQ(content(id), "content of a");
    reopen();
  }
  must(db_->start_space("agent"));
  put(named("b"));
}

TEST_F(DatabaseTest, RefusesHostileSpaceNamesAndNeverMakesAPathOfOne) {
  for (const std::string& name :
       {std::string(), std::string("a\0b", 3), std::string("\xff"), std::string("a\nb"), std::string(256, 'x')})
    EXPECT_EQ(db_->create_space(name).status().code(), Code::InvalidArgument) << name;
  EXPECT_EQ(db_->create_space("agent").status().code(), Code::AlreadyExists);
  must(db_->create_space("../escape"));
  must(space("../escape").put(named("a")));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "escape"));
}

TEST_F(DatabaseTest, RefusesASecondOpen) { EXPECT_EQ(Database::open(path(), options_).status().code(), Code::Busy); }

TEST_F(DatabaseTest, OpensReadOnlyAndChangesNothing) {
  const NodeId id = put(named("a"));
  db_.reset();
  options_.read_only = true;
  open();
  EXPECT_EQ(content(id), "content of a");
  EXPECT_EQ(found({1, 0, 0, 0}), Contents{"content of a"});
  EXPECT_EQ(space().put(named("b")).status().code(), Code::FailedPrecondition);
  expect_sound();
}

TEST_F(DatabaseTest, ScansByRowInPagesWithAFilter) {
  for (int i = 0; i < 10; ++i) {
    Node node = named(std::to_string(i));
    node.metadata = Value(Value::Object{{"even", Value(i % 2 == 0)}});
    put(node);
  }
  ScanQuery query;
  query.filter = Filter::eq("metadata.even", Value(true));
  query.limit = 2;
  EXPECT_EQ(scanned(query), (Contents{"content of 0", "content of 2"}));
  query.first = RowId{3};
  EXPECT_EQ(scanned(query), (Contents{"content of 4", "content of 6"}));
}

TEST_F(DatabaseTest, LoadsInBulkWithSideEntriesInOneStep) {
  std::vector<NodeRecordPtr> nodes;
  for (int i = 0; i < 100; ++i) {
    Node node = named(std::to_string(i), {static_cast<float>(i), 0, 0, 0});
    node.id = space().id_for_external(*node.external_id);
    nodes.push_back(NodeRecord::from_node(node));
  }
  found({1, 0, 0, 0});  // the index is loaded: the bulk load must reach it
  const Bytes cursor{std::byte{42}};
  must(db_->bulk_insert(space(), nodes, std::vector<SideEntry>{{"m/1", cursor}}));
  EXPECT_EQ(found({1, 0, 0, 0}, 1), Contents{"content of 99"});
  EXPECT_EQ(db_->bulk_insert(space(), std::span(nodes).first(1), {}).status().code(), Code::AlreadyExists);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(must(space().stats()).nodes, 100U);
    EXPECT_EQ(must(space().get_by_name("7"))->content(), "content of 7");
    int sides = 0;
    must(db_->scan_side("m/", [&](std::string_view key, ByteView value) {
      ++sides;
      EXPECT_EQ(key, "m/1");
      EXPECT_EQ(value.size(), 1U);
      return true;
    }));
    EXPECT_EQ(sides, 1);
    expect_sound();
    reopen();
  }
  put(named("7"));  // and updates go over it
  EXPECT_EQ(must(space().stats()).nodes, 100U);
  expect_sound();
}

// A node was erased and loaded again by its id. It was acknowledged and not there: what the erasure had left in memory
// hid it until memory ran short or the database was opened again, an erasure of it was acknowledged and did nothing, and
// an update gave it a second row.
TEST_F(DatabaseTest, LoadsInBulkWhatWasErasedBefore) {
  const auto load = [&](const std::string& content) {
    Node node = named("comes back");
    node.id = space().id_for_external(*node.external_id);
    node.content = content;
    const NodeRecordPtr record = NodeRecord::from_node(node);
    must(db_->bulk_insert(space(), std::span(&record, 1), {}));
    return node.id;
  };
  put(named("comes back"));
  for (int round = 0; round < 3; ++round) {
    must(space().erase(space().id_for_external("comes back")));
    const std::string text = "round " + std::to_string(round);
    const NodeId id = load(text);
    EXPECT_EQ(content(id), text);
    EXPECT_EQ(found({1, 0, 0, 0}), Contents{text});
    if (round == 1) reopen();
    EXPECT_EQ(content(id), text);
    put(named("comes back"));
    EXPECT_EQ(scanned(), Contents{"content of comes back"});
    must(space().erase(id));
    EXPECT_EQ(content(id), "NotFound");
    load(text);
    EXPECT_EQ(scanned(), Contents{text});
    expect_sound();
  }
}

}  // namespace
}  // namespace mneme::test
