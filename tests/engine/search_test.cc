// What a search answers: with nodes and without, alone and in a batch, like a node, diverse, as of a view, filtered.

#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "engine_test.h"
#include "mneme/base/limits.h"

namespace mneme::test {
namespace {

using Names = std::vector<std::string>;

class SearchTest : public EngineTest {
 protected:
  static Query query(std::vector<float> vector, std::size_t k = 10) {
    Query query;
    query.vector = std::move(vector);
    query.k = k;
    return query;
  }
  Query like(std::string_view name, std::size_t k = 10) const {
    Query query;
    query.like = id(name);
    query.k = k;
    return query;
  }
  NodeId id(std::string_view name) const { return space().id_for_external(name); }
  std::string name(const NodeId& id) const {
    const Result<NodeView> node = space().get(id);
    return node.ok() ? std::string((*node)->external_id().value_or("")) : "(erased)";
  }
  Names names(const std::vector<Neighbour>& neighbours) const {
    Names names;
    for (const Neighbour& one : neighbours) names.push_back(name(one.id));
    return names;
  }
  Names nearest(const Query& query) const { return names(must(space().nearest(query))); }
  Code refused(const Query& query) const {
    const Code code = space().nearest(query).status().code();
    EXPECT_EQ(space().search(query).status().code(), code);
    return code;
  }
  void expect_the_same(const Query& query) const {
    const std::vector<SearchHit> hits = must(space().search(query));
    std::vector<Neighbour> of_search;
    of_search.reserve(hits.size());
    for (const SearchHit& hit : hits) of_search.push_back({hit.node.id(), hit.node.row(), hit.score});
    EXPECT_EQ(must(space().nearest(query)), of_search);
  }
  void put_four() {
    put(named("a", {4, 0, 0, 0}));
    put(named("b", {3, 1, 0, 0}));
    put(named("c", {2, 0, 1, 0}));
    put(named("d", {1, 0, 0, 1}));
  }
};

TEST_F(SearchTest, NearestNamesWhatSearchFindsWithTheSameScores) {
  put_four();
  const auto found = must(space().nearest(query({1, 0, 0, 0}, 3)));
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0], (Neighbour{id("a"), must(space().get(id("a"))).row(), 4.0F}));
  EXPECT_EQ(names(found), (Names{"a", "b", "c"}));
  expect_the_same(query({1, 0, 0, 0}));
  expect_the_same(query({-1, 1, 0, 0}, 2));
}

TEST_F(SearchTest, NearestSeesEveryAcknowledgedWriteAndReadsNoNode) {
  put_four();
  EXPECT_EQ(nearest(query({1, 0, 0, 0}, 1)), Names{"a"});
  put(named("a", {0, 0, 0, 9}));
  EXPECT_EQ(nearest(query({1, 0, 0, 0}, 1)), Names{"b"});
  EXPECT_EQ(nearest(query({0, 0, 0, 1}, 1)), Names{"a"});
  must(space().erase(id("b")));
  EXPECT_EQ(nearest(query({1, 0, 0, 0}, 2)), (Names{"c", "d"}));
}

TEST_F(SearchTest, AnswersTheSameBeforeAndAfterAReopen) {
  put_four();
  must(space().erase(id("b")));
  const auto before = must(space().nearest(query({1, 2, 3, 4})));
  reopen();
  EXPECT_EQ(must(space().nearest(query({1, 2, 3, 4}))), before);
}

TEST_F(SearchTest, AnswersAsOfAViewWithAndWithoutAnIndexThatRemembersIt) {
  put_four();
  const ReadView view = must(db_->read_view());
  put(named("e", {9, 0, 0, 0}));
  must(space().erase(id("a")));
  Query now = query({1, 0, 0, 0}, 2), then = now;
  then.view = view;
  Query like_then = like("b", 1);
  like_then.view = view;
  for (int round = 0; round < 2; ++round) {  // before and after the index is loaded, which is later than the view
    const auto found = must(space().nearest(then));
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].id, id("a"));
    EXPECT_EQ(found[1].id, id("b"));
    expect_the_same(then);
    EXPECT_EQ(must(space().nearest(like_then))[0].id, id("a"));
    EXPECT_EQ(nearest(now), (Names{"e", "b"}));
  }
}

