// What the verification finds when the target was changed behind the migrator's back.
#include "migrator_fixture.h"

namespace mneme::migration {
namespace {

class MigrationVerify : public MigratorTest {
 protected:
  void SetUp() override {
    fill(200);
    migrated(options(), 200);
    victim_ = source().ids()[static_cast<std::size_t>(below(200))];
  }

  /// The one range that differs; it must be the one the victim lies in.
  PartitionDifference only_difference() {
    const Result<MigrationResult> result = verify();
    EXPECT_TRUE(result.ok()) << result.status().to_string();
    EXPECT_FALSE(result->verified);
    EXPECT_NE(result->source, result->target);
    EXPECT_EQ(result->differences.size(), 1u);
    if (result->differences.size() != 1) return {};
    const PartitionDifference& difference = result->differences.front();
    EXPECT_LE(difference.begin, victim_);
    EXPECT_TRUE(difference.end.empty() || victim_ < difference.end);
    EXPECT_EQ(difference.examples.size(), 1u);
    return difference;
  }

  std::string victim_;
};

TEST_F(MigrationVerify, IsCleanAfterAMigrationAndWritesNothing) {
  const auto files = files_under(directory());
  const Lsn last = database().stats().last;
  const Result<MigrationResult> result = verify();
  ASSERT_TRUE(result.ok()) << result.status().to_string();
  EXPECT_TRUE(result->verified);
  EXPECT_TRUE(result->differences.empty());
  EXPECT_EQ(result->source_records, 200u);
  EXPECT_EQ(result->migrated, 200u);
  EXPECT_EQ(database().stats().last, last);
  EXPECT_EQ(files_under(directory()), files);
}

TEST_F(MigrationVerify, NamesTheRangeAndTheIdOfALostNode) {
  ASSERT_OK(space().erase(space().id_for_external(victim_)));
  const PartitionDifference difference = only_difference();
  EXPECT_EQ(difference.source_count, difference.target_count + 1);
  EXPECT_NE(difference.examples.at(0).find("is missing from the target"), std::string::npos);
}

TEST_F(MigrationVerify, NamesTheRangeAndTheIdOfAChangedNode) {
  Node node = node_of(victim_);
  node.content = node.content.value_or("") + "!";
  ASSERT_OK(space().put(node).status());
  const PartitionDifference difference = only_difference();
  EXPECT_EQ(difference.source_count, difference.target_count);
  EXPECT_NE(difference.examples.at(0).find("differs"), std::string::npos);
}

TEST_F(MigrationVerify, SeesTheSignOfAZero) {
  Node node = node_of(victim_);
  node.source_nulls = 0;
  node.vectors = {NodeVector{GenerationId{0}, std::vector<float>(kTestDimension, 1.0F)}};
  node.vectors[0].values[3] = 0.0F;
  ASSERT_OK(space().put(node).status());
  // Make the source say the same but for the sign, and nothing else.
  Memory memory = to_memory(node_of(victim_)).value();
  memory.embedding->at(3) = -0.0F;
  ASSERT_OK(source().put(std::span(&memory, 1)));
  EXPECT_NE(only_difference().examples.at(0).find("differs"), std::string::npos);
}

TEST_F(MigrationVerify, NamesTheRangeOfAnExtraMemory) {
  victim_ += "!";
  Memory memory;
  memory.id = victim_;
  ASSERT_OK(space().put(from_memory(memory, space().name())).status());
  const PartitionDifference difference = only_difference();
  EXPECT_EQ(difference.source_count + 1, difference.target_count);
  EXPECT_NE(difference.examples.at(0).find("is not in the source"), std::string::npos);
}

TEST_F(MigrationVerify, CountsNodesThatAreNoMemories) {
  Node node;
  node.kind = NodeKind::Concept;
  node.content = "learned since";
  ASSERT_OK(space().put(node).status());
  const Result<MigrationResult> result = verify();
  ASSERT_TRUE(result.ok()) << result.status().to_string();
  EXPECT_FALSE(result->verified);
  ASSERT_EQ(result->differences.size(), 1u);
  EXPECT_EQ(result->differences[0].target_count, 1u);
  EXPECT_EQ(result->source, result->target);
}

TEST_F(MigrationVerify, FindsWhatTheSourceHoldsSince) {
  Memory memory;
  memory.id = "new in the source";
  victim_ = memory.id;
  ASSERT_OK(source().put(std::span(&memory, 1)));
  EXPECT_EQ(only_difference().source_count, only_difference().target_count + 1);
}

TEST_F(MigrationVerify, WorksWithoutAPlan) {
  std::filesystem::remove(plan_file());
  EXPECT_TRUE(verify()->verified);
  ASSERT_OK(space().erase(space().id_for_external(victim_)));
  EXPECT_EQ(only_difference().source_count, only_difference().target_count + 1);
}

TEST_F(MigrationVerify, RefusesAnotherSource) {
  Uuid other;
  other.bytes.fill(7);
  source().set_id(other);
  EXPECT_EQ(verify().status().code(), Code::FailedPrecondition);
}

TEST_F(MigrationVerify, DoesNotTrustARunThatIsHalfDone) {
  ASSERT_OK(database().drop_space(kTestSpace));
  reopen();
  migrate_in_part(3);
  const Result<MigrationResult> result = verify();
  ASSERT_TRUE(result.ok()) << result.status().to_string();
  EXPECT_FALSE(result->verified);
  EXPECT_LT(result->migrated, 200u);
}

}  // namespace
}  // namespace mneme::migration
