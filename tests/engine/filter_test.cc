#include "mneme/filter.h"

#include <cmath>

#include "engine_test.h"
#include "mneme/base/json.h"

namespace mneme::test {
namespace {

class FilterTest : public ::testing::Test {
 protected:
  FilterTest() {
    node_.id = must(parse_uuid("00000000-0000-4000-8000-000000000001"));
    node_.kind = NodeKind::Concept;
    node_.namespace_path = {"team", "red", "notes"};
    node_.external_id = "n-1";
    node_.scope.user = "ada";
    node_.content = "Ada prefers tea to coffee.";
    node_.tags = {"drinks", "habits"};
    node_.memory_type = MemoryType::Semantic;
    node_.created_at = must(parse_rfc3339("2026-03-01T12:00:00Z"));
    node_.activation = 0.5;
    node_.access_count = 3;
    node_.metadata = must(parse_json(
        R"({"year":1999,"big":18446744073709551615,"ratio":0.1,"text":"10","flag":true,"none":null,
            "list":[1,"two",3.5],"deep":{"a":{"b":"c"}},"dotted.name":7,"deep.a":{"x":1},"empty":[]})"));
  }
  bool matches(std::string_view json) const {
    const Filter filter = must(Filter::parse_json(json));
    const bool direct = filter.matches(*NodeRecord::from_node(node_));
    // Printed and parsed again it must mean the same.
    EXPECT_EQ(must(Filter::parse(filter.to_value())).matches(*NodeRecord::from_node(node_)), direct) << json;
    return direct;
  }
  static Code refused(std::string_view json) { return Filter::parse_json(json).status().code(); }
  Node node_;
};

TEST_F(FilterTest, ComparesEveryFieldByItsType) {
  for (const char* yes :
       {R"({})", R"({"kind":"concept"})", R"({"user":"ada"})", R"({"external_id":"n-1"})",
        R"({"memory_type":"semantic"})", R"({"id":"00000000-0000-4000-8000-000000000001"})",
        R"({"activation":{"gte":0.5,"lt":0.6}})", R"({"access_count":3})",
        R"({"created_at":{"gt":"2026-03-01T13:59:59+02:00"}})", R"({"created_at":{"lte":"2026-03-01T12:00:00Z"}})",
        R"({"metadata.year":{"gte":1990,"lt":2000}})", R"({"metadata.year":1999.0})",
        R"({"metadata.big":18446744073709551615})", R"({"metadata.flag":true})", R"({"metadata.none":null})",
        R"({"metadata.deep.a.b":"c"})", R"({"metadata.dotted.name":7})", R"({"metadata.deep.a.x":1})",
        R"({"namespace":"team/red/notes"})"})
    EXPECT_TRUE(matches(yes)) << yes;
  for (const char* no :
       {R"({"kind":"episode"})", R"({"user":"bob"})", R"({"agent":"ada"})", R"({"activation":{"gt":0.5}})",
        R"({"metadata.big":18446744073709551614})", R"({"metadata.flag":false})", R"({"metadata.missing":null})",
        R"({"metadata.deep":"c"})", R"({"created_at":{"gt":"2026-03-01T12:00:00Z"}})"})
    EXPECT_FALSE(matches(no)) << no;
}

// Ten is more than nine; the text "10" is no number, and asking is no error.
TEST_F(FilterTest, TreatsTypesThatDoNotCompareAsNoMatch) {
  EXPECT_FALSE(matches(R"({"metadata.text":{"gt":9}})"));
  EXPECT_FALSE(matches(R"({"metadata.year":{"gt":"0"}})"));
  EXPECT_TRUE(matches(R"({"metadata.text":{"lt":"9"}})"));
  EXPECT_TRUE(matches(R"({"metadata.text":{"ne":10}})"));
  EXPECT_FALSE(matches(R"({"metadata.missing":{"ne":10}})"));
  EXPECT_TRUE(matches(R"({"not":{"metadata.missing":10}})"));
}

TEST_F(FilterTest, LooksIntoLists) {
  EXPECT_TRUE(matches(R"({"tags":"drinks"})"));
  EXPECT_TRUE(matches(R"({"tags":["food","habits"]})"));
  EXPECT_TRUE(matches(R"({"tags":{"in":["food","habits"]}})"));
  EXPECT_FALSE(matches(R"({"tags":{"nin":["food","habits"]}})"));
  EXPECT_TRUE(matches(R"({"tags":{"contains":"drinks"}})"));
  EXPECT_FALSE(matches(R"({"tags":{"contains":"drink"}})"));
  EXPECT_TRUE(matches(R"({"metadata.list":"two"})"));
  EXPECT_TRUE(matches(R"({"metadata.list":{"gt":3}})"));
  EXPECT_TRUE(matches(R"({"metadata.list":{"contains":1}})"));
  EXPECT_FALSE(matches(R"({"metadata.list":{"ne":1}})"));
  EXPECT_TRUE(matches(R"({"metadata.list":{"ne":9}})"));
}

TEST_F(FilterTest, FindsPartsOfText) {
  EXPECT_TRUE(matches(R"({"content":{"contains":"tea"}})"));
  EXPECT_FALSE(matches(R"({"content":{"contains":"Tea"}})"));
  EXPECT_TRUE(must(Filter::parse_json(R"({"or":[{"content":"x"}]})")).reads_content());
  EXPECT_FALSE(must(Filter::parse_json(R"({"tags":"x"})")).reads_content());
}

TEST_F(FilterTest, JoinsWithAndOrNot) {
  EXPECT_TRUE(matches(R"({"and":[{"user":"ada"},{"or":[{"tags":"x"},{"tags":"drinks"}]}]})"));
  EXPECT_FALSE(matches(R"({"user":"ada","tags":"x"})"));
  EXPECT_TRUE(matches(R"({"or":[{"user":"bob"},{"not":{"user":"bob"}}]})"));
  EXPECT_TRUE(matches(R"({"and":[]})"));
  EXPECT_FALSE(matches(R"({"or":[]})"));
}

TEST_F(FilterTest, KnowsWhatExists) {
  EXPECT_TRUE(matches(R"({"metadata.none":{"exists":true}})"));
  EXPECT_TRUE(matches(R"({"metadata.nothing":{"exists":false}})"));
  EXPECT_TRUE(matches(R"({"content":{"exists":true}})"));
  EXPECT_FALSE(matches(R"({"expires_at":{"exists":true}})"));
  EXPECT_TRUE(matches(R"({"metadata.empty":{"exists":true}})"));
}

TEST_F(FilterTest, MatchesNamespacesByPrefix) {
  EXPECT_TRUE(matches(R"({"namespace":{"prefix":"team/red"}})"));
  EXPECT_TRUE(matches(R"({"namespace":{"prefix":["team"]}})"));
  EXPECT_TRUE(matches(R"({"namespace":{"prefix":[]}})"));
  EXPECT_FALSE(matches(R"({"namespace":{"prefix":"team/re"}})"));
  EXPECT_FALSE(matches(R"({"namespace":{"prefix":"team/red/notes/more"}})"));
}

TEST_F(FilterTest, RefusesWhatItDoesNotKnow) {
  for (const char* bad :
       {R"([])", R"({"nonsense":1})", R"({"user":{"like":"a"}})", R"({"and":{"user":"a"}})", R"({"user":{"in":"a"}})",
        R"({"created_at":"yesterday"})", R"({"created_at":5})", R"({"metadata.x":{"exists":1}})", R"({"user":"a")",
        R"({"namespace":{"prefix":7}})", R"({"metadata.x":{"in":[[1]]}})"})
    EXPECT_EQ(refused(bad), Code::InvalidArgument) << bad;
  std::string deep;
  for (int i = 0; i < 70; ++i) deep += R"({"not":)";
  deep += R"({"user":"a"})" + std::string(70, '}');
  EXPECT_EQ(refused(deep), Code::InvalidArgument);
}

TEST_F(FilterTest, MatchesNothingWithAFieldThatDoesNotExist) {
  const Filter wrong = Filter::eq("nonsense", Value(1));
  EXPECT_EQ(wrong.validate().code(), Code::InvalidArgument);
  EXPECT_FALSE(wrong.matches(*NodeRecord::from_node(node_)));
}

using FilteredSearch = EngineTest;

TEST_F(FilteredSearch, GivesTheBestThatMatchAndNotTheMatchesOfTheBest) {
  for (int i = 0; i < 200; ++i) {
    Node node = named(std::to_string(i), {static_cast<float>(i), 1, 0, 0});
    node.metadata = Value(Value::Object{{"group", Value(i % 50)}});
    put(node);
  }
  const Filter filter = Filter::eq("metadata.group", Value(7));
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(found({1, 0, 0, 0}, 3, filter), (Contents{"content of 157", "content of 107", "content of 57"}));
    EXPECT_EQ(found({1, 0, 0, 0}, 10, filter).size(), 4U);
    EXPECT_EQ(found({1, 0, 0, 0}, 1, must(Filter::parse_json(R"({"content":{"contains":"of 42"}})"))),
              Contents{"content of 42"});
    reopen();
  }
}

TEST_F(FilteredSearch, RefusesAQueryOfTheWrongShape) {
  Query query;
  query.vector = {1, 2};
  EXPECT_EQ(space().search(query).status().code(), Code::InvalidArgument);
  query.vector = {1, 2, 3, INFINITY};
  EXPECT_EQ(space().search(query).status().code(), Code::InvalidArgument);
  query.vector = {1, 2, 3, 4};
  query.k = 0;
  EXPECT_EQ(space().search(query).status().code(), Code::InvalidArgument);
  query.k = 1;
  query.generation = GenerationId{3};
  EXPECT_EQ(space().search(query).status().code(), Code::NotFound);
  query.generation = GenerationId{0};
  EXPECT_TRUE(must(space().search(query)).empty());
}

}  // namespace
}  // namespace mneme::test
