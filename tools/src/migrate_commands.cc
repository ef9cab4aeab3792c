// migrate-dual: a legacy store becomes a space of Episodes.
#include "commands.h"
#include "context.h"
#include "mneme/base/limits.h"
#include "mneme/migration/migrator.h"
#include "progress.h"
#include "text.h"

namespace mneme::tools {

namespace {

struct MigrateOptions {
  std::optional<std::filesystem::path> source, target;
  std::optional<std::string> space;
  std::string mode = "offline";
  unsigned parallel_workers = 0;
  std::size_t batch_size = migration::MigrationOptions().batch_size;
  bool resume = false;
};

Status invalid(std::string message) { return {Code::InvalidArgument, std::move(message)}; }

Status check(const MigrateOptions& options) {
  if (options.mode == "online")
    return invalid(
        "--mode online: this release migrates offline only; stop writing to the source and use --mode offline");
  if (!options.source) return invalid("--source is required: directory of the legacy store");
  if (!options.target) return invalid("--target is required: directory of the database");
  if (!options.space) return invalid("--space is required: name of the space to fill");
  return {};
}

migration::MigrationOptions migration_options(const MigrateOptions& options, ProgressView& view) {
  migration::MigrationOptions result;
  result.parallel_workers = options.parallel_workers;
  result.batch_size = options.batch_size;
  result.resume = options.resume;
  result.progress = view.callback();
  return result;
}

// The target as it is, or a new one of the source's dimension.
Result<std::unique_ptr<Database>> open_target(Context& context, const std::filesystem::path& directory,
                                              std::optional<std::uint32_t> dimension) {
  auto database = open_database(context, directory);
  if (database || database.status().code() != Code::NotFound) return database;
  context.hint.clear();
  database = open_database(context, directory, {Missing::Create, dimension.value_or(0), Metric::Cosine});
  if (database)
    context.remark("made database " + as_utf8(directory.native()) +
                   (dimension ? ": dimension " + std::to_string(*dimension) + ", cosine" : std::string()));
  return database;
}

// The space as it is, or a new one of the source's dimension.
Result<Space> target_space(Context& context, Database& database, const std::string& name,
                           std::optional<std::uint32_t> dimension) {
  auto space = database.space(name);
  if (space || space.status().code() != Code::NotFound) return space;
  SpaceOptions options;
  options.dimension = dimension.value_or(0);
  options.metric = Metric::Cosine;
  space = database.create_space(name, options);
  if (space)
    context.remark("made space " + in_quotes(name) +
                   (dimension ? ": dimension " + std::to_string(*dimension) + ", cosine" : std::string()));
  return space;
}

Value differences_value(const std::vector<migration::PartitionDifference>& differences) {
  Value::Array array;
  for (const migration::PartitionDifference& difference : differences) {
    Value object;
    object.set("begin", as_utf8(difference.begin));
    object.set("end", as_utf8(difference.end));
    object.set("source_count", difference.source_count);
    object.set("target_count", difference.target_count);
    Value::Array examples;
    for (const std::string& example : difference.examples) examples.emplace_back(as_utf8(example));
    object.set("examples", std::move(examples));
    array.push_back(std::move(object));
  }
  return array;
}

// What was set aside, by id; an error to read it is a part of the answer.
Status add_quarantine(Facts& facts, Database& database, const Space& space, const std::filesystem::path& directory) {
  MNEME_ASSIGN(const std::vector<migration::Quarantined> records,
               migration::quarantined_records(database, space, directory));
  Value::Array array;
  for (const migration::Quarantined& record : records) {
    Value object;
    object.set("id", as_utf8(record.id));
    object.set("reason", as_utf8(record.reason));
    array.push_back(std::move(object));
    facts.remark("  set aside", in_quotes(record.id) + ": " + record.reason);
  }
  facts.add("quarantined_records", std::move(array));
  return {};
}

enum class Did { Copy, Compare };

Facts result_facts(const MigrateOptions& options, const migration::MigrationResult& result, Did did) {
  // A repeat of a finished migration tells of the run that finished it.
  const std::uint64_t copied = result.was_finished ? 0 : result.migrated_now;
  const double per_second = result.copy_seconds > 0 ? static_cast<double>(copied) / result.copy_seconds : 0;
  const bool equal = result.source == result.target;
  Facts facts;
  facts.add("source_path", as_utf8(options.source->native()))
      .add("target_path", as_utf8(options.target->native()))
      .text("space", "space", *options.space)
      .add("source_records", result.source_records, "source",
           grouped(result.source_records) + " memories, " + human_bytes(result.bytes))
      .add("bytes", result.bytes)
      .add("migrated", result.migrated, "migrated",
           grouped(result.migrated) + (did == Did::Copy ? " (" + grouped(result.migrated_now) + " by this run)" : ""))
      .add("migrated_now", result.migrated_now)
      .count("skipped", "skipped", result.skipped)
      .count("quarantined", "set aside", result.quarantined)
      .add("was_finished", result.was_finished)
      .add("copy_seconds", result.copy_seconds, did == Did::Copy ? "copied in" : "",
           human_seconds(result.copy_seconds) + (copied > 0 ? ", " + human_rate(per_second) : std::string()))
      .add("nodes_per_second", per_second)
      .add("verify_seconds", result.verify_seconds, "compared in", human_seconds(result.verify_seconds))
      .add("source_count", result.source.count, "in source",
           grouped(result.source.count) + " records, digest " + result.source.to_hex())
      .add("source_digest", result.source.to_hex())
      .add("target_count", result.target.count, "in target",
           grouped(result.target.count) + " records, digest " + result.target.to_hex())
      .add("target_digest", result.target.to_hex())
      .add("verified", result.verified, "verified",
           result.verified && equal ? "yes: both sides hold the same" : "NO: they differ")
      .add("differences", differences_value(result.differences));
  for (const migration::PartitionDifference& difference : result.differences) {
    facts.remark("  differs", "from " + in_quotes(difference.begin) + ": source " + grouped(difference.source_count) +
                                  ", target " + grouped(difference.target_count));
    for (const std::string& example : difference.examples) facts.remark("", example);
  }
  return facts;
}

std::string mismatch_message(const migration::MigrationResult& result) {
  return "source and target differ (key ranges that do: " + grouped(result.differences.size()) + "): source " +
         grouped(result.source.count) + " records, digest " + result.source.to_hex() + "; target " +
         grouped(result.target.count) + ", digest " + result.target.to_hex();
}

Status migrate_into(Context& context, const MigrateOptions& options, migration::LegacyStore& source,
                    Database& database) {
  MNEME_ASSIGN(const Space space, target_space(context, database, *options.space, source.stats().dimension));
  Result<migration::MigrationResult> result = [&] {
    ProgressView view(progress_style(context.globals.quiet));
    return migration::migrate_offline(source, database, space, *options.target, migration_options(options, view));
  }();
  if (!result) {
    const Code code = result.status().code();
    if (code == Code::Cancelled) context.hint = "the same command with --resume goes on from here";
    if (code == Code::NoSpace) context.hint = "free some space, then the same command with --resume goes on from here";
    if (code == Code::FailedPrecondition && !options.resume)
      context.hint = "--resume goes on with a migration that was begun; any other one needs a space of its own";
    if (code == Code::Mismatch) context.hint = "`mneme migrate-dual verify` lists every range that differs";
    return result.status();
  }
  Facts facts = result_facts(options, *result, Did::Copy);
  if (result->quarantined > 0) MNEME_TRY(add_quarantine(facts, database, space, *options.target));
  facts.print(context.out);
  if (result->was_finished) context.remark("it was finished before: nothing was written");
  return {};
}

Status migrate(Context& context, const MigrateOptions& options) {
  MNEME_TRY(check(options));
  return with_legacy(context, *options.source, Missing::Fail, [&](migration::LegacyStore& source) -> Status {
    MNEME_ASSIGN(const auto database, open_target(context, *options.target, source.stats().dimension));
    const Status migrated = migrate_into(context, options, source, *database);
    const Status closed = database->close();
    return migrated ? closed : migrated;
  });
}

Status verify(Context& context, const MigrateOptions& options) {
  return with_legacy(context, *options.source, Missing::Fail, [&](migration::LegacyStore& source) {
    return with_space(context, *options.target, *options.space, [&](Database& database, const Space& space) -> Status {
      Result<migration::MigrationResult> result = [&] {
        ProgressView view(progress_style(context.globals.quiet));
        return migration::verify_migration(source, database, space, *options.target, migration_options(options, view));
      }();
      MNEME_TRY(result.status());
      Facts facts = result_facts(options, *result, Did::Compare);
      if (result->quarantined > 0) MNEME_TRY(add_quarantine(facts, database, space, *options.target));
      facts.print(context.out);
      if (result->verified) return {};
      return {Code::Mismatch, mismatch_message(*result)};
    });
  });
}

}  // namespace

void add_migrate_commands(Command& root) {
  constexpr const char* kSource = "directory of the legacy store; nobody may write to it meanwhile";
  constexpr const char* kTarget = "directory of the database";
  constexpr const char* kWorkers = "workers (default: one per core); a resume may use another number";

  auto options = std::make_shared<MigrateOptions>();
  Command& command = root.command("migrate-dual", "Converts a legacy store into a space of Episodes, and verifies it.");
  command.path("--source DIR", kSource, options->source)
      .path("--target DIR", std::string(kTarget) + "; made where there is none", options->target)
      .text("--space S", "space to fill; made where there is none, otherwise empty", options->space)
      .choice("--mode M", "offline: the only one of this release", {"offline", "online"}, options->mode)
      .flag("--resume", "go on with a migration that was interrupted", options->resume)
      .whole("--parallel-workers N", kWorkers, 1, 256, options->parallel_workers)
      .whole("--batch-size N", "records written in one atomic step (default: 16384)", 1, limits::kBatchOperationsMax,
             options->batch_size)
      .notes(
          "Copies, then scans both sides and compares them by count and digest. A repeat of a finished migration\n"
          "writes nothing. A kill at any moment loses nothing and repeats nothing: go on with --resume.\n"
          "example: mneme migrate-dual --source old --target mind --space notes");
  command.runs([options](Context& context) { return migrate(context, *options); });

  auto verified = std::make_shared<MigrateOptions>();
  Command& verify_command =
      command.command("verify", "Scans a legacy store and its space and compares them.", Opens::Database);
  verify_command.path("--source DIR", kSource, verified->source, Need::Required)
      .path("--target DIR", kTarget, verified->target, Need::Required)
      .text("--space S", "name of the space", verified->space, Need::Required)
      .whole("--parallel-workers N", kWorkers, 1, 256, verified->parallel_workers)
      .notes(
          "Exit code 4 when they differ.\nexample: mneme migrate-dual verify --source old --target mind --space notes");
  verify_command.runs([verified](Context& context) { return verify(context, *verified); });
}

}  // namespace mneme::tools
