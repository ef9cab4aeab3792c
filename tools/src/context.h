// What every command is given, how databases are opened, and what an error turns into.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "command_line.h"
#include "mneme/database.h"
#include "mneme/migration/legacy_store.h"
#include "output.h"

namespace mneme::tools {

struct Context {
  const Globals& globals;
  const Command& root;
  Output out;
  /// What to do about the error that is returned; empty = what its code suggests.
  std::string hint;

  /// A line on standard error for people, unless --quiet or --json.
  void remark(std::string_view text) const;
  /// A warning on standard error, unless --quiet.
  void warn(std::string_view text) const;
};

/// Exit codes; `mneme help exit-codes` prints them.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNotFound = 3;
inline constexpr int kExitMismatch = 4;
inline constexpr int kExitRetry = 75;  // EX_TEMPFAIL of sysexits.h
inline constexpr int kExitInterrupted = 130;
inline constexpr int kExitReaderGone = 141;

int exit_code(const Status& status);
std::string_view exit_code_page();

/// Prints an error and what to do about it: two lines for people, {"error": {"code", "message", "hint"}} for JSON.
void print_error(const Status& status, std::string_view hint, bool json);

enum class Missing { Fail, Create };

/// How to open; the global options are added.
struct OpenRequest {
  Missing missing = Missing::Fail;
  std::uint32_t dimension = 0;  ///< of a new database; 0 = the library's default
  Metric metric = Metric::Cosine;
};

/// Opens a database; sets Context::hint on failure and warns about damage that was passed over.
Result<std::unique_ptr<Database>> open_database(Context& context, const std::filesystem::path& directory,
                                                const OpenRequest& request = {});

/// Opens a legacy store, likewise.
Result<std::unique_ptr<migration::LegacyStore>> open_legacy(Context& context, const std::filesystem::path& directory,
                                                            Missing missing = Missing::Fail);

/// Finds a space by name, likewise.
Result<Space> find_space(Context& context, const Database& database, const std::filesystem::path& directory,
                         const std::string& name);

/// Runs `work(database)` and closes the database; the first error wins.
template <class Work>
Status with_database(Context& context, const std::filesystem::path& directory, Work&& work) {
  MNEME_ASSIGN(const std::unique_ptr<Database> database, open_database(context, directory));
  const Status worked = work(*database);
  const Status closed = database->close();
  return worked ? closed : worked;
}

/// Runs `work(database, space)` likewise.
template <class Work>
Status with_space(Context& context, const std::filesystem::path& directory, const std::string& name, Work&& work) {
  return with_database(context, directory, [&](Database& database) -> Status {
    MNEME_ASSIGN(const Space space, find_space(context, database, directory, name));
    return work(database, space);
  });
}

/// Runs `work(store)` and closes the store; the first error wins.
template <class Work>
Status with_legacy(Context& context, const std::filesystem::path& directory, Missing missing, Work&& work) {
  MNEME_ASSIGN(const std::unique_ptr<migration::LegacyStore> store, open_legacy(context, directory, missing));
  const Status worked = work(*store);
  const Status closed = store->close();
  return worked ? closed : worked;
}

}  // namespace mneme::tools