TEST_F(SearchTest, ABatchAnswersEachQueryAsIfItWereAlone) {
  put_four();
  const std::vector<float> queries{1, 0, 0, 0, 0, 1, 0, 0, -1, 0, 0, 5};
  Query shape = query({}, 2);
  shape.filter = Filter::negate(Filter::eq("external_id", Value("a")));
  for (const float diversity : {0.0F, 0.5F}) {
    shape.diversity = diversity;
    const auto all = must(space().nearest_batch(queries, shape));
    ASSERT_EQ(all.size(), 3U);
    for (std::size_t q = 0; q < all.size(); ++q) {
      Query alone = shape;
      alone.vector.assign(queries.begin() + static_cast<std::ptrdiff_t>(4 * q),
                          queries.begin() + static_cast<std::ptrdiff_t>(4 * q + 4));
      EXPECT_EQ(all[q], must(space().nearest(alone)));
    }
  }
  EXPECT_TRUE(must(space().nearest_batch({}, shape)).empty());
}

TEST_F(SearchTest, ABatchReadsAnOldViewInOnePassToo) {
  put_four();
  const ReadView view = must(db_->read_view());
  put(named("e", {9, 9, 9, 9}));
  Query shape = query({}, 1);
  shape.view = view;
  const auto all = must(space().nearest_batch(std::vector<float>{1, 0, 0, 0, 0, 0, 0, 1}, shape));
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(names(all[0]), Names{"a"});
  EXPECT_EQ(names(all[1]), Names{"d"});
}

TEST_F(SearchTest, ABatchRefusesAVectorInItsShapeHalfAQueryAndWhatIsNotFinite) {
  put_four();
  const std::vector<float> one{1, 0, 0, 0}, half{1, 0, 0, 0, 1, 0};
  EXPECT_EQ(space().nearest_batch(one, query({1, 0, 0, 0})).status().code(), Code::InvalidArgument);
  EXPECT_EQ(space().nearest_batch(one, like("a")).status().code(), Code::InvalidArgument);
  EXPECT_EQ(space().nearest_batch(half, query({})).status().code(), Code::InvalidArgument);
  const Status nan = space().nearest_batch(std::vector<float>{1, 0, 0, 0, 0, NAN, 0, 0}, query({})).status();
  EXPECT_EQ(nan.code(), Code::InvalidArgument);
  EXPECT_NE(nan.message().find("query 1"), std::string::npos) << nan.message();
}

TEST_F(SearchTest, FindsWhatIsLikeANodeButNotTheNodeItself) {
  put_four();
  put(named("twin", {3, 1, 0, 0}));
  EXPECT_EQ(nearest(like("b", 2)), (Names{"a", "twin"}));
  expect_the_same(like("b"));
  EXPECT_EQ(nearest(like("b")).size(), 4U);
  put(named("b", {0, 0, 0, 1}));  // now it is like d
  EXPECT_EQ(nearest(like("b", 1)), Names{"d"});
}

TEST_F(SearchTest, RefusesToBeLikeANodeThatIsNotThereOrHasNoVector) {
  put_four();
  put(named("mute", {}));
  EXPECT_EQ(refused(like("nobody")), Code::NotFound);
  EXPECT_EQ(refused(like("mute")), Code::FailedPrecondition);
  must(space().erase(id("a")));
  EXPECT_EQ(refused(like("a")), Code::NotFound);
  Query both = like("b");
  both.vector = {1, 0, 0, 0};
  EXPECT_EQ(refused(both), Code::InvalidArgument);
  EXPECT_EQ(refused(like("b", limits::kNeighboursMax)), Code::InvalidArgument);
  EXPECT_EQ(nearest(like("b", limits::kNeighboursMax - 1)), (Names{"c", "d"}));
}

