// put, get, erase, move, link, search and scan, as a user runs them.
#include "cli_fixture.h"

namespace mneme::tools {
namespace {

class Nodes : public CliTest {
 protected:
  Nodes() { make_mind(); }

  std::string put(const std::string& id, const std::string& content, const std::string& vector) {
    return done("put", "mind", "--space", "notes", "--id", id, "--content", content, "--vector", vector);
  }
  std::string put_tea() {
    return done("put", "mind", "--space", "notes", "--id", "tea", "--content", "green tea", "--vector", "[1, 0, 0]",
                "--metadata", R"({"degrees": 80, "by": {"leaf": ["sencha"]}})", "--tag", "drinks", "--tag", "[hot,wet]",
                "--category", "kitchen", "--namespace", "home/kitchen", "--memory-type", "semantic", "--activation",
                "0.5", "--confidence", "1", "--importance", "0.25", "--created-at", "2020-02-29T12:00:00.25+02:00");
  }
  Value tea() { return object("get", "mind", "--space", "notes", "tea"); }
  std::vector<std::string> ids(const std::vector<Value>& objects) {
    std::vector<std::string> result;
    for (const Value& one : objects) result.push_back(member(one, "id"));
    return result;
  }
  using Ids = std::vector<std::string>;
};

TEST_F(Nodes, PutPrintsTheIdAndGetGivesEveryFieldBack) {
  EXPECT_EQ(put_tea(), "tea\n");
  const Value tea = this->tea();
  EXPECT_EQ(member(tea, "id"), "tea");
  EXPECT_EQ(member(tea, "kind"), "episode");
  EXPECT_EQ(member(tea, "content"), "green tea");
  EXPECT_EQ(member(tea, "metadata"), R"({"degrees":80,"by":{"leaf":["sencha"]}})");
  EXPECT_EQ(member(tea, "tags"), R"(["drinks","[hot,wet]"])");
  EXPECT_EQ(member(tea, "categories"), R"(["kitchen"])");
  EXPECT_EQ(member(tea, "namespace"), R"(["home","kitchen"])");
  EXPECT_EQ(member(tea, "memory_type"), "semantic");
  EXPECT_EQ(member(tea, "activation"), "0.5");
  EXPECT_EQ(member(tea, "confidence"), "1.0");
  EXPECT_EQ(member(tea, "importance"), "0.25");
  EXPECT_EQ(member(tea, "created_at"), "2020-02-29T10:00:00.25Z");
  EXPECT_EQ(member(tea, "node").size(), 36u);
  EXPECT_NE(member(tea, "tier"), "absent");
}

TEST_F(Nodes, PutWithJsonPrintsBothIdsAndGetFindsTheNodeByEither) {
  const Value put = object("put", "mind", "--space", "notes", "--id", "tea", "--content", "green");
  EXPECT_EQ(member(put, "id"), "tea");
  const Value got = object("get", "mind", "--space", "notes", member(put, "node"));
  EXPECT_EQ(member(got, "content"), "green");
}

TEST_F(Nodes, ANodeWithoutAnIdIsNamedByItsUuidAndCanBeReplacedByIt) {
  const Value put = object("put", "mind", "--space", "notes", "--content", "first");
  EXPECT_EQ(member(put, "id"), member(put, "node"));
  const Value again = object("put", "mind", "--space", "notes", "--id", member(put, "id"), "--content", "second");
  EXPECT_EQ(member(again, "node"), member(put, "node"));
  EXPECT_EQ(member(object("get", "mind", "--space", "notes", member(put, "id")), "content"), "second");
  EXPECT_EQ(member(object("space", "stats", "mind", "notes"), "nodes"), "1");
}

TEST_F(Nodes, AReplacementKeepsTheTimeOfCreation) {
  put_tea();
  put("tea", "black tea", "[0, 1, 0]");
  EXPECT_EQ(member(tea(), "content"), "black tea");
  EXPECT_EQ(member(tea(), "created_at"), "2020-02-29T10:00:00.25Z");
  EXPECT_EQ(member(tea(), "metadata"), "null");
}

TEST_F(Nodes, VectorsKeepTheBitsOfTheNearestFloat) {
  put("odd", "", "[-0, 1e-45, 3.4028235e38]");
  const Value odd = object("get", "mind", "--space", "notes", "odd", "--vectors");
  EXPECT_EQ(member(odd, "vectors"), R"([{"generation":0,"dimension":3,"values":[-0.0,1e-45,3.4028235e+38]}])");
}

TEST_F(Nodes, AVectorComesFromAFile) {
  write("v.json", " [ 0.5 ,\n 0.25, 1 ]\n");
  done("put", "mind", "--space", "notes", "--id", "v", "--vector", "@v.json");
  EXPECT_EQ(member(object("get", "mind", "--space", "notes", "v", "--vectors"), "vectors"),
            R"([{"generation":0,"dimension":3,"values":[0.5,0.25,1.0]}])");
}

TEST_F(Nodes, ContentComesFromStandardInput) {
  const Ran ran = run({"put", "mind", "--space", "notes", "--id", "in", "--content", "-"}, "two\nlines");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(member(object("get", "mind", "--space", "notes", "in"), "content"), "two\nlines");
}

TEST_F(Nodes, EmptyContentIsContent) {
  done("put", "mind", "--space", "notes", "--id", "empty", "--content=", "--tag", "x");
  const Value empty = object("get", "mind", "--space", "notes", "empty");
  EXPECT_EQ(member(empty, "content"), "");
  EXPECT_EQ(member(empty, "tags"), R"(["x"])");
}

TEST_F(Nodes, ALineIsOneMemoryAsInAnImport) {
  done("put", "mind", "--space", "notes", "--line",
       R"({"id": "m", "content": "c", "embedding": [1, 2, 3], "colour": "green", "access_count": 3})");
  const Value got = object("get", "mind", "--space", "notes", "m");
  EXPECT_EQ(member(got, "content"), "c");
  EXPECT_EQ(member(got, "access_count"), "3");
  EXPECT_EQ(member(got, "source"), R"({"colour":"green"})");
}

TEST_F(Nodes, OddIdsAreJustIds) {
  for (const std::string id : {"../../etc/passwd", "[a,b]", "a b", "ünïcode 茶", "--", "-x", "++", "{}", "'", "%s"}) {
    done("put", "mind", "--space", "notes", "--content", id, "--id", id);
    EXPECT_EQ(member(object("get", "mind", "--space", "notes", "--", id), "content"), id);
  }
}

TEST_F(Nodes, SearchFindsTheNearestFirstAndSaysHowNear) {
  put("x", "along x", "[1, 0, 0]");
  put("xy", "between", "[1, 1, 0]");
  put("z", "along z", "[0, 0, 1]");
  const auto hits = objects("search", "mind", "--space", "notes", "--vector", "[2, 0, 0]", "-k", "2");
  EXPECT_EQ(ids(hits), (Ids{"x", "xy"}));
  EXPECT_EQ(member(hits[0], "score"), "1.0");
  EXPECT_EQ(member(hits[1], "score").substr(0, 6), "0.7071");
  for (const char* name : {"id", "score", "kind", "tier", "content", "metadata", "created_at", "node"})
    EXPECT_NE(member(hits[0], name), "absent") << name;
}

TEST_F(Nodes, SearchTakesAFilter) {
  put("x", "along x", "[1, 0, 0]");
  put_tea();
  const auto hits = objects("search", "mind", "--space", "notes", "--vector", "[1, 0, 0]", "--filter",
                            R"({"metadata.degrees": {"gte": 80}})");
  EXPECT_EQ(ids(hits), (Ids{"tea"}));
}

TEST_F(Nodes, SearchIsLikeANodeAndLeavesItOut) {
  put("x", "along x", "[1, 0, 0]");
  put("xy", "between", "[1, 1, 0]");
  put("z", "along z", "[0, 0, 1]");
  EXPECT_EQ(ids(objects("search", "mind", "--space", "notes", "--like", "x")), (Ids{"xy", "z"}));
  EXPECT_EQ(mneme("search", "mind", "--space", "notes", "--like", "nobody").exit_code, 3);
  const Ran both = mneme("search", "mind", "--space", "notes", "--like", "x", "--vector", "[1, 0, 0]");
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_NE(both.err.find("--like"), std::string::npos) << both.err;
}

TEST_F(Nodes, SearchPrefersWhatIsUnlikeTheOnesBeforeIt) {
  put("x", "along x", "[1, 0.1, 0]");
  put("copy", "along x", "[1, 0.1, 0]");
  put("xy", "between", "[1, -1, 0]");
  const auto search = [&](const std::string& diversity) {
    return ids(
        objects("search", "mind", "--space", "notes", "--vector", "[1, 0, 0]", "-k", "2", "--diversity", diversity));
  };
  EXPECT_EQ(search("0"), (Ids{"x", "copy"}));
  EXPECT_EQ(search("0.5"), (Ids{"x", "xy"}));
}

TEST_F(Nodes, SearchWithIdsOnlyPrintsTheIdsOfNodesAndScores) {
  put("x", "along x", "[1, 0, 0]");
  put("xy", "between", "[1, 1, 0]");
  const auto hits = objects("search", "mind", "--space", "notes", "--vector", "[1, 0, 0]", "--ids-only");
  ASSERT_EQ(hits.size(), 2u);
  const Value x = object("get", "mind", "--space", "notes", "x");
  EXPECT_EQ(hits[0], Value(Value::Object{{"id", member(x, "node")}, {"score", Value(1.0)}}));
  EXPECT_EQ(member(object("get", "mind", "--space", "notes", member(hits[1], "id")), "id"), "xy");
  const std::string table = done("search", "mind", "--space", "notes", "--vector", "[1, 0, 0]", "--ids-only");
  EXPECT_EQ(lines_of(table).size(), 3u) << table;
  EXPECT_NE(table.find(member(x, "node")), std::string::npos) << table;
}

TEST_F(Nodes, SearchTakesARecallTargetAndRefusesWhatIsOutOfRange) {
  put("x", "along x", "[1, 0, 0]");
  const auto search = [&](const std::string& option, const std::string& value) {
    return mneme("search", "mind", "--space", "notes", "--vector", "[1, 0, 0]", option, value).exit_code;
  };
  EXPECT_EQ(search("--recall", "0.9"), 0);
  for (const std::string wrong : {"0", "1.01", "-1", "nan", "x"}) EXPECT_EQ(search("--recall", wrong), 2) << wrong;
  EXPECT_EQ(search("--diversity", "1"), 0);
  for (const std::string wrong : {"-0.1", "1.01", "inf"}) EXPECT_EQ(search("--diversity", wrong), 2) << wrong;
}

TEST_F(Nodes, SearchByTextUsesTheBuiltInEmbedder) {
  done("space", "create", "mind", "texts", "--dim", "256");
  for (const std::string text : {"green tea is steeped at eighty degrees", "the cat sleeps on the sofa"})
    done("put", "mind", "--space", "texts", "--id", text.substr(0, 9), "--content", text, "--embedder", "hash");
  const auto hits =
      objects("search", "mind", "--space", "texts", "--text", "a sleeping cat", "--embedder", "hash", "-k", "1");
  EXPECT_EQ(ids(hits), (Ids{"the cat s"}));
}

TEST_F(Nodes, ScanWalksByRowAndGoesOnBehindARow) {
  for (const char* id : {"a", "b", "c", "d"}) put(id, id, "[1, 0, 0]");
  const auto first = objects("scan", "mind", "--space", "notes", "--limit", "2");
  EXPECT_EQ(ids(first), (Ids{"a", "b"}));
  const auto rest = objects("scan", "mind", "--space", "notes", "--after", member(first.back(), "row"));
  EXPECT_EQ(ids(rest), (Ids{"c", "d"}));
  const auto filtered = objects("scan", "mind", "--space", "notes", "--filter", R"({"content": {"in": ["b", "d"]}})");
  EXPECT_EQ(ids(filtered), (Ids{"b", "d"}));
}

TEST_F(Nodes, TablesNameTheirColumnsAndHideNoControlCharacters) {
  put("esc", "red \x1b[31m alarm\nsecond line", "[1, 0, 0]");
  const std::string table = done("scan", "mind", "--space", "notes");
  EXPECT_NE(table.find("CONTENT"), std::string::npos);
  EXPECT_NE(table.find("red \\x1b[31m alarm\\nsecond line"), std::string::npos) << table;
  EXPECT_EQ(lines_of(table).size(), 2u);
}

TEST_F(Nodes, EraseRemovesAllOrNone) {
  put("a", "a", "[1, 0, 0]");
  put("b", "b", "[1, 0, 0]");
  EXPECT_EQ(mneme("erase", "mind", "--space", "notes", "a", "missing").exit_code, 3);
  EXPECT_EQ(member(object("get", "mind", "--space", "notes", "a"), "id"), "a");
  EXPECT_EQ(member(object("erase", "mind", "--space", "notes", "a", "b"), "erased"), "2");
  EXPECT_EQ(mneme("get", "mind", "--space", "notes", "a").exit_code, 3);
}

TEST_F(Nodes, LinksAreMadeListedFromBothEndsAndRemoved) {
  put("a", "a", "[1, 0, 0]");
  put("b", "b", "[1, 0, 0]");
  done("link", "mind", "--space", "notes", "a", "b", "--type", "causes", "--weight", "-0.5");
  const Value out = object("link", "mind", "--space", "notes", "a", "--list");
  EXPECT_EQ(member(out, "from"), "a");
  EXPECT_EQ(member(out, "to"), "b");
  EXPECT_EQ(member(out, "type"), "causes");
  EXPECT_EQ(member(out, "weight"), "-0.5");
  EXPECT_EQ(object("link", "mind", "--space", "notes", "b", "--list", "--direction", "in"), out);
  EXPECT_TRUE(objects("link", "mind", "--space", "notes", "b", "--list").empty());
  EXPECT_TRUE(objects("link", "mind", "--space", "notes", "a", "--list", "--type", "related").empty());
  done("link", "mind", "--space", "notes", "a", "b", "--type", "causes", "--remove");
  EXPECT_TRUE(objects("link", "mind", "--space", "notes", "a", "--list").empty());
}

TEST_F(Nodes, ALinkToNothingIsNotFound) {
  put("a", "a", "[1, 0, 0]");
  EXPECT_EQ(mneme("link", "mind", "--space", "notes", "a", "nobody").exit_code, 3);
}

TEST_F(Nodes, MoveChangesTheTierAndNothingElse) {
  put_tea();
  const Value before = tea();
  for (const char* tier : {"cold", "warm", "hot"}) {
    const Value moved = object("move", "mind", "--space", "notes", "tea", "--to", tier);
    EXPECT_EQ(member(moved, "tier"), tier);
    Value now = tea();
    now.set("tier", member(before, "tier"));
    EXPECT_EQ(now, before);
  }
}

TEST_F(Nodes, EveryDurabilityIsTakenAndReadBack) {
  for (const char* durability : {"sync", "interval", "memory"}) {
    done("put", "mind", "--space", "notes", "--id", durability, "--content", "x", "--durability", durability);
    EXPECT_EQ(member(object("get", "mind", "--space", "notes", durability), "content"), "x");
  }
}

TEST_F(Nodes, ReadOnlyReadsAndRefusesToWrite) {
  put_tea();
  EXPECT_EQ(member(object("get", "mind", "--space", "notes", "tea", "--read-only"), "content"), "green tea");
  const Ran ran = mneme("put", "mind", "--space", "notes", "--content", "x", "--read-only", "--json");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(error_member(ran, "code"), "FailedPrecondition");
}

}  // namespace
}  // namespace mneme::tools
