// Nodes for JSON and for people.
#include "node_output.h"

#include "mneme/base/json.h"
#include "text.h"

namespace mneme::tools {

namespace {

// Collects the fields of a node that are there.
class Fields {
 public:
  explicit Fields(Value& object) : object_(object) {}

  void put(std::string_view name, Value value) { object_.set(name, std::move(value)); }
  void text(std::string_view name, const std::optional<std::string>& value) {
    if (value) put(name, *value);
  }
  void labels(std::string_view name, const std::vector<std::string>& values) {
    if (!values.empty()) put(name, Value::Array(values.begin(), values.end()));
  }
  void time(std::string_view name, const std::optional<Timestamp>& value) {
    if (value) put(name, format_rfc3339(*value));
  }
  void real(std::string_view name, const std::optional<double>& value) {
    if (value) put(name, *value);
  }
  void count(std::string_view name, const std::optional<std::uint64_t>& value) {
    if (value) put(name, *value);
  }
  void value(std::string_view name, const std::optional<Value>& value) {
    if (value) put(name, *value);
  }

 private:
  Value& object_;
};

void add_identity(const Node& node, Fields& fields) {
  fields.labels("namespace", node.namespace_path);
  fields.text("key", node.key);
  fields.count("version", node.version);
  fields.text("external_system", node.external_system);
  fields.text("user", node.scope.user);
  fields.text("agent", node.scope.agent);
  fields.text("run", node.scope.run);
  fields.text("app", node.scope.app);
  fields.text("project", node.scope.project);
  fields.text("actor", node.scope.actor);
}

void add_content(const Node& node, Fields& fields) {
  fields.value("value", node.value);
  if (node.content_hash) fields.put("content_hash", to_hex(*node.content_hash));
  fields.labels("tags", node.tags);
  fields.labels("categories", node.categories);
  if (node.memory_type != MemoryType::Unset) fields.put("memory_type", name_of(node.memory_type));
}

void add_times(const Node& node, Fields& fields) {
  fields.time("updated_at", node.updated_at);
  fields.time("last_verified", node.last_verified);
  fields.time("deprecated_since", node.deprecated_since);
  fields.text("deprecated_reason", node.deprecated_reason);
  fields.time("expires_at", node.expires_at);
  fields.time("valid_from", node.valid_from);
  fields.time("valid_until", node.valid_until);
  fields.time("occurred_at", node.occurred_at);
  fields.time("deleted_at", node.deleted_at);
}

void add_cognition(const Node& node, Fields& fields) {
  fields.real("activation", node.activation);
  fields.real("confidence", node.confidence);
  fields.count("access_count", node.access_count);
  fields.time("last_access", node.last_access);
  fields.real("decay_rate", node.decay_rate);
  fields.real("importance", node.importance);
  fields.real("strength", node.strength);
  fields.real("consolidation_score", node.consolidation_score);
  fields.real("coherence", node.coherence);
  fields.count("instance_count", node.instance_count);
  fields.time("formation_time", node.formation_time);
}

void add_provenance(const Node& node, Fields& fields) {
  fields.text("source_model", node.source_model);
  fields.text("source_tool", node.source_tool);
  fields.text("source_migration", node.source_migration);
  fields.text("migration_version", node.migration_version);
  fields.value("embedding_provenance", node.embedding_provenance);
  fields.text("embedder", node.embedder);
  Value::Array evidence;
  for (const NodeId& id : node.evidence) evidence.emplace_back(id.to_string());
  if (!evidence.empty()) fields.put("evidence", std::move(evidence));
  fields.value("source", node.source_fields);
}

// Shapes, and the values where they are wanted.
Value vectors_value(const NodeView& view, bool with_values) {
  Value::Array vectors;
  for (std::size_t i = 0; i < view->vector_count(); ++i) {
    const VectorShape shape = view->shape(i);
    Value vector;
    vector.set("generation", static_cast<std::int64_t>(shape.generation.value));
    vector.set("dimension", static_cast<std::int64_t>(shape.dimension));
    if (with_values) {
      Value::Array values;
      for (const float value : view->vector_at(i)) values.push_back(shortest(value));
      vector.set("values", std::move(values));
    }
    vectors.push_back(std::move(vector));
  }
  return vectors;
}

// A member's value for people: text as it is, anything else as JSON.
std::string shown(const Value& value) {
  const auto* text = value.get_if<std::string>();
  return text != nullptr ? *text : to_json(value);
}

}  // namespace

std::string shown_id(const NodeRecord& record) {
  const auto external = record.external_id();
  return external ? std::string(*external) : record.id().to_string();
}

Result<Value> node_object(const NodeView& view, const NodeFormat& format) {
  MNEME_ASSIGN(const Node node, view.node());
  Value object;
  Fields fields(object);
  fields.put("id", shown_id(*view));
  fields.put("node", node.id.to_string());
  fields.put("row", view.row().value);
  if (format.score) fields.put("score", shortest(*format.score));
  fields.put("kind", name_of(node.kind));
  fields.put("tier", name_of(view.tier()));
  fields.put("content", node.content ? Value(*node.content) : Value());
  fields.put("metadata", node.metadata.value_or(Value()));
  fields.put("created_at", node.created_at ? Value(format_rfc3339(*node.created_at)) : Value());
  add_identity(node, fields);
  add_content(node, fields);
  add_times(node, fields);
  add_cognition(node, fields);
  add_provenance(node, fields);
  if (view->vector_count() > 0) fields.put("vectors", vectors_value(view, format.vectors));
  return object;
}

Result<Facts> node_page(const NodeView& view, const NodeFormat& format) {
  MNEME_ASSIGN(const Value object, node_object(view, format));
  Facts facts;
  for (const auto& [name, value] : *object.get_if<Value::Object>())
    if (!value.is_null()) facts.remark(name, shown(value));
  return facts;
}

}  // namespace mneme::tools
