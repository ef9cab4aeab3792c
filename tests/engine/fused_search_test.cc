// Search by several models at once: ranks fused, nodes of a space that is on its way from one model to the next.

#include <cmath>
#include <limits>

#include "engine_test.h"
#include "fusion.h"
#include "mneme/base/limits.h"

namespace mneme::test {
namespace {

constexpr GenerationId kOld{0}, kNew{1};

std::vector<Neighbour> list(std::initializer_list<std::uint64_t> rows) {
  std::vector<Neighbour> found;
  for (const std::uint64_t row : rows) {
    NodeId id;
    id.bytes[15] = static_cast<std::uint8_t>(row);
    found.push_back({id, RowId{row}, 7.0F});
  }
  return found;
}

std::vector<std::uint64_t> rows(const std::vector<Neighbour>& found) {
  std::vector<std::uint64_t> rows;
  for (const Neighbour& one : found) rows.push_back(one.row.value);
  return rows;
}
using Rows = std::vector<std::uint64_t>;

TEST(FuseRanks, AddsUpWeightOverSixtyAndTheRankOfEachList) {
  const auto a = list({1, 2, 3}), b = list({3, 4});
  const auto fused = fuse_ranks(std::vector<RankedList>{{a, 1}, {b, 2}}, 10);
  ASSERT_EQ(rows(fused), (Rows{3, 4, 1, 2}));
  EXPECT_EQ(fused[0].score, static_cast<float>(1.0 / 63 + 2.0 / 61));
  EXPECT_EQ(fused[1].score, static_cast<float>(2.0 / 62));
  EXPECT_EQ(fused[2].score, static_cast<float>(1.0 / 61));
  EXPECT_EQ(fused[3].score, static_cast<float>(1.0 / 62));
  EXPECT_EQ(fused[0].id, b[0].id);
}

TEST(FuseRanks, PutsEqualScoresInTheOrderOfRowsAndCutsAtK) {
  const auto a = list({9, 2}), b = list({4, 7});
  EXPECT_EQ(rows(fuse_ranks(std::vector<RankedList>{{a, 1}, {b, 1}}, 3)), (Rows{4, 9, 2}));
}

TEST(FuseRanks, KeepsTheOrderOfOneListAndOfNone) {
  const auto a = list({5, 1, 3});
  EXPECT_EQ(rows(fuse_ranks(std::vector<RankedList>{{a, 0.001}, {{}, 1000}}, 10)), (Rows{5, 1, 3}));
  EXPECT_TRUE(fuse_ranks({}, 10).empty());
}

TEST(FuseRanks, ReadsListsDeepEnoughAndNeverBeyondTheLimit) {
  EXPECT_EQ(fusion_depth(1), 64U);
  EXPECT_EQ(fusion_depth(17), 68U);
  EXPECT_EQ(fusion_depth(limits::kNeighboursMax), limits::kNeighboursMax);
}

class FusedSearch : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    must(space().add_generation({2, Metric::SquaredL2, "new"}));
  }
  void put_one(std::string name, std::vector<float> old, std::vector<float> young) const {
    Node node = named(std::move(name), std::move(old));
    if (!young.empty()) node.vectors.push_back({kNew, std::move(young)});
    put(std::move(node));
  }
  // Two nodes of the old model, two of the new one, one of both.
  void put_half_migrated() const {
    put_one("old near", {5, 0, 0, 0}, {});
    put_one("old far", {1, 0, 0, 0}, {});
    put_one("both", {4, 0, 0, 0}, {1, 1});
    put_one("new near", {}, {0, 0});
    put_one("new far", {}, {9, 9});
  }
  static Query query(std::size_t k = 10) {
    Query query;
    query.vector = {1, 0, 0, 0};
    query.also = {{kNew, {0, 0}}};
    query.k = k;
    return query;
  }
  std::string name(const NodeId& id) const { return std::string((*must(space().get(id))).external_id().value_or("")); }
  Contents nearest(const Query& query) const {
    Contents names;
    for (const Neighbour& one : must(space().nearest(query))) names.push_back(name(one.id));
    return names;
  }
  Code refused(const Query& query) const {
    const Code code = space().nearest(query).status().code();
    EXPECT_EQ(space().search(query).status().code(), code);
    return code;
  }
};

TEST_F(FusedSearch, FindsEveryNodeOfASpaceOnItsWayToANewModelOnce) {
  put_half_migrated();
  const auto found = must(space().nearest(query()));
  EXPECT_EQ(nearest(query()), (Contents{"both", "old near", "new near", "old far", "new far"}));
  EXPECT_EQ(found[0].score, static_cast<float>(1.0 / 62 + 1.0 / 62));
  EXPECT_EQ(found[1].score, static_cast<float>(1.0 / 61));
  EXPECT_EQ(found[1].score, found[2].score);
  EXPECT_EQ(found[4].score, static_cast<float>(1.0 / 63));
  const auto hits = must(space().search(query()));
  ASSERT_EQ(hits.size(), found.size());
  for (std::size_t i = 0; i < hits.size(); ++i) EXPECT_EQ(hits[i].node.id(), found[i].id);
}

TEST_F(FusedSearch, SeesANodeGoOverToTheNewModelWithEveryWrite) {
  put_half_migrated();
  nearest(query());
  put_one("old far", {}, {0, 0});
  EXPECT_EQ(nearest(query()), (Contents{"both", "old near", "old far", "new near", "new far"}));
  must(space().erase(space().id_for_external("both")));
  EXPECT_EQ(nearest(query(2)), (Contents{"old near", "old far"}));
}

