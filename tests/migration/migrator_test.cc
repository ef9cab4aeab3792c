// The offline migration from beginning to end: what it carries over, what it sets aside, what it refuses.
#include "migrator_fixture.h"

namespace mneme::migration {
namespace {

class OfflineMigration : public MigratorTest {};

TEST_F(OfflineMigration, CarriesEveryMemoryOverWithAnyNumberOfWorkers) {
  fill(300);
  for (const unsigned workers : {1U, 2U, 8U}) {
    SCOPED_TRACE(workers);
    const MigrationResult result = migrated(options(workers), 300);
    EXPECT_EQ(result.migrated_now, 300u);
    EXPECT_FALSE(result.was_finished);
    expect_target_equals_source();
    ASSERT_OK(database().drop_space(kTestSpace));
    reopen();
  }
}

TEST_F(OfflineMigration, GivesTheSameDigestHoweverItIsCut) {
  fill(120);
  std::optional<SetDigest> first;
  for (const std::size_t partitions : {1U, 3U, 120U}) {
    MigrationOptions cut = options();
    cut.partitions = partitions;
    cut.batch_size = 1 + partitions;
    const MigrationResult result = migrated(cut, 120);
    if (!first) first = result.source;
    EXPECT_EQ(result.source, *first) << partitions;
    ASSERT_OK(database().drop_space(kTestSpace));
    reopen();
  }
}

TEST_F(OfflineMigration, EndsAtOnceWhereThereIsNothing) {
  const MigrationResult result = migrated(options(), 0);
  EXPECT_EQ(result.source_records, 0u);
  EXPECT_TRUE(migrated(options(), 0).was_finished);
}

TEST_F(OfflineMigration, CarriesASingleMemoryOver) {
  fill(1);
  migrated(options(8), 1);
  expect_target_equals_source();
}

TEST_F(OfflineMigration, CutsAChunkWhereItsBytesAreFull) {
  std::vector<Memory> memories;
  for (int i = 0; i < 40; ++i) {
    Memory memory;
    memory.id = "large " + std::to_string(i);
    memory.content = std::string(200'000, static_cast<char>('a' + i % 26));
    memories.push_back(std::move(memory));
  }
  ASSERT_OK(source().put(memories));
  MigrationOptions small = options();
  small.partitions = 1;
  small.chunk_bytes_max = kMiB;
  migrated(small, 40);
  expect_target_equals_source();
}

TEST_F(OfflineMigration, SurvivesAReopen) {
  fill(200);
  migrated(options(), 200);
  reopen();
  expect_target_equals_source();
  EXPECT_TRUE(verify()->verified);
}

TEST_F(OfflineMigration, WritesNothingTheSecondTime) {
  fill(100);
  migrated(options(), 100);
  ASSERT_OK(database().flush());
  const Lsn last = database().stats().last;
  const auto files = files_under(directory());

  const MigrationResult again = migrated(options(), 100);
  EXPECT_TRUE(again.was_finished);
  EXPECT_EQ(again.migrated_now, 0u);
  EXPECT_EQ(database().stats().last, last);
  EXPECT_EQ(files_under(directory()), files);

  reopen();
  EXPECT_TRUE(migrated(resuming(), 100).was_finished);
  EXPECT_EQ(space().stats()->nodes, 100u);
}

TEST_F(OfflineMigration, SetsAsideWhatTheTargetCannotHoldAndAccountsForIt) {
  fill(60);
  source().put_raw("no memory", {std::byte{1}, std::byte{0xFF}});
  Memory wrong_place;
  wrong_place.id = "another";
  Bytes encoded;
  encode_memory(wrong_place, encoded);
  source().put_raw("in the wrong place", encoded);
  Memory not_text;
  not_text.id = "not \xFF text";
  encoded.clear();
  encode_memory(not_text, encoded);
  source().put_raw(not_text.id, encoded);
  Memory too_long;
  too_long.id = "three dimensions";
  too_long.embedding = {1.0F, 2.0F, 3.0F};
  encoded.clear();
  encode_memory(too_long, encoded);
  source().put_raw(too_long.id, encoded);
  Memory not_finite;
  not_finite.id = "not finite";
  not_finite.embedding.emplace(kTestDimension, std::numeric_limits<float>::quiet_NaN());
  encoded.clear();
  encode_memory(not_finite, encoded);
  source().put_raw(not_finite.id, encoded);

  const MigrationResult result = migrated(options(), 60);
  EXPECT_EQ(result.source_records, 65u);
  EXPECT_EQ(result.quarantined, 5u);
  EXPECT_EQ(result.source.count, 60u);

  const auto set_aside = quarantined_records(database(), space(), directory());
  ASSERT_TRUE(set_aside.ok()) << set_aside.status().to_string();
  std::map<std::string, std::string> reasons;
  for (const Quarantined& record : *set_aside) reasons[record.id] = record.reason;
  ASSERT_EQ(reasons.size(), 5u);
  EXPECT_NE(reasons.at("in the wrong place").find("\"another\""), std::string::npos);
  EXPECT_NE(reasons.at("three dimensions").find("3 dimensions"), std::string::npos);
  EXPECT_NE(reasons.at("not finite").find("embedding"), std::string::npos);
  EXPECT_TRUE(reasons.contains("not \xFF text"));
  EXPECT_FALSE(reasons.at("no memory").empty());

  EXPECT_TRUE(verify()->verified);
  EXPECT_EQ(verify()->quarantined, 5u);
  EXPECT_EQ(migrated(options(), 60).quarantined, 5u);
}

TEST_F(OfflineMigration, SetsAsideASourceOfNothingElse) {
  for (int i = 0; i < 40; ++i) source().put_raw("broken " + std::to_string(i), {std::byte{9}});
  EXPECT_EQ(migrated(options(), 0).quarantined, 40u);
}

TEST_F(OfflineMigration, RefusesASpaceThatHoldsOtherNodes) {
  fill(10);
  Node node;
  node.content = "was here before";
  ASSERT_OK(space().put(node).status());
  EXPECT_NE(refused(Code::FailedPrecondition).find("holds 1 nodes"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(plan_file()));
}

TEST_F(OfflineMigration, RefusesAnotherDimension) {
  Memory memory;
  memory.id = "of three";
  memory.embedding = {1.0F, 2.0F, 3.0F};
  ASSERT_OK(source().put(std::span(&memory, 1)));
  const std::string message = refused(Code::InvalidArgument);
  EXPECT_NE(message.find("3 dimensions"), std::string::npos) << message;
  EXPECT_NE(message.find("takes 8"), std::string::npos) << message;
}

TEST_F(OfflineMigration, RefusesAStoppedSpaceAndPlansNothing) {
  fill(10);
  ASSERT_OK(database().stop_space(kTestSpace));
  EXPECT_NE(refused(Code::FailedPrecondition).find("is stopped"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(plan_file()));
  ASSERT_OK(database().start_space(kTestSpace));
  migrated(options(), 10);
}

TEST_F(OfflineMigration, RefusesADatabaseThatIsOpenToReadAndTouchesNothing) {
  fill(10);
  close();
  const auto files = files_under(directory());
  DatabaseOptions reading;
  reading.read_only = true;
  const auto database = Database::open(directory(), reading);
  ASSERT_OK(database.status());
  const auto result =
      migrate_offline(source(), **database, (*database)->space(kTestSpace).value(), directory(), options());
  EXPECT_EQ(result.status().code(), Code::FailedPrecondition) << result.status().to_string();
  ASSERT_OK((*database)->close());
  EXPECT_EQ(files_under(directory()), files);
  open();
}

TEST_F(OfflineMigration, RefusesOptionsOutOfRangeByName) {
  for (const auto& [name, spoil] : std::map<std::string, void (*)(MigrationOptions&)>{
           {"batch_size", [](MigrationOptions& o) { o.batch_size = 0; }},
           {"batch_size", [](MigrationOptions& o) { o.batch_size = 65'537; }},
           {"chunk_bytes_max", [](MigrationOptions& o) { o.chunk_bytes_max = 1; }},
           {"partitions", [](MigrationOptions& o) { o.partitions = 1'000'000; }},
           {"parallel_workers", [](MigrationOptions& o) { o.parallel_workers = 100'000; }}}) {
    MigrationOptions bad = options();
    spoil(bad);
    EXPECT_NE(refused(Code::InvalidArgument, bad).find(name), std::string::npos) << name;
  }
}

TEST_F(OfflineMigration, RefusesADirectoryThatIsNotTheTargets) {
  fill(3);
  const auto elsewhere = directory() / "elsewhere";
  DatabaseOptions create;
  create.create_if_missing = true;
  ASSERT_OK(Database::open(elsewhere, create).status());
  const auto result = migrate_offline(source(), database(), space(), elsewhere, options());
  EXPECT_EQ(result.status().code(), Code::InvalidArgument) << result.status().to_string();
}

TEST_F(OfflineMigration, KeepsTwoSpacesOfOneDatabaseApart) {
  fill(80);
  SpaceOptions shape;
  shape.dimension = kTestDimension;
  const Space other = database().create_space("../other", shape).value();
  migrated(options(), 80);
  const auto second = migrate_offline(source(), database(), other, directory(), options());
  ASSERT_TRUE(second.ok()) << second.status().to_string();
  EXPECT_EQ(second->migrated_now, 80u);
  EXPECT_FALSE(std::filesystem::exists(directory() / "other"));
  ASSERT_OK(database().drop_space("../other"));
  EXPECT_TRUE(verify()->verified);
  expect_target_equals_source();
}

TEST_F(OfflineMigration, TellsItsPhasesInOrderAndEveryRecord) {
  fill(150);
  std::vector<std::string> phases;
  std::uint64_t copied = 0, verified = 0;
  MigrationOptions told = options();
  told.progress = [&](const Progress& progress) {
    if (phases.empty() || phases.back() != progress.phase) phases.push_back(progress.phase);
    if (progress.phase == "backfill") {
      EXPECT_EQ(progress.total, 150u);
      EXPECT_GE(progress.done, copied);
      copied = progress.done;
    }
    if (progress.phase == "verify") verified = progress.done;
    return true;
  };
  migrated(told, 150);
  EXPECT_EQ(phases, (std::vector<std::string>{"preflight", "backfill", "verify"}));
  EXPECT_EQ(copied, 150u);
  EXPECT_EQ(verified, 300u);
}

}  // namespace
}  // namespace mneme::migration
