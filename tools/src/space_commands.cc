// space create, list, stats, stop, start, drop, add-generation, drop-generation.
#include <unistd.h>

#include "commands.h"
#include "context.h"
#include "input.h"
#include "mneme/base/limits.h"
#include "text.h"

namespace mneme::tools {

namespace {

struct SpaceCommandOptions {
  std::filesystem::path directory;
  std::string name;
  std::optional<std::uint32_t> dimension;
  std::optional<std::string> metric;
  std::string model = "default";
  std::optional<std::uint16_t> generation;
  bool yes = false;
};
using Shared = std::shared_ptr<SpaceCommandOptions>;

std::string_view name_of_state(SpaceState state) { return state == SpaceState::Stopped ? "stopped" : "started"; }

Value generations_value(const SpaceInfo& info) {
  Value::Array generations;
  for (const GenerationInfo& generation : info.generations) {
    Value object;
    object.set("generation", static_cast<std::int64_t>(generation.id.value));
    object.set("model", generation.model);
    object.set("dimension", static_cast<std::int64_t>(generation.dimension));
    object.set("metric", name_of(generation.metric));
    generations.push_back(std::move(object));
  }
  return generations;
}

std::string generations_text(const SpaceInfo& info) {
  std::vector<std::string> parts;
  // The number is said where there is a choice.
  const bool numbered = info.next_generation > GenerationId{1};
  for (const GenerationInfo& generation : info.generations)
    parts.push_back((numbered ? std::to_string(generation.id.value) + ": " : "") + generation.model + " " +
                    std::to_string(generation.dimension) + " " + std::string(name_of(generation.metric)));
  return join(parts, ", ");
}

Facts space_facts(const SpaceInfo& info) {
  Facts facts;
  facts.text("name", "space", info.name)
      .add("space", static_cast<std::int64_t>(info.id.value))
      .text("state", "state", name_of_state(info.state))
      .add("created_at", format_rfc3339(info.created_at), "created", format_rfc3339(info.created_at))
      .add("generations", generations_value(info), "vectors of", generations_text(info));
  return facts;
}

Facts space_stats_facts(const SpaceStats& stats) {
  Facts facts = space_facts(stats.info);
  facts.count("nodes", "nodes", stats.nodes)
      .count("episodes", "episodes", stats.episodes)
      .count("concepts", "concepts", stats.concepts)
      .count("vectors", "vectors", stats.vectors)
      .count("links", "links", stats.links)
      .add("hot_nodes", stats.hot_nodes, "hot", grouped(stats.hot_nodes) + " nodes, " + human_bytes(stats.hot_bytes))
      .add("hot_bytes", stats.hot_bytes)
      .add("warm_nodes", stats.warm_nodes, "warm",
           grouped(stats.warm_nodes) + " nodes, about " + human_bytes(stats.warm_bytes))
      .add("warm_bytes", stats.warm_bytes)
      .add("cold_nodes", stats.cold_nodes, "cold",
           grouped(stats.cold_nodes) + " nodes, about " + human_bytes(stats.cold_bytes))
      .add("cold_bytes", stats.cold_bytes)
      .bytes("index_bytes", "index in memory", stats.index_bytes)
      .add("lsn", stats.lsn.value);
  return facts;
}

Status create(Context& context, const SpaceCommandOptions& options) {
  if (options.metric && !options.dimension)
    return {Code::InvalidArgument, "--metric needs --dim: without it the space takes both from the database"};
  return with_database(context, options.directory, [&](Database& database) -> Status {
    SpaceOptions space_options;
    space_options.dimension = options.dimension.value_or(0);
    if (options.metric) {
      MNEME_ASSIGN(space_options.metric, metric_from_name(*options.metric));
    }
    space_options.model = options.model;
    MNEME_ASSIGN(const Space space, database.create_space(options.name, space_options));
    MNEME_ASSIGN(const SpaceInfo info, space.info());
    space_facts(info).print(context.out);
    return {};
  });
}

Status list(Context& context, const SpaceCommandOptions& options) {
  return with_database(context, options.directory, [&](Database& database) -> Status {
    Table table(context.out, {{"SPACE"}, {"STATE"}, {"NODES", Table::Align::Right}, {"CREATED"}, {"VECTORS OF"}});
    for (const SpaceInfo& info : database.spaces()) {
      MNEME_ASSIGN(const Space space, database.space(info.name));
      MNEME_ASSIGN(const SpaceStats stats, space.stats());
      if (context.out.json()) {
        context.out.object(space_facts(info).count("nodes", "", stats.nodes).value());
      } else {
        table.row({info.name, std::string(name_of_state(info.state)), grouped(stats.nodes),
                   format_rfc3339(info.created_at), generations_text(info)});
      }
    }
    table.finish();
    return {};
  });
}

Status stats(Context& context, const SpaceCommandOptions& options) {
  return with_database(context, options.directory, [&](Database& database) -> Status {
    std::vector<std::string> names;
    if (options.name.empty())
      for (const SpaceInfo& info : database.spaces()) names.push_back(info.name);
    else
      names.push_back(options.name);
    for (const std::string& name : names) {
      MNEME_ASSIGN(const Space space, find_space(context, database, options.directory, name));
      MNEME_ASSIGN(const SpaceStats found, space.stats());
      if (!context.out.json() && name != names.front()) context.out.line("");
      space_stats_facts(found).print(context.out);
    }
    return {};
  });
}

Status print_state(Context& context, Database& database, const SpaceCommandOptions& options) {
  MNEME_ASSIGN(const Space space, database.space(options.name));
  MNEME_ASSIGN(const SpaceInfo info, space.info());
  space_facts(info).print(context.out);
  return {};
}

Status stop(Context& context, const SpaceCommandOptions& options) {
  return with_space(context, options.directory, options.name, [&](Database& database, const Space&) -> Status {
    MNEME_TRY(database.stop_space(options.name));
    return print_state(context, database, options);
  });
}

Status start(Context& context, const SpaceCommandOptions& options) {
  return with_space(context, options.directory, options.name, [&](Database& database, const Space&) -> Status {
    MNEME_TRY(database.start_space(options.name));
    return print_state(context, database, options);
  });
}

// Asks on the terminal; a script says --yes.
Status confirm(const SpaceCommandOptions& options, const std::string& what) {
  if (options.yes) return {};
  if (::isatty(STDIN_FILENO) == 0) return {Code::InvalidArgument, what + " for good: say --yes"};
  print_error_line(what + " for good. Type the name of the space to go on:");
  MNEME_ASSIGN(const std::string answer, read_answer());
  if (answer != options.name) return {Code::InvalidArgument, "the answer was not the name of the space; nothing done"};
  return {};
}

Status drop(Context& context, const SpaceCommandOptions& options) {
  return with_space(context, options.directory, options.name, [&](Database& database, const Space& space) -> Status {
    MNEME_ASSIGN(const SpaceStats stats, space.stats());
    MNEME_TRY(confirm(options,
                      "space drop removes " + in_quotes(options.name) + " and its " + grouped(stats.nodes) + " nodes"));
    MNEME_TRY(database.drop_space(options.name));
    Facts()
        .add("dropped", as_utf8(options.name), "dropped", options.name)
        .count("nodes", "nodes", stats.nodes)
        .count("links", "links", stats.links)
        .print(context.out);
    return {};
  });
}

Status add_generation(Context& context, const SpaceCommandOptions& options) {
  return with_space(context, options.directory, options.name, [&](Database& database, const Space& space) -> Status {
    GenerationOptions made{.dimension = options.dimension.value_or(0), .model = options.model};
    if (options.metric) {
      MNEME_ASSIGN(made.metric, metric_from_name(*options.metric));
    }
    MNEME_TRY(space.add_generation(made).status());
    return print_state(context, database, options);
  });
}

Status drop_generation(Context& context, const SpaceCommandOptions& options) {
  return with_space(context, options.directory, options.name, [&](Database& database, const Space& space) -> Status {
    const GenerationId generation{options.generation.value_or(0)};
    MNEME_ASSIGN(const SpaceInfo info, space.info());
    MNEME_TRY(dimension_of(info, generation).status());
    MNEME_TRY(confirm(options, "space drop-generation removes every vector of generation " +
                                   std::to_string(generation.value) + " from space " + in_quotes(options.name)));
    MNEME_TRY(space.drop_generation(generation));
    return print_state(context, database, options);
  });
}

enum class Name { None, Optional, Required };

Command& add(Command& group, const char* name, const char* summary, Name need, const Shared& options,
             Status (*run)(Context&, const SpaceCommandOptions&)) {
  Command& command = group.command(name, summary, Opens::Database);
  command.path("DIR", "directory of the database", options->directory, Need::Required);
  if (need != Name::None)
    command.text("NAME", "name of the space: any UTF-8 without control characters, at most 255 bytes", options->name,
                 need == Name::Required ? Need::Required : Need::Optional);
  command.runs([options, run](Context& context) { return run(context, *options); });
  return command;
}

}  // namespace

void add_space_commands(Command& root) {
  Command& group = root.command("space", "Makes, lists, stops and drops spaces: isolated tenants of a database.");
  const auto options = std::make_shared<SpaceCommandOptions>();

  add(group, "create", "Makes a space.", Name::Required, options, create)
      .whole("--dim N", "dimension of its vectors (default: the database's)", 1, limits::kDimensionsMax,
             options->dimension)
      .choice("--metric M", "cosine, ip or l2; with --dim", {"cosine", "ip", "l2"}, options->metric)
      .text("--model NAME", "name of the embedding model, informative", options->model)
      .notes("example: mneme space create mind notes --dim 384 --model all-MiniLM-L6-v2");
  add(group, "list", "Lists the spaces.", Name::None, options, list).notes("example: mneme space list mind");
  add(group, "stats", "Counts what a space holds, or every space.", Name::Optional, options, stats)
      .notes("example: mneme space stats mind notes");
  add(group, "stop", "Makes a space refuse writes; reads go on. Survives a restart.", Name::Required, options, stop)
      .notes("example: mneme space stop mind notes");
  add(group, "start", "Lets a stopped space take writes again.", Name::Required, options, start)
      .notes("example: mneme space start mind notes");
  add(group, "drop", "Removes a space and all in it.", Name::Required, options, drop)
      .flag("--yes", "do not ask", options->yes)
      .notes("example: mneme space drop mind notes --yes");
  add(group, "add-generation", "Lets a space take vectors of one more embedding model.", Name::Required, options,
      add_generation)
      .whole("--dim N", "dimension of its vectors", 1, limits::kDimensionsMax, options->dimension, Need::Required)
      .choice("--metric M", "cosine (default), ip or l2", {"cosine", "ip", "l2"}, options->metric)
      .text("--model NAME", "name of the embedding model, informative", options->model)
      .notes("example: mneme space add-generation mind notes --dim 768 --model bge-base");
  add(group, "drop-generation", "Removes an embedding model's vectors from every node.", Name::Required, options,
      drop_generation)
      .whole("--generation G", "which, as space stats numbers them", 0, 65'535, options->generation, Need::Required)
      .flag("--yes", "do not ask", options->yes)
      .notes("example: mneme space drop-generation mind notes --generation 0 --yes");
}

}  // namespace mneme::tools
