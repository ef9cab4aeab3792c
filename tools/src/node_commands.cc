// get, erase and move: nodes by their ids.
#include "commands.h"
#include "context.h"
#include "node_output.h"
#include "text.h"

namespace mneme::tools {

namespace {

struct NodeOptions {
  std::filesystem::path directory;
  std::string space, id, tier;
  std::vector<std::string> ids;
  bool vectors = false;
};
using Shared = std::shared_ptr<NodeOptions>;

Status get(Context& context, const NodeOptions& options) {
  return with_space(context, options.directory, options.space, [&](Database&, const Space& space) -> Status {
    MNEME_ASSIGN(const NodeView view, space.get_by_name(options.id));
    NodeFormat format;
    format.vectors = options.vectors;
    if (context.out.json()) {
      MNEME_ASSIGN(const Value object, node_object(view, format));
      context.out.object(object);
      return {};
    }
    MNEME_ASSIGN(const Facts facts, node_page(view, format));
    facts.print(context.out);
    return {};
  });
}

// All or nothing: an id that is not there stops the whole batch.
Status erase(Context& context, const NodeOptions& options) {
  return with_space(context, options.directory, options.space, [&](Database& database, const Space& space) -> Status {
    Batch batch;
    for (const std::string& id : options.ids) {
      const auto view = space.get_by_name(id);
      if (!view) {
        if (view.status().code() == Code::NotFound) context.hint = "nothing was erased";
        return view.status();
      }
      MNEME_TRY(batch.erase(space, view->id()));
    }
    MNEME_TRY(database.write(batch).status());
    Facts().count("erased", "erased", options.ids.size()).print(context.out);
    return {};
  });
}

Status move(Context& context, const NodeOptions& options) {
  return with_space(context, options.directory, options.space, [&](Database&, const Space& space) -> Status {
    MNEME_ASSIGN(const TierId tier, tier_from_name(options.tier));
    MNEME_ASSIGN(const NodeView view, space.get_by_name(options.id));
    MNEME_TRY(space.move(view.id(), tier));
    MNEME_ASSIGN(const TierId now, space.tier_of(view.id()));
    const std::string id = shown_id(*view);
    Facts()
        .text("id", "id", id)
        .add("node", view.id().to_string())
        .text("from", "from", name_of(view.tier()))
        .text("tier", "tier", name_of(now))
        .print(context.out);
    return {};
  });
}

Command& add(Command& root, const char* name, const char* summary, const Shared& options,
             Status (*run)(Context&, const NodeOptions&)) {
  Command& command = root.command(name, summary, Opens::Database);
  command.path("DIR", "directory of the database", options->directory, Need::Required)
      .text("--space S", "name of the space", options->space, Need::Required);
  command.runs([options, run](Context& context) { return run(context, *options); });
  return command;
}

}  // namespace

void add_node_commands(Command& root) {
  const auto options = std::make_shared<NodeOptions>();
  const char* const id_help = "the id it had where it came from, or the UUID of the node";

  add(root, "get", "Prints one node.", options, get)
      .text("ID", id_help, options->id, Need::Required)
      .flag("--vectors", "the values of its vectors too", options->vectors)
      .notes("An id that begins with a dash goes behind --.\nexample: mneme get mind --space notes tea --json");
  add(root, "erase", "Erases nodes and the links from and to them, all or none.", options, erase)
      .texts("ID", id_help, options->ids, Need::Required)
      .notes("example: mneme erase mind --space notes tea coffee");
  add(root, "move", "Moves a node to another tier.", options, move)
      .text("ID", id_help, options->id, Need::Required)
      .choice("--to TIER", "hot, warm or cold", {"hot", "warm", "cold"}, options->tier, Need::Required)
      .notes("example: mneme move mind --space notes tea --to cold");
}

}  // namespace mneme::tools
