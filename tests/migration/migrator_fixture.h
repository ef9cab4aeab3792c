// What the migrator's tests share: a source in memory, a target database in a directory of its own, and verbs.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "migrator_source.h"
#include "mneme/migration/migrator.h"
#include "seeded_test.h"

namespace mneme::migration {

inline constexpr std::uint32_t kTestDimension = 8;
inline constexpr std::string_view kTestSpace = "target";

#define ASSERT_OK(expression)                                                \
  do {                                                                       \
    const ::mneme::Status status_ = (expression);                            \
    ASSERT_TRUE(status_.ok()) << #expression << ": " << status_.to_string(); \
  } while (false)

class MigratorTest : public mneme::testing::SeededTest {
 protected:
  MigratorTest();
  ~MigratorTest() override;

  /// Opens the target; makes the space at the first time.
  void open();
  void close();
  void reopen() {
    close();
    open();
  }
  Space space() const { return database_->space(kTestSpace).value(); }
  Database& database() { return *database_; }
  MemorySource& source() { return source_; }
  const std::filesystem::path& directory() const { return directory_; }
  std::filesystem::path plan_file() const { return migration_file("PLAN"); }
  std::filesystem::path report_file() const { return migration_file("REPORT"); }

  void fill(std::size_t memories);

  /// Small chunks, so that a few hundred memories are many steps.
  static MigrationOptions options(unsigned workers = 2);
  static MigrationOptions resuming(unsigned workers = 2);
  Result<MigrationResult> migrate(const MigrationOptions& options = MigratorTest::options());
  Result<MigrationResult> verify();

  /// Migrates and expects a verified end with `migrated` memories.
  MigrationResult migrated(const MigrationOptions& options, std::uint64_t migrated);
  /// Expects an error and gives its text.
  std::string refused(Code code, const MigrationOptions& options = MigratorTest::options());

  /// Every memory of the source comes back equal out of the target, once, and nothing else does.
  void expect_target_equals_source();

  /// A migration that ends with an error after its `chunks`th chunk was written, one worker at work.
  void migrate_in_part(std::uint64_t chunks);

  /// Changes one node behind the migrator's back.
  Node node_of(std::string_view id) { return space().get(space().id_for_external(id))->node().value(); }

 private:
  std::filesystem::path migration_file(const char* name) const {
    return directory_ / "migration" / std::to_string(space().id().value) / name;
  }
  std::filesystem::path directory_;
  MemorySource source_;
  std::unique_ptr<Database> database_;
};

/// Names and sizes of all files under a directory.
std::map<std::string, std::uintmax_t> files_under(const std::filesystem::path& directory);

}  // namespace mneme::migration
