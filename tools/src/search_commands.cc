// search and scan: nodes by vector, by filter and by row.
#include <cstdio>

#include "commands.h"
#include "context.h"
#include "input.h"
#include "mneme/base/limits.h"
#include "mneme/embedder.h"
#include "node_output.h"
#include "signals.h"
#include "text.h"

namespace mneme::tools {

namespace {

struct SearchOptions {
  std::filesystem::path directory;
  std::string space;
  std::optional<std::string> vector, text, embedder, like, filter;
  std::optional<double> recall, diversity, weight;
  std::vector<std::string> also;
  std::size_t k = 10;
  std::optional<std::uint16_t> generation;
  bool ids_only = false;
};

struct ScanOptions {
  std::filesystem::path directory;
  std::string space;
  std::optional<std::string> filter;
  std::optional<std::uint64_t> after;
  std::size_t limit = 0;
};

Status invalid(std::string message) { return {Code::InvalidArgument, std::move(message)}; }

Result<Filter> parse_filter(const std::optional<std::string>& text) {
  if (!text) return Filter();
  auto filter = Filter::parse_json(*text);
  if (!filter) return filter.status().with_context("--filter");
  return filter;
}

// What can be said without opening anything.
Status check(const SearchOptions& options) {
  if (options.vector.has_value() + options.text.has_value() + options.like.has_value() != 1)
    return invalid("give one of --vector, --like and --text with --embedder hash");
  if (options.text && !options.embedder)
    return invalid("--text needs a model to make a vector of it: --embedder hash is built in");
  if (options.recall && !(*options.recall > 0 && *options.recall <= 1))
    return invalid("--recall: above 0 to 1 is allowed, 1 is exact");
  if (options.diversity && !(*options.diversity >= 0 && *options.diversity <= 1))
    return invalid("--diversity: 0 to 1 is allowed, 0 is none");
  if (options.weight && options.also.empty()) return invalid("--weight is for a search by several models: with --also");
  MNEME_ASSIGN(const std::vector<AlsoArgument> also, parse_also(options.also));
  for (const AlsoArgument& one : also) {
    const std::string which = "--also " + std::to_string(one.generation.value) + ": ";
    if (options.vector && !one.vector) return invalid(which + "--vector is of one model, say the other's: G:VECTOR");
    if (options.like && one.vector) return invalid(which + "with --like it takes the node's own vector, and no other");
  }
  return {};
}

// The query's vector of each model but the first.
Status fill_also(const SearchOptions& options, const SpaceInfo& info, Query& query) {
  MNEME_ASSIGN(const std::vector<AlsoArgument> also, parse_also(options.also));
  for (const AlsoArgument& one : also) {
    Query::Also& into = query.also.emplace_back();
    into.generation = one.generation;
    into.weight = one.weight.value_or(1);
    if (one.vector) {
      MNEME_ASSIGN(into.vector, parse_vector(*one.vector));
    } else if (options.text) {
      MNEME_ASSIGN(const std::uint32_t dimension, dimension_of(info, one.generation));
      into.vector = hash_embedding(*options.text, dimension);
    }
  }
  return {};
}

Result<Query> parse_query(const SearchOptions& options, const Space& space) {
  MNEME_ASSIGN(const SpaceInfo info, space.info());
  Query query;
  query.generation = generation_or_first(info, options.generation);
  query.weight = static_cast<float>(options.weight.value_or(1));
  query.k = options.k;
  query.recall_target = static_cast<float>(options.recall.value_or(1));
  query.diversity = static_cast<float>(options.diversity.value_or(0));
  MNEME_ASSIGN(query.filter, parse_filter(options.filter));
  if (options.like) {
    MNEME_ASSIGN(const NodeView node, space.get_by_name(*options.like));
    query.like = node.id();
  } else if (options.vector) {
    MNEME_ASSIGN(query.vector, parse_vector(*options.vector));
  } else {
    MNEME_ASSIGN(const std::uint32_t dimension, dimension_of(info, query.generation));
    query.vector = hash_embedding(*options.text, dimension);
  }
  MNEME_TRY(fill_also(options, info, query));
  return query;
}

std::string score_text(float score) {
  char buffer[32];
  const int length = std::snprintf(buffer, sizeof buffer, "%.4f", static_cast<double>(score));
  return std::string(buffer, static_cast<std::size_t>(length));
}

std::string content_text(const NodeView& view) {
  // Enough for the widest terminal; the content itself may be megabytes.
  constexpr std::size_t kShownBytes = 2'000;
  const std::string_view content = view->content().value_or(std::string_view());
  std::size_t end = std::min(content.size(), kShownBytes);
  while (end < content.size() && end > 0 && (static_cast<unsigned char>(content[end]) & 0xc0) == 0x80) --end;
  return std::string(content.substr(0, end));
}

Status print_neighbours(Context& context, const std::vector<Neighbour>& neighbours) {
  Table table(context.out, {{"#", Table::Align::Right}, {"SCORE", Table::Align::Right}, {"ID"}});
  std::size_t rank = 0;
  for (const Neighbour& one : neighbours) {
    if (context.out.json()) {
      Value object;
      object.set("id", one.id.to_string());
      object.set("score", shortest(one.score));
      context.out.object(object);
    } else {
      table.row({std::to_string(++rank), score_text(one.score), one.id.to_string()});
    }
  }
  table.finish();
  return {};
}

Status print_hits(Context& context, const std::vector<SearchHit>& hits) {
  Table table(context.out, {{"#", Table::Align::Right}, {"SCORE", Table::Align::Right}, {"ID"}, {"TIER"}, {"CONTENT"}});
  std::size_t rank = 0;
  for (const SearchHit& hit : hits) {
    if (context.out.json()) {
      NodeFormat format;
      format.score = hit.score;
      MNEME_ASSIGN(const Value object, node_object(hit.node, format));
      context.out.object(object);
    } else {
      table.row({std::to_string(++rank), score_text(hit.score), shown_id(*hit.node),
                 std::string(name_of(hit.node.tier())), content_text(hit.node)});
    }
  }
  table.finish();
  return {};
}

Status search(Context& context, const SearchOptions& options) {
  MNEME_TRY(check(options));
  return with_space(context, options.directory, options.space, [&](Database&, const Space& space) -> Status {
    MNEME_ASSIGN(const Query query, parse_query(options, space));
    std::size_t found = 0;
    if (options.ids_only) {
      MNEME_ASSIGN(const std::vector<Neighbour> neighbours, space.nearest(query));
      found = neighbours.size();
      MNEME_TRY(print_neighbours(context, neighbours));
    } else {
      MNEME_ASSIGN(const std::vector<SearchHit> hits, space.search(query));
      found = hits.size();
      MNEME_TRY(print_hits(context, hits));
    }
    if (found == 0) context.remark("nothing found");
    return {};
  });
}

Status scan(Context& context, const ScanOptions& options) {
  return with_space(context, options.directory, options.space, [&](Database&, const Space& space) -> Status {
    ScanQuery query;
    MNEME_ASSIGN(query.filter, parse_filter(options.filter));
    if (options.after) query.first = RowId{*options.after + 1};
    query.limit = options.limit;

    Table table(context.out, {{"ROW", Table::Align::Right}, {"ID"}, {"KIND"}, {"TIER"}, {"CREATED"}, {"CONTENT"}});
    Status shown;
    std::uint64_t rows = 0;
    const Status scanned = space.scan(query, [&](const NodeView& view) {
      ++rows;
      if (context.out.json()) {
        const auto object = node_object(view, {});
        if (object) context.out.object(*object);
        shown = object.status();
      } else {
        const auto created = view->created_at();
        table.row({std::to_string(view.row().value), shown_id(*view), std::string(name_of(view.kind())),
                   std::string(name_of(view.tier())), created ? format_rfc3339(*created) : "", content_text(view)});
      }
      return shown.ok() && !context.out.failed() && !interrupted();
    });
    table.finish();
    MNEME_TRY(scanned);
    MNEME_TRY(shown);
    if (interrupted()) return {Code::Cancelled, "scan stopped on request"};
    if (rows == 0) context.remark("nothing found");
    return {};
  });
}

}  // namespace

void add_search_commands(Command& root) {
  auto searched = std::make_shared<SearchOptions>();
  Command& search_command =
      root.command("search", "Finds the nodes whose vectors are nearest, best first.", Opens::Database);
  search_command.path("DIR", "directory of the database", searched->directory, Need::Required)
      .text("--space S", "name of the space", searched->space, Need::Required)
      .text("--vector V", "the query, '[0.1, 0.2, ...]' or @FILE", searched->vector)
      .text("--text T", "the query as text, with --embedder", searched->text)
      .choice("--embedder E", "what makes a vector of the text; hash: character n-grams, no model needed", {"hash"},
              searched->embedder)
      .text("--like ID", "the query is this node's own vector; the node is left out", searched->like)
      .whole("-k,--neighbours N", "how many (default: 10)", 1, limits::kNeighboursMax, searched->k)
      .text("--filter JSON", "only nodes that match, for example '{\"metadata.pos\": \"n\"}'", searched->filter)
      .whole("--generation G", "which embedding model's vectors (default: the first that is there)", 0, 65'535,
             searched->generation)
      .texts(
          "--also G[*W][:V]",
          "by this model, too, with weight W and vector V, and fuse the ranks; with --text or --like no V is needed; "
          "may be repeated",
          searched->also)
      .real("--weight W", "of the first model beside those of --also, above 0 to 1,000 (default: 1)", searched->weight)
      .real("--recall R", "share of the true nearest to find, above 0 to 1 (default: 1, exact)", searched->recall)
      .real("--diversity D", "0 to 1: how much nodes unlike the ones before them are preferred (default: 0)",
            searched->diversity)
      .flag("--ids-only", "prints ids and scores and reads no node", searched->ids_only)
      .notes(
          "Scores: cosine in [-1, 1], ip the inner product, l2 minus the squared distance; higher is better. With\n"
          "--also the sum of weight / (60 + rank) over the models.\n"
          "example: mneme search mind --space notes --text 'how hot is the water' --embedder hash -k 3");
  search_command.runs([searched](Context& context) { return search(context, *searched); });

  auto scanned = std::make_shared<ScanOptions>();
  Command& scan_command =
      root.command("scan", "Prints nodes in the order in which they were first written.", Opens::Database);
  scan_command.path("DIR", "directory of the database", scanned->directory, Need::Required)
      .text("--space S", "name of the space", scanned->space, Need::Required)
      .text("--filter JSON", "only nodes that match", scanned->filter)
      .whole("--limit N", "at most so many (default: all)", 1, SIZE_MAX, scanned->limit)
      .whole("--after ROW", "go on behind this row, as an earlier scan printed it", 0, kNoRow.value - 1, scanned->after)
      .notes(
          "Filters: {\"field\": value}, {\"field\": {\"eq|ne|gt|gte|lt|lte|in|nin|contains|exists\": value}},\n"
          "{\"and\": [...]}, {\"or\": [...]}, {\"not\": {...}}, {\"namespace\": {\"prefix\": \"a/b\"}}. Fields: kind "
          "id\n"
          "external_id key namespace content memory_type tags categories user agent run app project actor,\n"
          "times (RFC 3339), activation confidence importance access_count ..., metadata.a.b, source.a.b.\n"
          "example: mneme scan mind --space notes --filter '{\"tags\": \"drinks\"}' --limit 20");
  scan_command.runs([scanned](Context& context) { return scan(context, *scanned); });
}

}  // namespace mneme::tools