TEST_F(SearchTest, RefusesQueriesOutOfTheirBounds) {
  put_four();
  EXPECT_EQ(refused(query({1, 0, 0})), Code::InvalidArgument);
  EXPECT_EQ(refused(query({})), Code::InvalidArgument);
  EXPECT_EQ(refused(query({1, 0, 0, NAN})), Code::InvalidArgument);
  EXPECT_EQ(refused(query({1, 0, 0, 0}, 0)), Code::InvalidArgument);
  EXPECT_EQ(refused(query({1, 0, 0, 0}, limits::kNeighboursMax + 1)), Code::InvalidArgument);
  for (const float diversity : {-0.1F, 1.1F, NAN}) {
    Query outside = query({1, 0, 0, 0});
    outside.diversity = diversity;
    EXPECT_EQ(refused(outside), Code::InvalidArgument);
  }
  Query unknown = query({1, 0, 0, 0});
  unknown.generation = GenerationId{9};
  EXPECT_EQ(refused(unknown), Code::NotFound);
}

// Row n has the score 3000 − n, so that the first k are the nodes 0 … k − 1.
TEST_F(SearchTest, AnswersEveryKFromOneToAThousandAndTwentyFourAndMoreThanThereAre) {
  constexpr std::size_t kNodes = 1200, kEven = kNodes / 2;
  Batch batch;
  for (std::size_t i = 0; i < kNodes; ++i) {
    Node node = named(std::to_string(i), {static_cast<float>(3000 - i), 0, 0, 0});
    if (i % 2 == 0) node.tags = {"even"};
    must(batch.put(space(), std::move(node)));
  }
  must(db_->write(batch));
  const auto expect_first = [](const std::vector<Neighbour>& found, std::size_t wanted, std::size_t step) {
    ASSERT_EQ(found.size(), wanted);
    for (std::size_t i = 0; i < found.size(); ++i)
      ASSERT_EQ(found[i].score, static_cast<float>(3000 - step * i)) << "hit " << i;
  };
  const std::vector<float> two{1, 0, 0, 0, 1, 0, 0, 0};
  for (std::size_t k = 1; k <= 1024; ++k) {
    SCOPED_TRACE("k = " + std::to_string(k));
    Query one = query({1, 0, 0, 0}, k);
    expect_first(must(space().nearest(one)), k, 1);
    one.filter = Filter::tag("even");
    expect_first(must(space().nearest(one)), std::min(k, kEven), 2);
    if (HasFatalFailure()) return;
  }
  for (const std::size_t k : {1UL, 7UL, 64UL, 65UL, 600UL, 1023UL, 1024UL, 1200UL, 5000UL, limits::kNeighboursMax}) {
    SCOPED_TRACE("k = " + std::to_string(k));
    Query one = query({1, 0, 0, 0}, k), shape = query({}, k);
    for (const bool filtered : {false, true}) {
      if (filtered) one.filter = shape.filter = Filter::tag("even");
      const std::size_t wanted = std::min(k, filtered ? kEven : kNodes);
      EXPECT_EQ(must(space().search(one)).size(), wanted);
      expect_the_same(one);
      const auto both = must(space().nearest_batch(two, shape));
      ASSERT_EQ(both.size(), 2U);
      for (const auto& found : both) expect_first(found, wanted, filtered ? 2 : 1);
    }
  }
}

