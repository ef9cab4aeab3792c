#include "export_node.h"

#include "memory_members.h"
#include "mneme/base/checksum.h"

namespace mneme::migration {
namespace {

/// Collects the members that are there, by name.
class Members {
 public:
  void add(std::string_view name, Value value) { members_.emplace_back(std::string(name), std::move(value)); }
  void add(std::string_view name, const std::optional<std::string>& text) {
    if (text) add(name, Value(*text));
  }
  void add(std::string_view name, const std::optional<Timestamp>& time) {
    if (time) add(name, Value(format_rfc3339(*time)));
  }
  void add(std::string_view name, const std::optional<double>& real) {
    if (real) add(name, Value(*real));
  }
  void add(std::string_view name, const std::optional<std::uint64_t>& count) {
    if (count) add(name, Value(*count));
  }
  void add(std::string_view name, const std::optional<Value>& value) {
    if (value) add(name, *value);
  }
  void add(std::string_view name, const std::vector<std::string>& labels) {
    if (!labels.empty()) add(name, Value(Value::Array(labels.begin(), labels.end())));
  }
  void add(std::string_view name, const Bytes& bytes) {
    if (!bytes.empty()) add(name, Value(to_hex(bytes)));
  }
  Value take() { return members_.empty() ? Value() : Value(std::move(members_)); }

 private:
  Value::Object members_;
};

Value scope_of(const Scope& scope) {
  Members members;
  members.add("user", scope.user);
  members.add("agent", scope.agent);
  members.add("run", scope.run);
  members.add("app", scope.app);
  members.add("project", scope.project);
  members.add("actor", scope.actor);
  return members.take();
}

/// Vectors but that of generation 0, which is the line's embedding.
Value vectors_of(const Node& node) {
  Value::Array vectors;
  for (const NodeVector& vector : node.vectors) {
    if (vector.generation == GenerationId{0}) continue;
    Members members;
    members.add("generation", Value(static_cast<std::uint64_t>(vector.generation.value)));
    members.add("values", Value(Value::Array(vector.values.begin(), vector.values.end())));
    vectors.push_back(members.take());
  }
  return vectors.empty() ? Value() : Value(std::move(vectors));
}

void add_identity(const Node& node, Members& members) {
  members.add("kind", Value(name_of(node.kind)));
  members.add("node", Value(node.id.to_string()));
  members.add("namespace", node.namespace_path);
  members.add("key", node.key);
  members.add("version", node.version);
  members.add("external_system", node.external_system);
  if (node.scope != Scope()) members.add("scope", scope_of(node.scope));
}

void add_content(const Node& node, Members& members) {
  members.add("value", node.value);
  if (node.content_hash) members.add("content_hash", Value(to_hex(*node.content_hash)));
  members.add("tags", node.tags);
  members.add("categories", node.categories);
  if (node.memory_type != MemoryType::Unset) members.add("memory_type", Value(name_of(node.memory_type)));
  if (Value vectors = vectors_of(node); !vectors.is_null()) members.add("vectors", std::move(vectors));
}

void add_times(const Node& node, Members& members) {
  members.add("updated_at", node.updated_at);
  members.add("last_verified", node.last_verified);
  members.add("deprecated_since", node.deprecated_since);
  members.add("deprecated_reason", node.deprecated_reason);
  members.add("expires_at", node.expires_at);
  members.add("valid_from", node.valid_from);
  members.add("valid_until", node.valid_until);
  members.add("occurred_at", node.occurred_at);
  members.add("deleted_at", node.deleted_at);
}

void add_cognition(const Node& node, Members& members) {
  members.add("importance", node.importance);
  members.add("strength", node.strength);
  members.add("consolidation_score", node.consolidation_score);
  members.add("coherence", node.coherence);
  members.add("instance_count", node.instance_count);
  members.add("formation_time", node.formation_time);
}

void add_provenance(const Node& node, Members& members) {
  members.add("source_model", node.source_model);
  members.add("source_tool", node.source_tool);
  members.add("source_migration", node.source_migration);
  members.add("migration_version", node.migration_version);
  if (!node.evidence.empty()) {
    Value::Array evidence;
    for (const NodeId& id : node.evidence) evidence.emplace_back(id.to_string());
    members.add("evidence", Value(std::move(evidence)));
  }
  members.add("unknown", node.unknown);
}

/// Values of members that the line says null for.
void add_found_out(const Memory& memory, Members& members) {
  const auto add = [&](std::string_view name, MemoryMember bit, const auto& value) {
    if (is_null(memory.null_members, bit)) members.add(name, value);
  };
  add("content", MemoryMember::Content, memory.content);
  add("activation", MemoryMember::Activation, memory.activation);
  add("confidence", MemoryMember::Confidence, memory.confidence);
  add("decay_rate", MemoryMember::DecayRate, memory.decay_rate);
  add("access_count", MemoryMember::AccessCount, memory.access_count);
  add("created_at", MemoryMember::CreatedAt, memory.created_at);
  add("last_access", MemoryMember::LastAccess, memory.last_access);
}

/// The part of any node that a Memory can say.
Memory memory_part(const Node& node) {
  Node part;
  part.external_id = node.external_id ? *node.external_id : node.id.to_string();
  part.source_fields = node.source_fields;
  part.source_nulls = node.source_nulls;
  part.source_unknown = node.source_unknown;
  part.content = node.content;
  part.metadata = node.metadata;
  part.created_at = node.created_at;
  part.activation = node.activation;
  part.confidence = node.confidence;
  part.access_count = node.access_count;
  part.last_access = node.last_access;
  part.decay_rate = node.decay_rate;
  part.embedding_provenance = node.embedding_provenance;
  part.embedder = node.embedder;
  for (const NodeVector& vector : node.vectors)
    if (vector.generation == GenerationId{0}) part.vectors.push_back(vector);
  return std::move(to_memory(part)).value();
}

}  // namespace

ExportedNode export_node(const Node& node) {
  ExportedNode exported;
  Members members;
  if (auto memory = to_memory(node)) {
    exported.memory = std::move(*memory);
  } else {
    exported.memory = memory_part(node);
    add_identity(node, members);
    add_content(node, members);
    add_times(node, members);
    add_cognition(node, members);
    add_provenance(node, members);
  }
  add_found_out(exported.memory, members);
  exported.extra = members.take();
  return exported;
}

}  // namespace mneme::migration
