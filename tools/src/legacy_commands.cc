// legacy import, export, stats, get: the single-type store that a migration starts from.
#include "commands.h"
#include "context.h"
#include "mneme/base/json.h"
#include "mneme/base/limits.h"
#include "mneme/migration/memory_json.h"
#include "text.h"
#include "transfer.h"

namespace mneme::tools {

namespace {

Status import_legacy(Context& context, const ImportCommandOptions& options) {
  MNEME_TRY(check_import(options));
  return with_legacy(context, options.directory, Missing::Create, [&](migration::LegacyStore& store) {
    // What is there already has a dimension; what is added must have the same.
    const std::uint32_t dimension = options.dimension.value_or(store.stats().dimension.value_or(0));
    return run_import(context, options, dimension, [&](const auto& file, const auto& import_options) {
      return migration::import_jsonl(store, file, import_options);
    });
  });
}

Status export_legacy(Context& context, const ExportCommandOptions& options) {
  MNEME_TRY(check_export(options));
  return with_legacy(context, options.directory, Missing::Fail, [&](migration::LegacyStore& store) {
    return run_export(context, options, [&](const migration::ProgressFn& progress) {
      return migration::export_jsonl(store, options.file, options.npy, progress);
    });
  });
}

Status stats(Context& context, const std::filesystem::path& directory) {
  return with_legacy(context, directory, Missing::Fail, [&](migration::LegacyStore& store) -> Status {
    const migration::LegacyStats found = store.stats();
    Facts facts;
    facts.text("path", "legacy store", directory.native())
        .add("store", found.id.to_string(), "id", found.id.to_string())
        .count("memories", "memories", found.memories);
    if (found.dimension)
      facts.count("dimension", "dimension", *found.dimension);
    else
      facts.add("dimension", Value(), "dimension", "none yet");
    facts.count("last_lsn", "last change", found.last.value).bytes("bytes_on_disk", "on disk", found.bytes_on_disk);
    facts.print(context.out);
    return {};
  });
}

Facts memory_page(const migration::Memory& memory) {
  Facts facts;
  facts.remark("id", memory.id);
  const auto text = [&](const char* label, const std::optional<std::string>& value) {
    if (value) facts.remark(label, *value);
  };
  const auto time = [&](const char* label, const std::optional<Timestamp>& value) {
    if (value) facts.remark(label, format_rfc3339(*value));
  };
  const auto json = [&](const char* label, const std::optional<Value>& value) {
    if (value) facts.remark(label, to_json(*value));
  };
  const auto real = [&](const char* label, const std::optional<double>& value) {
    if (value) facts.remark(label, to_json(Value(*value)));
  };
  text("content", memory.content);
  if (memory.embedding) facts.remark("embedding", grouped(memory.embedding->size()) + " values");
  text("embedder", memory.embedder);
  time("created_at", memory.created_at);
  time("last_access", memory.last_access);
  real("activation", memory.activation);
  real("confidence", memory.confidence);
  real("decay_rate", memory.decay_rate);
  if (memory.access_count) facts.remark("access_count", grouped(*memory.access_count));
  json("embedding_provenance", memory.embedding_provenance);
  json("metadata", memory.metadata);
  json("unknown members", memory.unknown_members);
  return facts;
}

Status get(Context& context, const std::filesystem::path& directory, const std::string& id) {
  return with_legacy(context, directory, Missing::Fail, [&](migration::LegacyStore& store) -> Status {
    MNEME_ASSIGN(const migration::Memory memory, store.get(id));
    if (!context.out.json()) {
      memory_page(memory).print(context.out);
      return {};
    }
    std::string line;
    migration::append_memory_json(memory, Value(), line);
    context.out.line(line);
    return {};
  });
}

}  // namespace

void add_legacy_commands(Command& root) {
  Command& group = root.command("legacy", "Fills, reads and measures a legacy store: memories of a single type.");
  constexpr const char* kDirectory = "directory of the legacy store";

  auto imported = std::make_shared<ImportCommandOptions>();
  Command& import_command =
      group.command("import", "Imports memories from files; makes the store where there is none.", Opens::Database);
  import_command.path("LEGACY_DIR", kDirectory, imported->directory, Need::Required);
  declare_import(import_command, *imported);
  import_command
      .whole("--dim N", "dimension of what --embedder makes (default: the store's, or 384)", 1, limits::kDimensionsMax,
             imported->dimension)
      .notes("example: mneme legacy import old --from jsonl memories.jsonl --embedder hash --dim 384");
  import_command.runs([imported](Context& context) { return import_legacy(context, *imported); });

  auto exported = std::make_shared<ExportCommandOptions>();
  Command& export_command = group.command("export", "Exports every memory as one line.", Opens::Database);
  export_command.path("LEGACY_DIR", kDirectory, exported->directory, Need::Required);
  declare_export(export_command, *exported);
  export_command.notes("example: mneme legacy export old --to jsonl -");
  export_command.runs([exported](Context& context) { return export_legacy(context, *exported); });

  auto measured = std::make_shared<std::filesystem::path>();
  Command& stats_command = group.command("stats", "Shows what a legacy store holds.", Opens::Database);
  stats_command.path("LEGACY_DIR", kDirectory, *measured, Need::Required).notes("example: mneme legacy stats old");
  stats_command.runs([measured](Context& context) { return stats(context, *measured); });

  struct GetOptions {
    std::filesystem::path directory;
    std::string id;
  };
  auto wanted = std::make_shared<GetOptions>();
  Command& get_command = group.command("get", "Prints one memory.", Opens::Database);
  get_command.path("LEGACY_DIR", kDirectory, wanted->directory, Need::Required)
      .text("ID", "id of the memory", wanted->id, Need::Required)
      .notes("example: mneme legacy get old tea --json");
  get_command.runs([wanted](Context& context) { return get(context, wanted->directory, wanted->id); });
}

}  // namespace mneme::tools
