// import and export: nodes as JSONL, and what both share with the legacy store's.
#include "commands.h"
#include "context.h"
#include "mneme/base/json.h"
#include "progress.h"
#include "signals.h"
#include "text.h"
#include "transfer.h"

namespace mneme::tools {

namespace {

Status invalid(std::string message) { return {Code::InvalidArgument, std::move(message)}; }

double rate(std::uint64_t count, double seconds) { return seconds > 0 ? static_cast<double>(count) / seconds : 0; }

Status import(Context& context, const ImportCommandOptions& options) {
  MNEME_TRY(check_import(options));
  return with_space(context, options.directory, options.space, [&](Database& database, const Space& space) -> Status {
    MNEME_ASSIGN(const SpaceInfo info, space.info());
    const std::uint32_t dimension = info.generations.empty() ? 0 : info.generations.front().dimension;
    return run_import(context, options, dimension, [&](const auto& file, const auto& import_options) {
      return migration::import_jsonl(database, space, file, import_options);
    });
  });
}

Status export_space(Context& context, const ExportCommandOptions& options) {
  MNEME_TRY(check_export(options));
  return with_space(context, options.directory, options.space, [&](Database& database, const Space& space) {
    return run_export(context, options, [&](const migration::ProgressFn& progress) {
      return migration::export_jsonl(database, space, options.file, options.npy, progress);
    });
  });
}

}  // namespace

void declare_import(Command& command, ImportCommandOptions& options) {
  command.choice("--from KIND", "form of the files: jsonl", {"jsonl"}, options.kind, Need::Required)
      .paths("PATH", "files of memories, one JSON object a line", options.files, Need::Required)
      .path("--npy FILE", "embeddings beside the lines: row i belongs to line i; f2, f4 or f8 of shape (n, d)",
            options.npy)
      .choice("--embedder E", "make a vector where a line has none; hash: character n-grams, no model needed", {"hash"},
              options.embedder);
}

void declare_export(Command& command, ExportCommandOptions& options) {
  command.choice("--to KIND", "form of the file: jsonl", {"jsonl"}, options.kind, Need::Required)
      .path("PATH", "the file to write, or - for standard output", options.file, Need::Required)
      .path("--npy FILE", "write the embeddings here as float32, and none into the lines", options.npy);
}

Status check_import(const ImportCommandOptions& options) {
  if (options.npy && options.files.size() != 1) return invalid("--npy belongs to one file of lines");
  if (options.npy && options.embedder) return invalid("--npy and --embedder do not go together");
  if (options.dimension && !options.embedder)
    return invalid("--dim is the dimension of what --embedder makes; it goes with it");
  return {};
}

Status check_export(const ExportCommandOptions& options) {
  if (options.npy && *options.npy == "-") return invalid("--npy needs a file, not standard output");
  return {};
}

Status run_import(Context& context, const ImportCommandOptions& options, std::uint32_t hash_dimension,
                  const ImportOne& one) {
  migration::ImportReport sum;
  ProgressView view(progress_style(context.globals.quiet));
  migration::ImportOptions import_options;
  import_options.npy = options.npy;
  import_options.hash_embedder = options.embedder.has_value();
  if (hash_dimension != 0) import_options.hash_dimension = hash_dimension;
  import_options.progress = view.callback();
  for (const std::filesystem::path& file : options.files) {
    const auto report = one(file, import_options);
    if (!report) {
      if (report.status().code() == Code::Cancelled)
        context.hint = "the same command again goes over the same ids and repeats nothing";
      return report.status();
    }
    sum.lines += report->lines;
    sum.imported += report->imported;
    sum.bytes += report->bytes;
    sum.seconds += report->seconds;
  }
  const double per_second = rate(sum.imported, sum.seconds);
  Facts()
      .count("imported", "imported", sum.imported)
      .count("lines", "lines", sum.lines)
      .bytes("bytes", "read", sum.bytes)
      .seconds("seconds", "in", sum.seconds)
      .add("per_second", per_second, "rate", human_rate(per_second))
      .print(context.out);
  return {};
}

Status run_export(Context& context, const ExportCommandOptions& options, const ExportOne& one) {
  const bool to_output = options.file == "-";
  ProgressView view(progress_style(context.globals.quiet));
  const auto report = one(view.callback());
  if (!report) {
    if (to_output && reader_is_gone()) return {Code::Cancelled, "standard output: the reader went away"};
    if (report.status().code() == Code::Cancelled) context.hint = "nothing was written; begin again";
    return report.status();
  }
  const double per_second = rate(report->exported, report->seconds);
  Facts facts;
  facts.count("exported", "exported", report->exported)
      .bytes("bytes", "written", report->bytes)
      .seconds("seconds", "in", report->seconds)
      .add("per_second", per_second, "rate", human_rate(per_second));
  if (!to_output) {
    facts.print(context.out);
  } else if (context.globals.json && !context.globals.quiet) {
    print_error_line(to_json(facts.value()));
  } else {
    for (const std::string& line : facts.lines()) context.remark(line);
  }
  return {};
}

void add_transfer_commands(Command& root) {
  auto imported = std::make_shared<ImportCommandOptions>();
  Command& import_command = root.command("import", "Imports memories from files into a space.", Opens::Database);
  import_command.path("DIR", "directory of the database", imported->directory, Need::Required)
      .text("--space S", "name of the space", imported->space, Need::Required);
  declare_import(import_command, *imported);
  import_command.notes(
      "A line is {\"id\": \"...\", \"content\": \"...\", \"embedding\": [..] or null, \"created_at\": \"RFC 3339\",\n"
      "\"metadata\": {..}, ...}; members that mneme has no field for are kept. A repeat replaces the same nodes.\n"
      "example: mneme import mind --space notes --from jsonl notes.jsonl --embedder hash");
  import_command.runs([imported](Context& context) { return import(context, *imported); });

  auto exported = std::make_shared<ExportCommandOptions>();
  Command& export_command = root.command("export", "Exports a space as one memory a line.", Opens::Database);
  export_command.path("DIR", "directory of the database", exported->directory, Need::Required)
      .text("--space S", "name of the space", exported->space, Need::Required);
  declare_export(export_command, *exported);
  export_command.notes(
      "The file appears whole or not at all. With PATH - the summary goes to standard error.\n"
      "example: mneme export mind --space notes --to jsonl notes.jsonl");
  export_command.runs([exported](Context& context) { return export_space(context, *exported); });
}

}  // namespace mneme::tools
