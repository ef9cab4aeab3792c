// link: edges between nodes, made, removed and listed.
#include <map>

#include "commands.h"
#include "context.h"
#include "mneme/base/json.h"
#include "node_output.h"
#include "text.h"

namespace mneme::tools {

namespace {

struct LinkOptions {
  std::filesystem::path directory;
  std::string space, from;
  std::optional<std::string> to, type, direction;
  std::optional<double> weight;
  bool remove = false, list = false;
};

Status invalid(std::string message) { return {Code::InvalidArgument, std::move(message)}; }

Status check(const LinkOptions& options) {
  if (options.remove && options.list) return invalid("--remove and --list do not go together");
  if (options.list && options.to) return invalid("--list takes one node, FROM");
  if (!options.list && !options.to) return invalid("TO is required: the node that the link leads to");
  if (!options.list && options.direction) return invalid("--direction goes with --list");
  if (options.weight && (options.list || options.remove)) return invalid("--weight goes with a new link");
  return {};
}

// Ids as people gave them, looked up once per node.
class Names {
 public:
  explicit Names(const Space& space) : space_(space) {}
  Result<std::string> of(const NodeId& node) {
    const auto known = names_.find(node);
    if (known != names_.end()) return known->second;
    const auto view = space_.get(node);
    // A link's end may be gone between the two reads; its own id still names it.
    if (!view && view.status().code() != Code::NotFound) return view.status();
    return names_[node] = view ? shown_id(**view) : node.to_string();
  }

 private:
  const Space& space_;
  std::map<NodeId, std::string> names_;
};

Result<Value> link_object(const Link& link, Names& names) {
  MNEME_ASSIGN(const std::string from, names.of(link.from));
  MNEME_ASSIGN(const std::string to, names.of(link.to));
  Value object;
  object.set("from", from);
  object.set("from_node", link.from.to_string());
  object.set("type", link.type);
  object.set("to", to);
  object.set("to_node", link.to.to_string());
  object.set("weight", link.weight);
  if (link.valid_from) object.set("valid_from", format_rfc3339(*link.valid_from));
  if (link.valid_until) object.set("valid_until", format_rfc3339(*link.valid_until));
  if (link.created_at) object.set("created_at", format_rfc3339(*link.created_at));
  return object;
}

Result<LinkDirection> direction_from_name(const std::string& name) {
  if (name == "out") return LinkDirection::Out;
  if (name == "in") return LinkDirection::In;
  if (name == "both") return LinkDirection::Both;
  return invalid("no direction " + in_quotes(name));
}

std::string text_of(const Value& object, std::string_view member) {
  const Value* value = object.find(member);
  if (value == nullptr) return {};
  const auto* text = value->get_if<std::string>();
  return text != nullptr ? *text : to_json(*value);
}

Status list(Context& context, const LinkOptions& options, const Space& space) {
  MNEME_ASSIGN(const NodeView node, space.get_by_name(options.from));
  MNEME_ASSIGN(const LinkDirection direction, direction_from_name(options.direction.value_or("out")));
  MNEME_ASSIGN(const std::vector<Link> links, space.links(node.id(), direction, options.type.value_or("")));
  Names names(space);
  Table table(context.out, {{"FROM"}, {"TYPE"}, {"TO"}, {"WEIGHT", Table::Align::Right}, {"CREATED"}});
  for (const Link& link : links) {
    MNEME_ASSIGN(const Value object, link_object(link, names));
    if (context.out.json())
      context.out.object(object);
    else
      table.row({text_of(object, "from"), link.type, text_of(object, "to"), text_of(object, "weight"),
                 text_of(object, "created_at")});
  }
  table.finish();
  return {};
}

Status change(Context& context, const LinkOptions& options, const Space& space) {
  MNEME_ASSIGN(const NodeView from, space.get_by_name(options.from));
  MNEME_ASSIGN(const NodeView to, space.get_by_name(*options.to));
  Link link;
  link.from = from.id();
  link.to = to.id();
  if (options.type) link.type = *options.type;
  if (options.weight) link.weight = *options.weight;
  if (options.remove)
    MNEME_TRY(space.unlink(link.from, link.type, link.to));
  else
    MNEME_TRY(space.link(link));

  const char* const done = options.remove ? "removed" : "linked";
  if (!context.out.json()) {
    context.out.line(std::string(done) + "  " + printable(shown_id(*from)) + " " + printable(link.type) + " " +
                     printable(shown_id(*to)));
    return {};
  }
  Names names(space);
  MNEME_ASSIGN(Value object, link_object(link, names));
  object.set(done, true);
  context.out.object(object);
  return {};
}

Status run(Context& context, const LinkOptions& options) {
  MNEME_TRY(check(options));
  return with_space(context, options.directory, options.space, [&](Database&, const Space& space) {
    return options.list ? list(context, options, space) : change(context, options, space);
  });
}

}  // namespace

void add_link_command(Command& root) {
  auto options = std::make_shared<LinkOptions>();
  Command& command = root.command("link", "Links two nodes, removes a link, or lists a node's links.", Opens::Database);
  command.path("DIR", "directory of the database", options->directory, Need::Required)
      .text("--space S", "name of the space", options->space, Need::Required)
      .text("FROM", "id of the node that the link leaves", options->from, Need::Required)
      .text("TO", "id of the node that it leads to", options->to)
      .text("--type T", "type of the link (default: related); with --list, only these", options->type)
      .real("--weight W", "weight of the link (default: 1)", options->weight)
      .flag("--remove", "remove the link instead", options->remove)
      .flag("--list", "list the links of FROM instead", options->list)
      .choice("--direction D", "with --list: out (default), in or both", {"out", "in", "both"}, options->direction)
      .notes(
          "examples: mneme link mind --space notes tea water --type needs --weight 0.8\n"
          "          mneme link mind --space notes tea --list --direction both");
  command.runs([options](Context& context) { return run(context, *options); });
}

}  // namespace mneme::tools
