// put: one node in.
#include <algorithm>

#include "commands.h"
#include "context.h"
#include "input.h"
#include "mneme/base/json.h"
#include "mneme/base/limits.h"
#include "mneme/embedder.h"
#include "mneme/migration/memory.h"
#include "mneme/migration/memory_json.h"
#include "node_output.h"
#include "text.h"

namespace mneme::tools {

namespace {

struct PutOptions {
  std::filesystem::path directory;
  std::string space;
  std::optional<std::string> id, content, vector, embedder, metadata, name_space, memory_type, created_at, line;
  std::string kind = "episode", durability = "sync";
  std::vector<std::string> tags, categories, also;
  std::optional<std::uint16_t> generation;
  std::optional<double> activation, confidence, importance;
};

Status invalid(std::string message) { return {Code::InvalidArgument, std::move(message)}; }

Result<Durability> durability_from_name(std::string_view name) {
  if (name == "sync") return Durability::Sync;
  if (name == "interval") return Durability::Interval;
  if (name == "memory") return Durability::Memory;
  return invalid("no durability " + in_quotes(name));
}

// A vector of the generation from the node's own text.
Status embed(const SpaceInfo& info, GenerationId generation, Node& node) {
  if (!node.content) return invalid("--embedder makes a vector from --content, and there is none");
  MNEME_ASSIGN(const std::uint32_t dimension, dimension_of(info, generation));
  node.vectors.push_back({generation, hash_embedding(*node.content, dimension)});
  node.embedder = kHashEmbedderName;
  return {};
}

// --vector or --embedder for one model, --also for others.
Status fill_vectors(const PutOptions& options, const Space& space, Node& node) {
  MNEME_ASSIGN(const SpaceInfo info, space.info());
  const GenerationId first = generation_or_first(info, options.generation);
  if (options.vector) {
    MNEME_ASSIGN(std::vector<float> values, parse_vector(*options.vector));
    node.vectors.push_back({first, std::move(values)});
  } else if (options.embedder) {
    MNEME_TRY(embed(info, first, node));
  }
  MNEME_ASSIGN(const std::vector<AlsoArgument> also, parse_also(options.also));
  for (const AlsoArgument& one : also) {
    const std::string which = "--also " + std::to_string(one.generation.value) + ": ";
    if (one.weight) return invalid(which + "a vector that is put has no weight");
    if (one.vector) {
      MNEME_ASSIGN(std::vector<float> values, parse_vector(*one.vector));
      node.vectors.push_back({one.generation, std::move(values)});
    } else if (options.embedder) {
      MNEME_TRY(embed(info, one.generation, node));
    } else {
      return invalid(which + "say its vector, G:VECTOR, or --embedder");
    }
  }
  std::ranges::sort(node.vectors, {}, &NodeVector::generation);
  return {};
}

// --line: one memory object, the same that an import reads.
Result<Node> node_from_line(const PutOptions& options, const Space& space) {
  MNEME_ASSIGN(const std::string line, text_or_stdin(*options.line, limits::kJsonLineBytesMax, "--line"));
  MNEME_ASSIGN(const migration::Memory memory, migration::memory_from_json(line));
  MNEME_TRY(migration::validate_memory(memory));
  Node node = migration::from_memory(memory, space.name());
  if (options.embedder && node.vectors.empty() && node.content) {
    MNEME_ASSIGN(const SpaceInfo info, space.info());
    MNEME_TRY(embed(info, generation_or_first(info, {}), node));
  }
  return node;
}

Status fill_identity(const PutOptions& options, const Space& space, Node& node) {
  MNEME_ASSIGN(node.kind, node_kind_from_name(options.kind));
  if (options.id) {
    // The id of a node that is there names that node; anything else is an id of the caller's own.
    const auto there = space.get_by_name(*options.id);
    if (!there && there.status().code() != Code::NotFound) return there.status();
    if (there) {
      node.id = there->id();
      if (const auto external = (*there)->external_id()) node.external_id = std::string(*external);
      if (const auto system = (*there)->text(NodeField::ExternalSystem)) node.external_system = std::string(*system);
    } else {
      node.external_id = *options.id;
    }
  }
  if (!options.name_space) return {};
  node.namespace_path = split(*options.name_space, '/');
  for (const std::string& label : node.namespace_path)
    if (label.empty()) return invalid("--namespace: a label in " + in_quotes(*options.name_space) + " is empty");
  return {};
}

Result<Node> node_from_options(const PutOptions& options, const Space& space) {
  Node node;
  MNEME_TRY(fill_identity(options, space, node));
  if (options.content) {
    MNEME_ASSIGN(node.content, text_or_stdin(*options.content, limits::kContentBytesMax, "--content"));
  }
  MNEME_TRY(fill_vectors(options, space, node));
  if (options.metadata) {
    auto metadata = parse_json(*options.metadata);
    if (!metadata) return metadata.status().with_context("--metadata");
    node.metadata = std::move(*metadata);
  }
  if (options.memory_type) {
    MNEME_ASSIGN(node.memory_type, memory_type_from_name(*options.memory_type));
  }
  if (options.created_at) {
    const auto time = parse_rfc3339(*options.created_at);
    if (!time) return time.status().with_context("--created-at");
    node.created_at = *time;
  }
  node.tags = options.tags;
  node.categories = options.categories;
  node.activation = options.activation;
  node.confidence = options.confidence;
  node.importance = options.importance;
  return node;
}

Status check(const PutOptions& options) {
  const bool any_field = options.id || options.content || options.vector || options.metadata || options.generation ||
                         !options.also.empty() || options.name_space || options.memory_type || options.created_at ||
                         !options.tags.empty() || !options.categories.empty() || options.activation ||
                         options.confidence || options.importance;
  if (options.line && any_field) return invalid("--line holds the whole memory: the other fields do not go with it");
  if (!options.line && !options.content && !options.vector && !options.metadata && options.also.empty())
    return invalid("nothing to put: give --content, --vector, --metadata or --line");
  if (options.vector && options.embedder) return invalid("--vector and --embedder do not go together");
  return {};
}

Status put(Context& context, const PutOptions& options) {
  MNEME_TRY(check(options));
  return with_space(context, options.directory, options.space, [&](Database&, const Space& space) -> Status {
    MNEME_ASSIGN(Node node, options.line ? node_from_line(options, space) : node_from_options(options, space));
    MNEME_ASSIGN(const Durability durability, durability_from_name(options.durability));
    const std::optional<std::string> external = node.external_id;
    auto id = space.put(std::move(node), durability);
    if (!id) {
      if (id.status().code() == Code::FailedPrecondition && !context.globals.read_only)
        context.hint = "a stopped space takes writes again after `mneme space start`";
      return id.status();
    }
    const std::string text = id->to_string();
    if (!context.out.json()) {
      context.out.line(external ? printable(*external) : text);
      return {};
    }
    Value object;
    object.set("id", external.value_or(text));
    object.set("node", text);
    context.out.object(object);
    return {};
  });
}

}  // namespace

void add_put_command(Command& root) {
  auto options = std::make_shared<PutOptions>();
  Command& command =
      root.command("put", "Puts one node into a space, or replaces it, and prints its id.", Opens::Database);
  command.path("DIR", "directory of the database", options->directory, Need::Required)
      .text("--space S", "name of the space", options->space, Need::Required)
      .text("--id ID", "the id it has where it comes from; put again under the same id, it replaces the node",
            options->id)
      .choice("--kind K", "episode (default) or concept", {"episode", "concept"}, options->kind)
      .text("--content TEXT", "its text; - reads it from standard input", options->content)
      .text("--vector V", "its vector, '[0.1, 0.2, ...]' or @FILE", options->vector)
      .choice("--embedder E", "make the vector from the content; hash: character n-grams, no model needed", {"hash"},
              options->embedder)
      .whole("--generation G", "of which embedding model it is (default: the first that is there)", 0, 65'535,
             options->generation)
      .texts("--also G[:V]", "its vector V by this model, too; with --embedder no V is needed; may be repeated",
             options->also)
      .text("--metadata JSON", "any JSON value", options->metadata)
      .texts("--tag T", "a tag; may be repeated", options->tags)
      .texts("--category C", "a category; may be repeated", options->categories)
      .text("--namespace A/B", "labels, outermost first", options->name_space)
      .choice("--memory-type T", "semantic, episodic or procedural", {"semantic", "episodic", "procedural"},
              options->memory_type)
      .real("--activation X", "from 0 to 1", options->activation)
      .real("--confidence X", "from 0 to 1", options->confidence)
      .real("--importance X", "from 0 to 1", options->importance)
      .text("--created-at TIME", "RFC 3339; default: what the node has, or now", options->created_at)
      .choice("--durability D", "when it is acknowledged: sync (default), interval or memory",
              {"sync", "interval", "memory"}, options->durability)
      .text("--line JSON",
            "instead of the fields: one memory object as in a JSONL import; - reads it from standard input",
            options->line)
      .notes(
          "example: mneme put mind --space notes --id tea --content 'Green tea steeps at 80 degrees' --embedder hash");
  command.runs([options](Context& context) { return put(context, *options); });
}

}  // namespace mneme::tools
