// init, space, stats and verify, as a user runs them.
#include <fstream>

#include "cli_fixture.h"

namespace mneme::tools {
namespace {

using Spaces = CliTest;

TEST_F(Spaces, InitMakesADatabaseThatItsSpacesTakeTheirShapeFrom) {
  const Value made = object("init", "mind", "--dim", "5", "--metric", "l2");
  EXPECT_EQ(member(made, "dimension"), "5");
  EXPECT_EQ(member(made, "metric"), "l2");
  EXPECT_EQ(member(object("stats", "mind"), "database"), member(made, "database"));
  const Value space = object("space", "create", "mind", "s");
  EXPECT_EQ(member(space, "generations"), R"([{"generation":0,"model":"default","dimension":5,"metric":"l2"}])");
}

TEST_F(Spaces, InitLeavesADatabaseThatIsThereAlone) {
  make_mind();
  const auto before = listing("mind/store").size();
  const Ran ran = mneme("init", "mind", "--dim", "9", "--json");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(error_member(ran, "code"), "AlreadyExists");
  EXPECT_EQ(objects("space", "list", "mind").size(), 1u);
  EXPECT_GT(before, 0u);
}

TEST_F(Spaces, InitRefusesADirectoryWithOtherThingsInIt) {
  std::filesystem::create_directory(path("full"));
  write("full/letter.txt", "dear");
  EXPECT_EQ(mneme("init", "full", "--dim", "3").exit_code, 1);
  EXPECT_EQ(read("full/letter.txt"), "dear");
}

TEST_F(Spaces, ASpaceMayHaveAShapeOfItsOwn) {
  make_mind();
  const Value space =
      object("space", "create", "mind", "wide", "--dim", "1024", "--metric", "ip", "--model", "some-model");
  EXPECT_EQ(member(space, "generations"), R"([{"generation":0,"model":"some-model","dimension":1024,"metric":"ip"}])");
}

TEST_F(Spaces, NamesAreNeverPaths) {
  make_mind();
  const auto siblings = [&] {
    std::size_t n = 0;
    for (const auto& entry : std::filesystem::directory_iterator(path("."))) n += entry.exists() ? 1 : 0;
    return n;
  };
  const std::size_t before = siblings();
  for (const std::string& name :
       std::vector<std::string>{"../x", "/etc", "a/b", ".", "..", "[a,b]", "茶 室", "put", "--json-not"}) {
    done("space", "create", "mind", "--", name);
    done("put", "mind", "--space", name, "--id", "n", "--content", name);
    EXPECT_EQ(member(object("get", "mind", "--space", name, "n"), "content"), name);
  }
  EXPECT_EQ(objects("space", "list", "mind").size(), 10u);
  EXPECT_EQ(siblings(), before);
}

TEST_F(Spaces, NamesThatCannotBeAreRefused) {
  make_mind();
  for (const std::string& name : {std::string(), std::string("a\nb"), std::string("\x1b[2J"), std::string(256, 'x')}) {
    const Ran ran = mneme("space", "create", "mind", name, "--json");
    EXPECT_EQ(ran.exit_code, 2) << name;
    EXPECT_EQ(error_member(ran, "code"), "InvalidArgument");
  }
  EXPECT_EQ(objects("space", "list", "mind").size(), 1u);
}

TEST_F(Spaces, TheSameNameTwiceIsRefused) {
  make_mind();
  const Ran ran = mneme("space", "create", "mind", "notes", "--json");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(error_member(ran, "code"), "AlreadyExists");
}

TEST_F(Spaces, AStoppedSpaceReadsAndRefusesWritesUntilItIsStarted) {
  make_mind();
  done("put", "mind", "--space", "notes", "--id", "a", "--content", "x");
  EXPECT_EQ(member(object("space", "stop", "mind", "notes"), "state"), "stopped");
  const Ran ran = mneme("put", "mind", "--space", "notes", "--content", "y", "--json");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(error_member(ran, "code"), "FailedPrecondition");
  EXPECT_EQ(member(object("get", "mind", "--space", "notes", "a"), "content"), "x");
  EXPECT_EQ(member(object("space", "start", "mind", "notes"), "state"), "started");
  done("put", "mind", "--space", "notes", "--content", "y");
}

TEST_F(Spaces, DropNeedsAYesWhereNobodyCanBeAsked) {
  make_mind();
  done("put", "mind", "--space", "notes", "--content", "x");
  EXPECT_EQ(mneme("space", "drop", "mind", "notes").exit_code, 2);
  EXPECT_EQ(member(object("space", "stats", "mind", "notes"), "nodes"), "1");
  EXPECT_EQ(member(object("space", "drop", "mind", "notes", "--yes"), "nodes"), "1");
  EXPECT_EQ(mneme("space", "stats", "mind", "notes").exit_code, 3);
}

TEST_F(Spaces, StatsCountsWhatIsThere) {
  make_mind();
  done("put", "mind", "--space", "notes", "--id", "a", "--content", "x", "--vector", "[1,2,3]");
  done("put", "mind", "--space", "notes", "--id", "b", "--kind", "concept", "--content", "x");
  done("link", "mind", "--space", "notes", "a", "b", "--type", "binding");
  const Value space = object("space", "stats", "mind", "notes");
  EXPECT_EQ(member(space, "nodes"), "2");
  EXPECT_EQ(member(space, "episodes"), "1");
  EXPECT_EQ(member(space, "concepts"), "1");
  EXPECT_EQ(member(space, "vectors"), "1");
  EXPECT_EQ(member(space, "links"), "1");
  const Value all = object("stats", "mind");
  EXPECT_EQ(member(all, "nodes"), "2");
  EXPECT_EQ(member(all, "links"), "1");
  EXPECT_EQ(member(all, "health"), "ok");
}

TEST_F(Spaces, VerifyOfASoundDatabaseFindsNothing) {
  make_mind();
  done("put", "mind", "--space", "notes", "--content", "x", "--vector", "[1,2,3]");
  for (const char* depth : {"--quiet", "--deep"}) {
    const Value report = object("verify", "mind", depth);
    EXPECT_EQ(member(report, "problem_count"), "0");
    EXPECT_EQ(member(report, "nodes"), "1");
  }
}

TEST_F(Spaces, ADamagedManifestIsRefusedAndSaysWhere) {
  make_mind();
  std::string manifest = read("mind/MANIFEST");
  manifest[manifest.size() / 2] = static_cast<char>(manifest[manifest.size() / 2] ^ 0x10);
  write("mind/MANIFEST", manifest);
  const Ran ran = mneme("stats", "mind", "--json");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(error_member(ran, "code"), "Corruption");
  EXPECT_NE(error_member(ran, "message").find("MANIFEST"), std::string::npos) << ran.err;
}

}  // namespace
}  // namespace mneme::tools
