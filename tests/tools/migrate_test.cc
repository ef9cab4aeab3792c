// migrate-dual: what goes in comes out, a repeat writes nothing, a kill loses nothing.
#include "cli_fixture.h"
#include "memories.h"
#include "mneme/storage/failpoint.h"

namespace mneme::tools {
namespace {

class MigrateDual : public CliTest {
 protected:
  void legacy_store(const std::string& lines) {
    write("in.jsonl", lines);
    done("legacy", "import", "old", "--from", "jsonl", "in.jsonl");
  }
  static std::vector<std::string> command(const std::vector<std::string>& more = {}) {
    std::vector<std::string> all{"migrate-dual", "--source", "old", "--target", "new", "--space", "s", "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Value migrate(const std::vector<std::string>& more = {}) {
    const std::vector<Value> all = objects_of(done_with(command(more)));
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? Value() : all.front();
  }
  Ran verify() {
    return mneme("migrate-dual", "verify", "--source", "old", "--target", "new", "--space", "s", "--json");
  }
  std::string exported() {
    done("export", "new", "--space", "s", "--to", "jsonl", "out.jsonl");
    return read("out.jsonl");
  }
  void expect_everything_again(const std::string& imported) {
    const auto in = by_id(imported), out = by_id(exported());
    EXPECT_EQ(in.size(), out.size());
    for (const auto& [id, line] : in) {
      const auto found = out.find(id);
      ASSERT_NE(found, out.end()) << "gone: " << id.substr(0, 100);
      EXPECT_EQ(difference(line, found->second), "") << id.substr(0, 100);
    }
  }
};

TEST_F(MigrateDual, EveryMemberOfEveryMemoryComesOutAgain) {
  std::string lines;
  for (const std::string& line : tricky_lines()) lines += line + "\n";
  legacy_store(lines);
  const Value result = migrate();
  EXPECT_EQ(member(result, "source_records"), std::to_string(tricky_lines().size()));
  EXPECT_EQ(member(result, "migrated"), member(result, "source_records"));
  EXPECT_EQ(member(result, "quarantined"), "0");
  EXPECT_EQ(member(result, "verified"), "true");
  EXPECT_EQ(member(result, "source_digest"), member(result, "target_digest"));
  expect_everything_again(lines);
}

TEST_F(MigrateDual, AMigratedMemoryIsFoundByItsOldIdAndBySearch) {
  legacy_store(many_lines(50));
  migrate();
  const Value node = object("get", "new", "--space", "s", "m7");
  EXPECT_EQ(member(node, "content"), "memory number 7");
  EXPECT_EQ(member(node, "kind"), "episode");
  const Value hit = object("search", "new", "--space", "s", "--vector", "[100000,1,2,3,4,5,6,0.125]", "-k", "1",
                           "--filter", R"({"metadata.n": {"lt": 10}})");
  EXPECT_EQ(member(hit, "id"), "m9");
}

TEST_F(MigrateDual, ASecondRunWritesNothing) {
  legacy_store(many_lines(500));
  migrate();
  const std::string last = member(object("stats", "new"), "last_lsn");
  const Value again = migrate();
  EXPECT_EQ(member(again, "migrated_now"), "0");
  EXPECT_EQ(member(again, "migrated"), "500");
  EXPECT_EQ(member(again, "was_finished"), "true");
  EXPECT_EQ(member(object("stats", "new"), "last_lsn"), last);
}

TEST_F(MigrateDual, TheDatabaseAndTheSpaceAreMadeInTheShapeOfTheSource) {
  legacy_store(many_lines(10));
  migrate();
  EXPECT_EQ(member(object("space", "stats", "new", "s"), "generations"),
            R"([{"generation":0,"model":"default","dimension":8,"metric":"cosine"}])");
}

TEST_F(MigrateDual, ASpaceOfAnotherDimensionIsRefused) {
  legacy_store(many_lines(10));
  done("init", "new", "--dim", "3");
  done("space", "create", "new", "s");
  const Ran ran = run(command());
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_NE(error_member(ran, "message").find("dimension"), std::string::npos) << ran.err;
}

TEST_F(MigrateDual, ASpaceThatHoldsOtherNodesIsRefused) {
  legacy_store(many_lines(10));
  done("init", "new", "--dim", "8");
  done("space", "create", "new", "s");
  done("put", "new", "--space", "s", "--content", "mine");
  const Ran ran = run(command());
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(error_member(ran, "code"), "FailedPrecondition");
  EXPECT_EQ(member(object("space", "stats", "new", "s"), "nodes"), "1");
}

TEST_F(MigrateDual, AnEmptyStoreMigratesToAnEmptySpace) {
  legacy_store("");
  const Value result = migrate();
  EXPECT_EQ(member(result, "migrated"), "0");
  EXPECT_EQ(member(result, "verified"), "true");
}

TEST_F(MigrateDual, VerifyComparesBothSides) {
  legacy_store(many_lines(300));
  migrate();
  const Ran ran = verify();
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  const Value report = objects_of(ran.out).at(0);
  EXPECT_EQ(member(report, "source_count"), "300");
  EXPECT_EQ(member(report, "target_count"), "300");
  EXPECT_EQ(member(report, "source_digest"), member(report, "target_digest"));
}

TEST_F(MigrateDual, VerifyExitsWithFourWhenOneNodeIsMissingOrChanged) {
  legacy_store(many_lines(300));
  migrate();
  done("erase", "new", "--space", "s", "m123");
  const Ran erased = verify();
  EXPECT_EQ(erased.exit_code, 4) << erased.err;
  EXPECT_EQ(member(objects_of(erased.out).at(0), "target_count"), "299");
  EXPECT_EQ(error_member(erased, "code"), "Mismatch");

  // The same count again, and one other text.
  done(
      "put", "new", "--space", "s", "--line",
      R"({"id": "m123", "content": "memory number 124", "metadata": {"n": 123}, "embedding": [123,1,2,3,4,5,6,0.125]})");
  const Ran changed = verify();
  EXPECT_EQ(changed.exit_code, 4) << changed.err;
  EXPECT_EQ(member(objects_of(changed.out).at(0), "target_count"), "300");
  EXPECT_NE(member(objects_of(changed.out).at(0), "differences").find("m123"), std::string::npos) << changed.out;
}

TEST_F(MigrateDual, AKillAfterAnyChunkIsResumedWithOtherWorkersAndLosesNothing) {
  if (!failpoint::enabled()) GTEST_SKIP() << "built without failpoints";
  const std::string lines = many_lines(2'000);
  legacy_store(lines);
  environment("MNEME_FAILPOINTS", "migration.after_insert=kill@7");
  EXPECT_EQ(run(command({"--batch-size", "50", "--parallel-workers", "1"})).exit_code, 128 + 9);
  environment("MNEME_FAILPOINTS", "migration.before_insert=kill@5");
  EXPECT_EQ(run(command({"--batch-size", "50", "--parallel-workers", "2", "--resume"})).exit_code, 128 + 9);
  environment("MNEME_FAILPOINTS", "migration.before_report=kill");
  EXPECT_EQ(run(command({"--parallel-workers", "2", "--resume"})).exit_code, 128 + 9);
  environment("MNEME_FAILPOINTS", "");

  const Ran without = run(command());
  EXPECT_EQ(without.exit_code, 1);
  EXPECT_NE(error_member(without, "hint").find("--resume"), std::string::npos) << without.err;

  const Value result = migrate({"--resume", "--parallel-workers", "3"});
  EXPECT_EQ(member(result, "migrated"), "2000");
  EXPECT_EQ(verify().exit_code, 0);
  EXPECT_EQ(member(object("space", "stats", "new", "s"), "nodes"), "2000");
  expect_everything_again(lines);
}

TEST_F(MigrateDual, TheSourceIsLeftAsItWas) {
  legacy_store(many_lines(200));
  const std::string before = done("legacy", "export", "old", "--to", "jsonl", "-", "--quiet");
  const std::string change = member(object("legacy", "stats", "old"), "last_lsn");
  migrate();
  EXPECT_EQ(done("legacy", "export", "old", "--to", "jsonl", "-", "--quiet"), before);
  EXPECT_EQ(member(object("legacy", "stats", "old"), "last_lsn"), change);
}

TEST_F(MigrateDual, PeopleReadTheSameNumbers) {
  legacy_store(many_lines(1'234));
  const std::string page = done("migrate-dual", "--source", "old", "--target", "new", "--space", "s");
  EXPECT_NE(page.find("1,234 memories"), std::string::npos) << page;
  EXPECT_NE(page.find("both sides hold the same"), std::string::npos) << page;
}

}  // namespace
}  // namespace mneme::tools
