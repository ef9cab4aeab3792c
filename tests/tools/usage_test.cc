// Usage, help, errors and exit codes: what a script and a newcomer rely on.
#include "cli_fixture.h"

namespace mneme::tools {
namespace {

class Usage : public CliTest {
 protected:
  using Arguments = std::vector<std::string>;
  /// Refused as usage: exit 2, nothing on standard output, an error for people.
  void refused(const Arguments& arguments, const std::string& because) {
    const Ran ran = run(arguments);
    EXPECT_EQ(ran.exit_code, 2) << ran.out << ran.err;
    EXPECT_EQ(ran.out, "");
    EXPECT_NE(ran.err.find(because), std::string::npos) << "expected " << because << " in " << ran.err;
  }
};

TEST_F(Usage, WithoutACommandItPrintsTheCommandsAndFails) {
  const Ran ran = mneme();
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_NE(ran.err.find("migrate-dual"), std::string::npos);
}

TEST_F(Usage, EveryCommandHasAHelpPageThatNamesItsOptions) {
  const std::vector<Arguments> commands = {{"init"},
                                           {"stats"},
                                           {"verify"},
                                           {"space"},
                                           {"space", "create"},
                                           {"space", "list"},
                                           {"space", "stats"},
                                           {"space", "stop"},
                                           {"space", "start"},
                                           {"space", "drop"},
                                           {"space", "add-generation"},
                                           {"space", "drop-generation"},
                                           {"put"},
                                           {"get"},
                                           {"erase"},
                                           {"move"},
                                           {"link"},
                                           {"search"},
                                           {"scan"},
                                           {"import"},
                                           {"export"},
                                           {"legacy"},
                                           {"legacy", "get"},
                                           {"legacy", "stats"},
                                           {"legacy", "import"},
                                           {"legacy", "export"},
                                           {"migrate-dual"},
                                           {"migrate-dual", "verify"},
                                           {"help"},
                                           {"completion"}};
  for (const Arguments& command : commands) {
    Arguments helped = command, flagged = command;
    helped.insert(helped.begin(), "help");
    flagged.emplace_back("--help");
    const std::string page = done_with(helped);
    EXPECT_EQ(done_with(flagged), page);
    EXPECT_NE(page.find("usage: mneme " + command.front()), std::string::npos) << page;
    for (const std::string& line : lines_of(page)) EXPECT_LE(line.size(), 130u) << line;
  }
  EXPECT_NE(done("help", "migrate-dual").find("--parallel-workers"), std::string::npos);
}

TEST_F(Usage, VersionIsPrinted) { EXPECT_EQ(done("--version"), "mneme 0.1.0\n"); }

TEST_F(Usage, ExitCodesAreDocumented) {
  const std::string page = done("help", "exit-codes");
  for (const char* code : {"    0  ", "    1  ", "    2  ", "    3  ", "    4  ", "   75  ", "  130  ", "  141  "})
    EXPECT_NE(page.find(code), std::string::npos) << code;
}

TEST_F(Usage, CompletionIsAScriptThatBashAcceptsAndThatOffersCommandsAndOptions) {
  write("complete.sh", done("completion", "bash"));
  const Ran ran = shell(
      "source complete.sh\n"
      "words() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _mneme; echo \"${COMPREPLY[*]}\"; }\n"
      "words mneme migr\n"
      "words mneme space cr\n"
      "words mneme legacy import --em\n"
      "words mneme put d --kind ''\n"
      "words mneme put d --read\n");
  EXPECT_EQ(ran.err, "");
  EXPECT_EQ(ran.out, "migrate-dual\ncreate\n--embedder\nepisode concept\n--read-only\n");
}

TEST_F(Usage, UnknownThingsAreRefusedByName) {
  refused({"frobnicate"}, "frobnicate");
  refused({"put", "d", "--space", "s", "--colour", "red"}, "--colour");
  refused({"init", "d", "--dim", "3", "extra"}, "extra");
  refused({"help", "nothing"}, "nothing");
  refused({"space"}, "command is missing");
  refused({"completion", "fish"}, "fish");
}

TEST_F(Usage, WhatIsMissingIsNamed) {
  refused({"init", "d"}, "--dim");
  refused({"init"}, "DIR");
  refused({"get", "d", "--space", "s"}, "ID");
  refused({"put", "d", "--content", "x"}, "--space");
  refused({"import", "d", "--space", "s", "--from", "jsonl"}, "PATH");
  refused({"migrate-dual"}, "--source");
  refused({"migrate-dual", "--source", "a", "--target", "b"}, "--space");
}

TEST_F(Usage, WhatThisReleaseCannotDoIsNeverAcceptedAndIgnored) {
  for (const std::string option : {"--dry-run", "--rate-limit", "--memory-budget-mb", "--checkpoint-interval"})
    refused({"migrate-dual", "--source", "a", "--target", "b", "--space", "s", option}, option);
  refused({"migrate-dual", "--source", "a", "--target", "b", "--space", "s", "--mode", "online"}, "offline only");
  refused({"migrate-dual", "verify", "--source", "a", "--target", "b", "--space", "s", "--resume"}, "--resume");
  refused({"migrate-dual", "rollback"}, "rollback");
  refused({"help", "--read-only"}, "--read-only");
}

TEST_F(Usage, NumbersOutOfRangeAreRefused) {
  for (const std::string number : {"0", "65537", "-1", "99999999999999999999999999", "3.5", "0x10", "", " 3", "３"})
    refused({"init", "d", "--dim", number}, "--dim");
  refused({"search", "d", "--space", "s", "--vector", "[1]", "-k", "0"}, "-k");
  refused({"put", "d", "--space", "s", "--content", "x", "--activation", "nan"}, "--activation");
  refused({"put", "d", "--space", "s", "--content", "x", "--activation", "1e999"}, "--activation");
  EXPECT_FALSE(std::filesystem::exists(path("d")));
}

TEST_F(Usage, BrokenInputIsRefusedAndNothingIsWritten) {
  make_mind();
  const Arguments put{"put", "mind", "--space", "notes"};
  const auto with = [&](Arguments more) {
    more.insert(more.begin(), put.begin(), put.end());
    return more;
  };
  refused(with({"--vector", "[NaN, 0, 0]"}), "NaN");
  refused(with({"--vector", "[1, 2]"}), "3");
  refused(with({"--vector", "[1, 2, 1e39]"}), "1e39");
  refused(with({"--vector", "[1, 2, 3"}), "vector");
  refused(with({"--vector", "[1, 2, 3,]"}), "comma");
  refused(with({"--vector", "[]"}), "no values");
  refused(with({"--content", "x", "--metadata", "{\"a\": 1,}"}), "--metadata");
  refused(with({"--content", "x", "--metadata", "{\"a\": 1, \"a\": 2}"}), "--metadata");
  refused(with({"--content", "\xff\xfe"}), "UTF-8");
  refused(with({"--content", "x", "--id", "\xc0\x80"}), "UTF-8");
  refused(with({"--content", "x", "--activation", "1.5"}), "activation");
  refused(with({"--content", "x", "--created-at", "yesterday"}), "--created-at");
  refused(with({"--content", "x", "--namespace", "a//b"}), "--namespace");
  refused(with({"--line", "{\"id\": 3}"}), "id");
  refused(with({"--line", "{\"id\": \"a\"}", "--tag", "x"}), "--line");
  refused(with({"--tag", "x"}), "nothing to put");
  refused({"search", "mind", "--space", "notes", "--vector", "[1, 2]"}, "3");
  refused({"search", "mind", "--space", "notes"}, "--vector");
  refused({"search", "mind", "--space", "notes", "--text", "x"}, "--embedder");
  refused({"scan", "mind", "--space", "notes", "--filter", "{\"colour\": 1}"}, "colour");
  refused({"scan", "mind", "--space", "notes", "--filter", "[1"}, "--filter");
  refused({"link", "mind", "--space", "notes", "a"}, "TO");
  refused({"import", "mind", "--space", "notes", "--from", "parquet", "x"}, "parquet");
  EXPECT_EQ(member(object("space", "stats", "mind", "notes"), "nodes"), "0");
}

TEST_F(Usage, ContentBeyondTheLimitIsRefused) {
  make_mind();
  const Ran ran = run({"put", "mind", "--space", "notes", "--content", "-"}, std::string((16u << 20) + 1, 'x'));
  EXPECT_EQ(ran.exit_code, 2) << ran.err;
  EXPECT_EQ(run({"put", "mind", "--space", "notes", "--content", "-"}, std::string(1u << 20, 'x')).exit_code, 0);
  EXPECT_EQ(run({"put", "mind", "--space", "notes", "--content", "-"}, "\xff").exit_code, 2);
  EXPECT_EQ(member(object("space", "stats", "mind", "notes"), "nodes"), "1");
}

TEST_F(Usage, WhatIsNotThereExitsWithThreeAndSaysHowToMakeIt) {
  const Ran no_database = mneme("stats", "nowhere", "--json");
  EXPECT_EQ(no_database.exit_code, 3);
  EXPECT_EQ(error_member(no_database, "code"), "NotFound");
  EXPECT_NE(error_member(no_database, "hint").find("mneme init nowhere"), std::string::npos) << no_database.err;
  EXPECT_FALSE(std::filesystem::exists(path("nowhere")));

  make_mind();
  const Ran no_space = mneme("get", "mind", "--space", "it's", "x", "--json");
  EXPECT_EQ(no_space.exit_code, 3);
  EXPECT_NE(error_member(no_space, "hint").find(R"(mneme space create mind 'it'\''s')"), std::string::npos);
  EXPECT_EQ(mneme("get", "mind", "--space", "notes", "x").exit_code, 3);
  EXPECT_EQ(mneme("legacy", "stats", "nowhere").exit_code, 3);
  EXPECT_EQ(mneme("search", "mind", "--space", "notes", "--vector", "[1,0,0]", "--generation", "7").exit_code, 3);
  EXPECT_EQ(mneme("import", "mind", "--space", "notes", "--from", "jsonl", "missing.jsonl").exit_code, 3);
}

TEST_F(Usage, JsonStandsBeforeOrAfterTheCommand) {
  make_mind();
  const std::string after = done("space", "list", "mind", "--json");
  EXPECT_EQ(done("--json", "space", "list", "mind"), after);
  EXPECT_EQ(done("space", "--json", "list", "mind"), after);
  EXPECT_EQ(objects_of(after).size(), 1u);
}

TEST_F(Usage, EveryCommandAnswersInJson) {
  make_mind();
  write("in.jsonl", R"({"id": "a", "content": "x", "embedding": [1, 2, 3]})"
                    "\n"
                    R"({"id": "b", "content": "y"})"
                    "\n");
  const std::vector<Arguments> commands = {
      {"init", "other", "--dim", "3"},
      {"space", "create", "mind", "more"},
      {"space", "list", "mind"},
      {"space", "stats", "mind"},
      {"space", "stop", "mind", "more"},
      {"space", "start", "mind", "more"},
      {"space", "add-generation", "mind", "more", "--dim", "2"},
      {"space", "drop-generation", "mind", "more", "--generation", "1", "--yes"},
      {"space", "drop", "mind", "more", "--yes"},
      {"import", "mind", "--space", "notes", "--from", "jsonl", "in.jsonl"},
      {"put", "mind", "--space", "notes", "--content", "x"},
      {"get", "mind", "--space", "notes", "a"},
      {"link", "mind", "--space", "notes", "a", "b"},
      {"link", "mind", "--space", "notes", "a", "--list"},
      {"move", "mind", "--space", "notes", "a", "--to", "cold"},
      {"search", "mind", "--space", "notes", "--vector", "[1,0,0]"},
      {"scan", "mind", "--space", "notes"},
      {"export", "mind", "--space", "notes", "--to", "jsonl", "out.jsonl"},
      {"export", "mind", "--space", "notes", "--to", "jsonl", "-"},
      {"link", "mind", "--space", "notes", "a", "b", "--remove"},
      {"erase", "mind", "--space", "notes", "b"},
      {"legacy", "import", "old", "--from", "jsonl", "in.jsonl"},
      {"legacy", "stats", "old"},
      {"legacy", "get", "old", "a"},
      {"legacy", "export", "old", "--to", "jsonl", "old.jsonl"},
      {"migrate-dual", "--source", "old", "--target", "new", "--space", "s"},
      {"migrate-dual", "verify", "--source", "old", "--target", "new", "--space", "s"},
      {"verify", "mind", "--deep"},
      {"stats", "mind"}};
  for (Arguments command : commands) {
    command.emplace_back("--json");
    const Ran ran = run(command);
    EXPECT_EQ(ran.exit_code, 0) << command[0] << " " << command[1] << "\n" << ran.err;
    EXPECT_FALSE(objects_of(ran.out).empty()) << command[0];
    objects_of(ran.err);
  }
}

TEST_F(Usage, ErrorsAreJsonWithTheSameExitCode) {
  for (const Arguments& arguments : std::vector<Arguments>{
           {"stats", "nowhere"}, {"frobnicate"}, {"init", "d", "--dim", "x"}, {"migrate-dual", "--mode", "online"}}) {
    Arguments in_json = arguments;
    in_json.emplace_back("--json");
    const Ran people = run(arguments), script = run(in_json);
    EXPECT_EQ(people.exit_code, script.exit_code);
    EXPECT_EQ(script.out, "");
    EXPECT_NE(error_member(script, "code"), "absent");
    EXPECT_NE(people.err.find(error_member(script, "code")), std::string::npos) << people.err;
  }
}

TEST_F(Usage, PathsThatAreNoUtf8StillGiveValidJson) {
  const Ran ran = mneme("stats",
                        "bad\xff"
                        "dir",
                        "--json");
  EXPECT_EQ(ran.exit_code, 3);
  EXPECT_NE(error_member(ran, "message")
                .find("bad\xef\xbf\xbd"
                      "dir"),
            std::string::npos)
      << ran.err;
}

TEST_F(Usage, AFullDiskBehindStandardOutputIsAnError) {
  make_mind();
  const Ran ran = shell("mneme space list mind >/dev/full");
  EXPECT_EQ(ran.exit_code, 75);
  EXPECT_NE(ran.err.find("standard output"), std::string::npos) << ran.err;
}

}  // namespace
}  // namespace mneme::tools