TEST_F(FusedSearch, LetsWeightsPreferAModel) {
  put_half_migrated();
  Query heavy = query();
  heavy.also[0].weight = 10;
  EXPECT_EQ(nearest(heavy)[0], "both");
  EXPECT_EQ(nearest(heavy)[1], "new near");
  heavy.weight = 1000;
  EXPECT_EQ(nearest(heavy)[0], "old near");
  EXPECT_EQ(nearest(heavy)[1], "both");
}

TEST_F(FusedSearch, FiltersEveryList) {
  put_half_migrated();
  Query filtered = query();
  filtered.filter = Filter::negate(Filter::eq("external_id", Value("both")));
  EXPECT_EQ(nearest(filtered), (Contents{"old near", "new near", "old far", "new far"}));
  filtered.filter = Filter::compare("content", FilterOp::Contains, Value("far"));  // reads the nodes
  EXPECT_EQ(nearest(filtered), (Contents{"old far", "new far"}));
}

TEST_F(FusedSearch, AnswersAsOfAViewWhetherTheIndexesRememberItOrNot) {
  put_half_migrated();
  const ReadView view = must(db_->read_view());
  Query then = query();
  then.view = view;
  Query old_alone = then;
  old_alone.also.clear();
  const Contents wanted{"both", "old near", "new near", "old far", "new far"};
  put_one("later", {9, 0, 0, 0}, {0, 0});
  must(space().nearest(old_alone));  // one index is loaded, later than the view; the other is not
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(nearest(then), wanted);
    EXPECT_EQ(must(space().search(then)).size(), wanted.size());
    EXPECT_EQ(nearest(query())[0], "later");
  }
}

TEST_F(FusedSearch, LooksForWhatIsLikeANodeByTheModelsThatItHas) {
  put_half_migrated();
  Query like;
  like.also = {{kNew, {}}};
  like.like = space().id_for_external("both");
  EXPECT_EQ(nearest(like), (Contents{"old near", "new near", "old far", "new far"}));
  like.like = space().id_for_external("new near");
  EXPECT_EQ(nearest(like), (Contents{"both", "new far"}));
  put(named("bare", {}));
  like.like = space().id_for_external("bare");
  const Status none = space().nearest(like).status();
  EXPECT_EQ(none.code(), Code::FailedPrecondition);
  EXPECT_NE(none.message().find("generation 0 or 1"), std::string::npos) << none.message();
  like.like = space().id_for_external("both");
  like.also[0].vector = {0, 0};
  EXPECT_EQ(refused(like), Code::InvalidArgument);
}

TEST_F(FusedSearch, TakesRowsOfABatchWithOneVectorBehindTheOther) {
  put_half_migrated();
  Query shape = query(3);
  shape.vector.clear();
  shape.also[0].vector.clear();
  const std::vector<float> rows{1, 0, 0, 0, 0, 0, /**/ -1, 0, 0, 0, 9, 9};
  const auto all = must(space().nearest_batch(rows, shape));
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0], must(space().nearest(query(3))));
  Query second = query(3);
  second.vector = {-1, 0, 0, 0};
  second.also[0].vector = {9, 9};
  EXPECT_EQ(all[1], must(space().nearest(second)));
  EXPECT_TRUE(must(space().nearest_batch({}, shape)).empty());
  EXPECT_EQ(space().nearest_batch(std::vector<float>(8, 1), shape).status().code(), Code::InvalidArgument);
  EXPECT_EQ(space().nearest_batch(rows, query()).status().code(), Code::InvalidArgument);
}

TEST_F(FusedSearch, RefusesWhatDoesNotFuse) {
  put_half_migrated();
  const auto changed = [](const auto& change) {
    Query one = query();
    change(one);
    return one;
  };
  EXPECT_EQ(refused(changed([](Query& q) { q.diversity = 0.5F; })), Code::InvalidArgument);
  EXPECT_EQ(refused(changed([](Query& q) { q.also.push_back({kNew, {1, 1}}); })), Code::InvalidArgument);
  EXPECT_EQ(refused(changed([](Query& q) { q.also[0] = {kOld, {1, 0, 0, 0}}; })), Code::InvalidArgument);
  EXPECT_EQ(refused(changed([](Query& q) { q.also[0].vector = {1}; })), Code::InvalidArgument);
  EXPECT_EQ(refused(changed([](Query& q) { q.also[0].vector = {NAN, 0}; })), Code::InvalidArgument);
  EXPECT_EQ(refused(changed([](Query& q) { q.vector.clear(); })), Code::InvalidArgument);
  for (const float weight : {0.0F, -1.0F, 1001.0F, NAN, std::numeric_limits<float>::infinity()}) {
    EXPECT_EQ(refused(changed([&](Query& q) { q.weight = weight; })), Code::InvalidArgument) << weight;
    EXPECT_EQ(refused(changed([&](Query& q) { q.also[0].weight = weight; })), Code::InvalidArgument) << weight;
  }
  EXPECT_EQ(refused(changed([](Query& q) { q.also[0].generation = GenerationId{9}; })), Code::NotFound);
  must(space().drop_generation(kNew));
  EXPECT_EQ(refused(query()), Code::NotFound);
}

TEST_F(FusedSearch, PromisesARecallForEachList) {
  put_half_migrated();
  Query approximate = query();
  approximate.recall_target = 0.9F;
  EXPECT_EQ(nearest(approximate), nearest(query()));  // few nodes are searched exactly
  approximate.recall_target = 0;
  EXPECT_EQ(refused(approximate), Code::InvalidArgument);
}

}  // namespace
}  // namespace mneme::test
