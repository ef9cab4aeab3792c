// init, stats and verify: the database as a whole.
#include "commands.h"
#include "context.h"
#include "mneme/base/limits.h"
#include "text.h"

namespace mneme::tools {

namespace {

struct InitOptions {
  std::filesystem::path directory;
  std::uint32_t dimension = 0;
  std::string metric = "cosine";
};

Status init(Context& context, const InitOptions& options) {
  const std::string shown = as_utf8(options.directory.native());
  {
    // Whatever is there already stays as it is.
    const auto there = open_database(context, options.directory);
    if (there) {
      context.hint = "`mneme stats` shows what is in it";
      return {Code::AlreadyExists, shown + ": there is a database"};
    }
    if (there.status().code() != Code::NotFound) return there.status();
    context.hint.clear();
  }
  MNEME_ASSIGN(const Metric metric, metric_from_name(options.metric));
  MNEME_ASSIGN(const auto database,
               open_database(context, options.directory, {Missing::Create, options.dimension, metric}));
  Facts()
      .text("path", "database", shown)
      .add("database", database->id().to_string(), "id", database->id().to_string())
      .count("dimension", "dimension", options.dimension)
      .text("metric", "metric", options.metric)
      .print(context.out);
  return database->close();
}

Value recovery_value(const RecoveryInfo& recovery) {
  Value object;
  object.set("replayed_from", recovery.replayed_from.value);
  object.set("records", recovery.records);
  object.set("bytes", recovery.bytes);
  object.set("trimmed_records", recovery.trimmed_records);
  object.set("trimmed_bytes", recovery.trimmed_bytes);
  object.set("seconds", recovery.seconds);
  if (!recovery.damage.ok()) object.set("damage", as_utf8(recovery.damage.to_string()));
  return object;
}

Status stats(Context& context, const std::filesystem::path& directory) {
  return with_database(context, directory, [&](Database& database) -> Status {
    const DatabaseStats now = database.stats();
    const RecoveryInfo& recovery = database.recovery();
    const std::string replayed = grouped(recovery.records) + " log records, " + human_bytes(recovery.bytes) + ", " +
                                 human_seconds(recovery.seconds);
    Facts()
        .text("path", "database", directory.native())
        .add("database", now.id.to_string(), "id", now.id.to_string())
        .text("health", "health", now.health)
        .count("spaces", "spaces", now.spaces)
        .count("nodes", "nodes", now.nodes)
        .count("links", "links", now.links)
        .count("last_lsn", "last change", now.last.value)
        .add("synced_lsn", now.synced.value)
        .add("applied_lsn", now.applied.value)
        .add("flushed_lsn", now.flushed.value)
        .bytes("hot_bytes", "in memory, nodes", now.hot_bytes)
        .bytes("index_bytes", "in memory, index", now.index_bytes)
        .add("unapplied_bytes", now.unapplied_bytes)
        .bytes("log_bytes", "on disk, log", now.log_bytes)
        .bytes("store_bytes", "on disk, store", now.store_bytes)
        .add("recovery", recovery_value(recovery), "replayed", replayed)
        .print(context.out);
    return {};
  });
}

Value::Array strings(const std::vector<std::string>& lines) {
  Value::Array values;
  for (const std::string& line : lines) values.emplace_back(as_utf8(line));
  return values;
}

Status verdict(Context& context, const std::string& directory, const VerifyReport& report) {
  if (report.problem_count > 0)
    return {Code::Mismatch, directory + ": " + grouped(report.problem_count) + " problems; the first: " +
                                (report.problems.empty() ? std::string("not listed") : report.problems.front())};
  if (report.index_problems.empty()) return {};
  context.hint = "nothing is lost: the search that meets the damage has the index made again; look after the disk";
  return {Code::Mismatch, directory + ": " + grouped(report.index_problems.size()) +
                              " damaged files of indexes; the first: " + report.index_problems.front()};
}

Status verify(Context& context, const std::filesystem::path& directory, bool deep) {
  return with_database(context, directory, [&](Database& database) -> Status {
    MNEME_ASSIGN(const VerifyReport report, database.verify(deep));
    Value::Array problems = strings(report.problems);
    Facts facts;
    facts.text("path", "database", directory.native())
        .add("deep", deep, "checked", deep ? "every stored byte" : "log, counts and maps; --deep reads every byte")
        .count("spaces", "spaces", report.spaces)
        .count("nodes", "nodes", report.nodes)
        .count("vectors", "vectors", report.vectors)
        .count("links", "links", report.links)
        .count("log_records", "log records", report.log_records);
    if (deep)
      facts.count("indexes", "saved indexes", report.indexes)
          .count("index_files", "index files", report.index_files)
          .bytes("index_bytes", "of indexes", report.index_bytes);
    facts.count("problem_count", "problems", report.problem_count).add("problems", std::move(problems));
    if (deep)
      facts.count("index_problem_count", "in indexes", report.index_problems.size())
          .add("index_problems", strings(report.index_problems));
    for (const std::string& problem : report.problems) facts.remark("", problem);
    for (const std::string& problem : report.index_problems) facts.remark("", problem);
    facts.print(context.out);
    return verdict(context, as_utf8(directory.native()), report);
  });
}

}  // namespace

void add_database_commands(Command& root) {
  auto made = std::make_shared<InitOptions>();
  Command& init_command = root.command("init", "Makes a new database.");
  init_command.path("DIR", "directory of the database: absent or empty", made->directory, Need::Required)
      .whole("--dim N", "dimension of the vectors of spaces made without one of their own", 1, limits::kDimensionsMax,
             made->dimension, Need::Required)
      .choice("--metric M", "how near two vectors are: cosine (default), ip (inner product) or l2 (squared distance)",
              {"cosine", "ip", "l2"}, made->metric)
      .notes("example: mneme init mind --dim 384");
  init_command.runs([made](Context& context) { return init(context, *made); });

  auto stats_directory = std::make_shared<std::filesystem::path>();
  Command& stats_command = root.command("stats", "Shows what a database holds and how it is.", Opens::Database);
  stats_command.path("DIR", "directory of the database", *stats_directory, Need::Required)
      .notes("example: mneme stats mind");
  stats_command.runs([stats_directory](Context& context) { return stats(context, *stats_directory); });

  struct VerifyOptions {
    std::filesystem::path directory;
    bool deep = false;
  };
  auto verified = std::make_shared<VerifyOptions>();
  Command& verify_command = root.command("verify", "Checks a database for damage.", Opens::Database);
  verify_command.path("DIR", "directory of the database", verified->directory, Need::Required)
      .flag("--deep", "read every stored byte, every node, vector and link, every saved index", verified->deep)
      .notes(
          "Exit code 4 when something is wrong. Damage in files of indexes is counted apart: it loses "
          "nothing.\nexample: mneme verify mind --deep");
  verify_command.runs([verified](Context& context) { return verify(context, verified->directory, verified->deep); });
}

}  // namespace mneme::tools