TEST_F(SearchTest, SaysWhichKAreAllowedWhenOneIsTooLarge) {
  put_four();
  const Status above = space().nearest(query({1, 0, 0, 0}, limits::kNeighboursMax + 1)).status();
  EXPECT_EQ(above.code(), Code::InvalidArgument);
  EXPECT_NE(above.message().find("k = 65537, 1 to 65536 are allowed"), std::string::npos) << above.message();
  const std::vector<float> one{1, 0, 0, 0};
  for (const std::size_t k : {std::size_t{0}, limits::kNeighboursMax + 1})
    EXPECT_EQ(space().nearest_batch(one, query({}, k)).status().code(), Code::InvalidArgument);
  EXPECT_EQ(refused(like("a", limits::kNeighboursMax)), Code::InvalidArgument);  // it is left out itself
  EXPECT_EQ(nearest(like("a", limits::kNeighboursMax - 1)).size(), 3U);
}

TEST_F(SearchTest, DiversityPassesOverCopiesOfWhatIsChosen) {
  put(named("tea", {10, 0, 0, 0}));
  put(named("tea again", {10, 0, 0, 0}));
  put(named("tea once more", {10, 0, 0, 0}));
  put(named("coffee", {9, 5, 0, 0}));
  put(named("milk", {8, 0, 5, 0}));
  Query diverse = query({1, 0, 0, 0}, 3);
  EXPECT_EQ(nearest(diverse), (Names{"tea", "tea again", "tea once more"}));
  diverse.diversity = 0.5F;
  EXPECT_EQ(nearest(diverse), (Names{"tea", "milk", "coffee"}));  // 8 − 80 against 9 − 90 and 10 − 100
  expect_the_same(diverse);
  const auto found = must(space().nearest(diverse));
  EXPECT_EQ(found[1].score, 8.0F);  // scores stay what they are
  diverse.diversity = 1.0F;
  EXPECT_EQ(nearest(diverse)[0], "tea");
  diverse.like = id("tea");
  diverse.vector.clear();
  EXPECT_EQ(nearest(diverse)[0], "tea again");
}

TEST_F(SearchTest, DiversityChoosesTheSameOutOfAnOldView) {
  std::mt19937 random(7);
  for (int i = 0; i < 120; ++i) {
    std::vector<float> vector(4);
    for (float& value : vector) value = static_cast<float>(random() % 19) - 9;
    put(named(std::to_string(i), vector));
  }
  const ReadView view = must(db_->read_view());
  Query diverse = query({1, 2, -1, 0}, 7);
  diverse.diversity = 0.4F;
  diverse.view = view;
  put(named("later", {1, 1, 1, 1}));
  const auto scanned = must(space().nearest(diverse));
  must(space().erase(id("later")));
  diverse.view.reset();
  EXPECT_EQ(must(space().nearest(diverse)), scanned);
}

// A database of random nodes, and a model of it that every filtered search is compared with.
class FilteredSearch : public SearchTest {
 protected:
  FilteredSearch() : seed_(std::random_device{}()), random_(seed_) {}
  unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }

  void change() {
    const std::string name = std::to_string(below(60));
    if (below(4) == 0) {
      must(space().erase(id(name), Durability::Memory));
      model_.erase(id(name));
      return;
    }
    Node node = named(name, {});
    if (below(8) != 0) {
      std::vector<float> vector(kDimension);
      for (float& value : vector) value = static_cast<float>(below(9)) - 4;
      node.vectors.push_back({GenerationId{0}, vector});
    }
    node.tags = {std::to_string(below(5)), std::to_string(below(5))};
    node.kind = below(3) == 0 ? NodeKind::Concept : NodeKind::Episode;
    node.metadata = Value(Value::Object{{"n", Value(static_cast<int>(below(10)))}});
    node.id = must(space().put(node, Durability::Memory));
    model_[node.id] = NodeRecord::from_node(node);
  }

  Filter filter(unsigned depth = 2) {
    switch (below(depth == 0 ? 4 : 7)) {
      case 0:
        return Filter::tag(std::to_string(below(6)));
      case 1:
        return Filter::kind(below(2) == 0 ? NodeKind::Concept : NodeKind::Episode);
      case 2:
        return Filter::compare("metadata.n", below(2) == 0 ? FilterOp::Lt : FilterOp::Gte,
                               Value(static_cast<int>(below(10))));
      case 3:
        return below(4) == 0 ? Filter::compare("content", FilterOp::Contains, Value(std::to_string(below(60))))
                             : Filter::eq("external_id", Value(std::to_string(below(60))));
      case 4:
        return Filter::negate(filter(depth - 1));
      case 5:
        return Filter::all_of({filter(depth - 1), filter(depth - 1)});
      default:
        return Filter::any_of({filter(depth - 1), filter(depth - 1)});
    }
  }

  std::map<NodeId, float> expected(const Query& query) const {
    std::map<NodeId, float> scores;
    for (const auto& [id, record] : model_) {
      const std::span<const float> vector = record->vector(GenerationId{0});
      if (vector.empty() || !query.filter.matches(*record)) continue;
      float score = 0;
      for (std::size_t i = 0; i < vector.size(); ++i) score += vector[i] * query.vector[i];
      scores[id] = score;
    }
    return scores;
  }
  std::map<NodeId, float> found(const Query& query) const {
    std::map<NodeId, float> scores;
    float last = std::numeric_limits<float>::infinity();
    for (const Neighbour& one : must(space().nearest(query))) {
      EXPECT_LE(one.score, last);
      last = one.score;
      EXPECT_TRUE(scores.emplace(one.id, one.score).second);
    }
    return scores;
  }

  unsigned seed_;
  std::mt19937 random_;
  std::map<NodeId, NodeRecordPtr> model_;
};

