#include "migrator_fixture.h"

#include <cstdlib>
#include <stdexcept>

#include "mneme/storage/failpoint.h"

namespace mneme::migration {

MigratorTest::MigratorTest() {
  std::string name = (std::filesystem::temp_directory_path() / "mneme-migrator-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) std::abort();
  directory_ = name;
  open();
}

MigratorTest::~MigratorTest() {
  database_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void MigratorTest::open() {
  DatabaseOptions options;
  options.create_if_missing = true;
  options.hot_bytes_max = kMiB;
  options.block_cache_bytes = 4 * kMiB;
  Result<std::unique_ptr<Database>> database = Database::open(directory_, options);
  ASSERT_TRUE(database.ok()) << database.status().to_string();
  database_ = std::move(*database);
  if (!database_->space(kTestSpace)) {
    SpaceOptions shape;
    shape.dimension = kTestDimension;
    ASSERT_OK(database_->create_space(kTestSpace, shape).status());
  }
}

void MigratorTest::close() {
  ASSERT_OK(database_->close());
  database_.reset();
}

void MigratorTest::fill(std::size_t memories) {
  ASSERT_OK(source_.put(tricky_memories(random(), memories, kTestDimension)));
}

MigrationOptions MigratorTest::options(unsigned workers) {
  MigrationOptions options;
  options.parallel_workers = workers;
  options.batch_size = 16;
  options.partitions = 5;
  return options;
}

MigrationOptions MigratorTest::resuming(unsigned workers) {
  MigrationOptions options = MigratorTest::options(workers);
  options.resume = true;
  return options;
}

Result<MigrationResult> MigratorTest::migrate(const MigrationOptions& options) {
  return migrate_offline(source_, *database_, space(), directory_, options);
}

Result<MigrationResult> MigratorTest::verify() {
  return verify_migration(source_, *database_, space(), directory_, options());
}

MigrationResult MigratorTest::migrated(const MigrationOptions& options, std::uint64_t migrated) {
  const Result<MigrationResult> result = migrate(options);
  EXPECT_TRUE(result.ok()) << result.status().to_string();
  if (!result) return {};
  EXPECT_TRUE(result->verified);
  EXPECT_EQ(result->migrated, migrated);
  EXPECT_EQ(result->migrated + result->skipped + result->quarantined, result->source_records);
  EXPECT_EQ(result->source, result->target);
  EXPECT_EQ(space().stats()->nodes, migrated);
  return *result;
}

std::string MigratorTest::refused(Code code, const MigrationOptions& options) {
  const Result<MigrationResult> result = migrate(options);
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(name_of(result.status().code()), name_of(code)) << result.status().to_string();
  return result.status().message();
}

void MigratorTest::expect_target_equals_source() {
  std::map<std::string, Memory> found;
  ASSERT_OK(space().scan({}, [&](const NodeView& view) {
    const Result<Memory> memory = to_memory(view.node().value());
    EXPECT_TRUE(memory.ok()) << memory.status().to_string();
    if (!memory) return false;
    EXPECT_TRUE(found.emplace(memory->id, *memory).second) << memory->id << " is there twice";
    return true;
  }));
  EXPECT_EQ(found.size(), source_.stats().memories);
  for (const std::string& id : source_.ids())
    EXPECT_TRUE(found.contains(id) && found.at(id) == source_.get(id).value()) << id;
}

void MigratorTest::migrate_in_part(std::uint64_t chunks) {
  ASSERT_TRUE(failpoint::enabled());
  failpoint::arm("migration.after_insert", chunks, [] { throw std::runtime_error("stopped by the test"); });
  const Result<MigrationResult> result = migrate(resuming(1));
  failpoint::disarm_all();
  ASSERT_FALSE(result.ok());
  ASSERT_NE(result.status().message().find("stopped by the test"), std::string::npos) << result.status().to_string();
}

std::map<std::string, std::uintmax_t> files_under(const std::filesystem::path& directory) {
  std::map<std::string, std::uintmax_t> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
    if (entry.is_regular_file()) files.emplace(entry.path().string(), entry.file_size());
  return files;
}

}  // namespace mneme::migration
