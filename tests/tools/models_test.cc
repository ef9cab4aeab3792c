// Several embedding models of a space, as a user runs them.
#include "cli_fixture.h"

namespace mneme::tools {
namespace {

// A space on its way from one embedding model to the next.
class Models : public CliTest {
 protected:
  Models() {
    make_mind();
    done("space", "add-generation", "mind", "notes", "--dim", "2", "--metric", "ip", "--model", "new");
  }
  void put_half_migrated() {
    done("put", "mind", "--space", "notes", "--id", "old", "--vector", "[1, 0, 0]");
    done("put", "mind", "--space", "notes", "--id", "both", "--vector", "[0, 1, 0]", "--also", "1:[0, 1]");
    done("put", "mind", "--space", "notes", "--id", "new", "--generation", "1", "--vector", "[1, 1]");
  }
  std::vector<std::string> found(std::vector<std::string> options) {
    std::vector<std::string> arguments{"--json", "search", "mind", "--space", "notes"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    std::vector<std::string> ids;
    for (const Value& hit : objects_of(done_with(arguments))) ids.push_back(member(hit, "id"));
    return ids;
  }
  using Found = std::vector<std::string>;
};

TEST_F(Models, AreNumberedWhereThereIsAChoice) {
  EXPECT_EQ(member(object("space", "stats", "mind", "notes"), "generations"),
            R"([{"generation":0,"model":"default","dimension":3,"metric":"cosine"},)"
            R"({"generation":1,"model":"new","dimension":2,"metric":"ip"}])");
  EXPECT_NE(done("space", "list", "mind").find("0: default 3 cosine, 1: new 2 ip"), std::string::npos);
}

TEST_F(Models, PutSaysOfWhichModelsItsVectorsAre) {
  put_half_migrated();
  EXPECT_EQ(member(object("get", "mind", "--space", "notes", "both"), "vectors"),
            R"([{"generation":0,"dimension":3},{"generation":1,"dimension":2}])");
  done("put", "mind", "--space", "notes", "--id", "text", "--content", "tea", "--embedder", "hash", "--also", "1");
  EXPECT_EQ(member(object("get", "mind", "--space", "notes", "text"), "vectors"),
            R"([{"generation":0,"dimension":3},{"generation":1,"dimension":2}])");
  for (const char* also : {"1", "1*2:[0, 1]", "x:[0, 1]", "1:", "70000:[0, 1]", "1:[0]", "9:[0, 1]"})
    EXPECT_EQ(
        mneme("put", "mind", "--space", "notes", "--id", "bad", "--vector", "[1, 0, 0]", "--also", also).exit_code, 2)
        << also;
}

TEST_F(Models, SearchFindsTheNodesOfAllModelsThatItNames) {
  put_half_migrated();
  EXPECT_EQ(found({"--vector", "[1, 0, 0]"}), (Found{"old", "both"}));
  EXPECT_EQ(found({"--generation", "1", "--vector", "[1, 0]"}), (Found{"new", "both"}));
  EXPECT_EQ(found({"--vector", "[1, 0, 0]", "--also", "1:[1, 0]"}), (Found{"both", "old", "new"}));
  EXPECT_EQ(found({"--vector", "[1, 0, 0]", "--also", "1*100:[1, 0]", "--weight", "0.5"}),
            (Found{"new", "both", "old"}));
  EXPECT_EQ(found({"--like", "both", "--also", "1"}), (Found{"old", "new"}));
  EXPECT_EQ(found({"--text", "tea", "--embedder", "hash", "--also", "1", "-k", "2"}).size(), 2u);
  const auto hits = objects("search", "mind", "--space", "notes", "--vector", "[1, 0, 0]", "--also", "1:[1, 0]",
                            "--ids-only", "-k", "1");
  EXPECT_EQ(member(hits.at(0), "score"), "0.032258064");
}

TEST_F(Models, SearchRefusesWhatDoesNotFuse) {
  put_half_migrated();
  const auto code = [&](std::vector<std::string> options) {
    std::vector<std::string> arguments{"search", "mind", "--space", "notes"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return run(arguments).exit_code;
  };
  EXPECT_EQ(code({"--vector", "[1, 0, 0]", "--also", "1"}), 2);
  EXPECT_EQ(code({"--like", "both", "--also", "1:[1, 0]"}), 2);
  EXPECT_EQ(code({"--vector", "[1, 0, 0]", "--weight", "2"}), 2);
  EXPECT_EQ(code({"--vector", "[1, 0, 0]", "--also", "1*0:[1, 0]"}), 2);
  EXPECT_EQ(code({"--vector", "[1, 0, 0]", "--also", "1:[1, 0]", "--diversity", "0.5"}), 2);
  EXPECT_EQ(code({"--vector", "[1, 0, 0]", "--also", "0:[1, 0, 0]"}), 2);
  EXPECT_EQ(code({"--vector", "[1, 0, 0]", "--also", "9:[1, 0]"}), 3);
}

TEST_F(Models, DropTakesAModelAwayAndTheNextOneIsThenTheFirst) {
  put_half_migrated();
  EXPECT_EQ(mneme("space", "drop-generation", "mind", "notes", "--generation", "0").exit_code, 2);  // nobody to ask
  EXPECT_EQ(mneme("space", "drop-generation", "mind", "notes", "--yes").exit_code, 2);              // which?
  EXPECT_EQ(mneme("space", "drop-generation", "mind", "notes", "--generation", "9", "--yes").exit_code, 3);
  EXPECT_EQ(member(object("space", "drop-generation", "mind", "notes", "--generation", "0", "--yes"), "generations"),
            R"([{"generation":1,"model":"new","dimension":2,"metric":"ip"}])");
  EXPECT_EQ(found({"--vector", "[1, 0]"}), (Found{"new", "both"}));
  EXPECT_EQ(member(object("get", "mind", "--space", "notes", "old"), "vectors"), "absent");
  const Ran gone = mneme("search", "mind", "--space", "notes", "--generation", "0", "--vector", "[1, 0, 0]", "--json");
  EXPECT_EQ(gone.exit_code, 3);
  EXPECT_NE(error_member(gone, "message").find("was dropped"), std::string::npos) << gone.err;
  EXPECT_EQ(mneme("space", "drop-generation", "mind", "notes", "--generation", "1", "--yes").exit_code, 1);
  EXPECT_EQ(member(object("verify", "mind", "--deep"), "problem_count"), "0");
}

}  // namespace
}  // namespace mneme::tools