TEST_F(FilteredSearch, FindsWhatAModelFindsWhateverWasAskedBefore) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  std::vector<Filter> filters;
  for (int i = 0; i < 90; ++i) filters.push_back(filter());  // more than are kept
  Query query = this->query({1, -2, 3, 1}, 100);
  for (int step = 0; step < 3000; ++step) {
    if (below(3) == 0) change();
    query.filter = filters[below(below(2) == 0 ? 10 : 90)];
    ASSERT_EQ(found(query), expected(query)) << "step " << step << ", seed " << seed_;
  }
  expect_sound();
}

TEST_F(FilteredSearch, AnswersAsOfAViewFromWhatIsKeptForLaterSlots) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  for (int i = 0; i < 200; ++i) change();
  Query now = query({1, 1, 1, 1}, 100);
  now.filter = Filter::compare("metadata.n", FilterOp::Lt, Value(6));
  EXPECT_EQ(found(now), expected(now));  // loads the index before the view is taken
  Query then = now;
  then.view = must(db_->read_view());
  const auto at_view = expected(now);
  for (int i = 0; i < 200; ++i) {
    change();
    ASSERT_EQ(found(now), expected(now));
    ASSERT_EQ(found(then), at_view);
  }
}

TEST_F(FilteredSearch, CountsWhatItKeepsInTheMemoryOfTheIndex) {
  for (int i = 0; i < 100; ++i) change();
  Query query = this->query({1, 1, 1, 1});
  must(space().nearest(query).status());
  const std::uint64_t before = must(space().stats()).index_bytes;
  query.filter = Filter::tag(std::string(3000, 'x'));
  must(space().nearest(query).status());
  const std::uint64_t after = must(space().stats()).index_bytes;
  EXPECT_GE(after, before + 3000);
  must(space().nearest(query).status());
  EXPECT_EQ(must(space().stats()).index_bytes, after);
  for (int i = 0; i < 200; ++i) {
    query.filter = Filter::tag(std::string(3000, 'x') + std::to_string(i));
    must(space().nearest(query).status());
  }
  EXPECT_LE(must(space().stats()).index_bytes, before + 64 * 3600);
  query.filter = Filter::compare("content", FilterOp::Contains, Value(std::string(4000, 'y')));
  const std::uint64_t full = must(space().stats()).index_bytes;
  must(space().nearest(query).status());
  EXPECT_EQ(must(space().stats()).index_bytes, full);  // content is not kept by slot, so nothing about it is
}

}  // namespace
}  // namespace mneme::test
