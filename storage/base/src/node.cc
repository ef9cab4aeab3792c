#include "mneme/base/node.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "mneme/base/json.h"
#include "mneme/base/limits.h"
#include "node_fields.h"
#include "quote.h"

namespace mneme {

namespace {

template <class T>
bool same(const T& a, const T& b) {
  return a == b;
}
bool same(const std::optional<double>& a, const std::optional<double>& b) {
  return a.has_value() == b.has_value() && (!a || std::bit_cast<std::uint64_t>(*a) == std::bit_cast<std::uint64_t>(*b));
}

Status invalid(std::string_view field, const std::string& found) {
  return Status(Code::InvalidArgument, "node: " + std::string(field) + ": " + found);
}

Status check_size(std::string_view field, std::size_t size, std::size_t most, std::string_view unit) {
  if (size <= most) return ok_status();
  return invalid(field,
                 std::to_string(size) + " " + std::string(unit) + ", above the limit of " + std::to_string(most));
}

Status check_text(std::string_view field, std::string_view text, std::size_t bytes_max) {
  MNEME_TRY(check_size(field, text.size(), bytes_max, "bytes"));
  return is_valid_utf8(text) ? ok_status() : invalid(field, quoted(text) + " is not UTF-8");
}

Status check_text(std::string_view field, const std::optional<std::string>& text, std::size_t bytes_max) {
  return text ? check_text(field, std::string_view(*text), bytes_max) : ok_status();
}

Status check_labels(std::string_view field, const std::vector<std::string>& labels) {
  MNEME_TRY(check_size(field, labels.size(), limits::kLabelsMax, "labels"));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i].size() <= limits::kLabelBytesMax && is_valid_utf8(labels[i])) continue;
    return check_text(std::string(field) + "[" + std::to_string(i) + "]", std::string_view(labels[i]),
                      limits::kLabelBytesMax);
  }
  return ok_status();
}

Status check_value_field(std::string_view field, const std::optional<Value>& value) {
  return value ? validate_value(*value).with_context("node: " + std::string(field)) : ok_status();
}

std::string text_of(double real) {
  std::string text;
  if (!std::isfinite(real)) return std::isnan(real) ? "nan" : (real > 0 ? "inf" : "-inf");
  append_json_double(real, text);
  return text;
}

Status check_unit_interval(std::string_view field, const std::optional<double>& real) {
  if (!real || (*real >= 0 && *real <= 1)) return ok_status();  // false for NaN
  return invalid(field, text_of(*real) + " is outside [0, 1]");
}

Status check_identity(const Node& node) {
  if (node.kind != NodeKind::Episode && node.kind != NodeKind::Concept)
    return invalid("kind", std::to_string(static_cast<int>(node.kind)) + " is neither Episode nor Concept");
  MNEME_TRY(check_labels("namespace_path", node.namespace_path));
  MNEME_TRY(check_text("key", node.key, limits::kExternalIdBytesMax));
  MNEME_TRY(check_text("external_system", node.external_system, limits::kLabelBytesMax));
  if (node.external_system && node.external_system->find('\0') != std::string::npos)
    return invalid("external_system", "a zero byte, which separates system and id in the node's id");
  MNEME_TRY(check_text("external_id", node.external_id, limits::kExternalIdBytesMax));
  if (node.source_fields && !node.source_fields->is_object()) return invalid("source_fields", "not an object");
  MNEME_TRY(check_value_field("source_fields", node.source_fields));
  return check_size("source_unknown", node.source_unknown.size(), limits::kValueBytesMax, "bytes");
}

Status check_scope(const Scope& scope) {
  MNEME_TRY(check_text("scope.user", scope.user, limits::kLabelBytesMax));
  MNEME_TRY(check_text("scope.agent", scope.agent, limits::kLabelBytesMax));
  MNEME_TRY(check_text("scope.run", scope.run, limits::kLabelBytesMax));
  MNEME_TRY(check_text("scope.app", scope.app, limits::kLabelBytesMax));
  MNEME_TRY(check_text("scope.project", scope.project, limits::kLabelBytesMax));
  return check_text("scope.actor", scope.actor, limits::kLabelBytesMax);
}

Status check_content(const Node& node) {
  MNEME_TRY(check_text("content", node.content, limits::kContentBytesMax));
  MNEME_TRY(check_value_field("value", node.value));
  MNEME_TRY(check_labels("tags", node.tags));
  MNEME_TRY(check_labels("categories", node.categories));
  if (static_cast<unsigned>(node.memory_type) > static_cast<unsigned>(MemoryType::Procedural))
    return invalid("memory_type", std::to_string(static_cast<int>(node.memory_type)) + " is no memory type");
  MNEME_TRY(check_value_field("metadata", node.metadata));
  return check_text("deprecated_reason", node.deprecated_reason, limits::kContentBytesMax);
}

Status check_cognition(const Node& node) {
  MNEME_TRY(check_unit_interval("activation", node.activation));
  MNEME_TRY(check_unit_interval("confidence", node.confidence));
  MNEME_TRY(check_unit_interval("importance", node.importance));
  MNEME_TRY(check_unit_interval("strength", node.strength));
  MNEME_TRY(check_unit_interval("consolidation_score", node.consolidation_score));
  MNEME_TRY(check_unit_interval("coherence", node.coherence));
  if (node.decay_rate && !(*node.decay_rate >= 0 && std::isfinite(*node.decay_rate)))
    return invalid("decay_rate", text_of(*node.decay_rate) + " is not a finite number from 0 up");

  const auto belongs = [&](bool present, std::string_view field, NodeKind kind) {
    if (!present || node.kind == kind) return ok_status();
    return invalid(field, "set on a node of kind " + std::string(name_of(node.kind)) + ", belongs to " +
                              std::string(name_of(kind)));
  };
  MNEME_TRY(belongs(node.strength.has_value(), "strength", NodeKind::Episode));
  MNEME_TRY(belongs(node.consolidation_score.has_value(), "consolidation_score", NodeKind::Episode));
  MNEME_TRY(belongs(node.coherence.has_value(), "coherence", NodeKind::Concept));
  MNEME_TRY(belongs(node.instance_count.has_value(), "instance_count", NodeKind::Concept));
  return belongs(node.formation_time.has_value(), "formation_time", NodeKind::Concept);
}

Status check_provenance(const Node& node) {
  MNEME_TRY(check_text("source_model", node.source_model, limits::kLabelBytesMax));
  MNEME_TRY(check_text("source_tool", node.source_tool, limits::kLabelBytesMax));
  MNEME_TRY(check_text("source_migration", node.source_migration, limits::kLabelBytesMax));
  MNEME_TRY(check_text("migration_version", node.migration_version, limits::kLabelBytesMax));
  MNEME_TRY(check_value_field("embedding_provenance", node.embedding_provenance));
  MNEME_TRY(check_text("embedder", node.embedder, limits::kLabelBytesMax));
  return check_size("evidence", node.evidence.size(), limits::kEvidenceMax, "links");
}

Status check_vectors(const Node& node) {
  MNEME_TRY(check_size("vectors", node.vectors.size(), limits::kVectorsPerNodeMax, "vectors"));
  for (std::size_t i = 0; i < node.vectors.size(); ++i) {
    const NodeVector& vector = node.vectors[i];
    const std::string field = "vectors[" + std::to_string(i) + "]";
    if (i > 0 && vector.generation <= node.vectors[i - 1].generation)
      return invalid(field, "generation " + std::to_string(vector.generation.value) + " behind generation " +
                                std::to_string(node.vectors[i - 1].generation.value));
    if (vector.values.empty()) return invalid(field, "no values");
    MNEME_TRY(check_size(field, vector.values.size(), limits::kDimensionsMax, "dimensions"));
    if (const Status finite = validate_vector(vector.values); !finite) return finite.with_context("node: " + field);
  }
  return ok_status();
}

Status check_unknown(const Node& node) {
  MNEME_TRY(check_size("unknown", node.unknown.size(), limits::kValueBytesMax, "bytes"));
  if (const Status fields = detail::check_unknown_fields(node.unknown); !fields)
    return invalid("unknown", fields.message());
  return ok_status();
}

bool is_ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

bool operator==(const NodeVector& a, const NodeVector& b) {
  return a.generation == b.generation && a.values.size() == b.values.size() &&
         (a.values.empty() || std::memcmp(a.values.data(), b.values.data(), a.values.size() * sizeof(float)) == 0);
}

bool operator==(const Node& a, const Node& b) {
  bool equal = a.vectors == b.vectors && a.unknown == b.unknown;
  detail::for_each_field([&](NodeField, auto get) { equal = equal && same(get(a), get(b)); });
  return equal;
}

Status validate_node(const Node& node) {
  MNEME_TRY(check_identity(node));
  MNEME_TRY(check_scope(node.scope));
  MNEME_TRY(check_content(node));
  MNEME_TRY(check_cognition(node));
  MNEME_TRY(check_provenance(node));
  MNEME_TRY(check_vectors(node));
  MNEME_TRY(check_unknown(node));
  return check_size("all fields", detail::encoded_node_bytes(node), limits::kNodeBytesMax, "bytes encoded");
}

Status validate_vector(std::span<const float> values) {
  constexpr std::uint32_t kExponent = 0x7f800000;  // all ones: infinity or NaN
  const auto is_finite = [](float value) { return (std::bit_cast<std::uint32_t>(value) & kExponent) != kExponent; };
  // Whole blocks without an early exit, so that the compiler uses vector instructions.
  constexpr std::size_t kBlock = 16;
  std::size_t at = 0;
  for (; values.size() - at >= kBlock; at += kBlock) {
    std::uint32_t bad = 0;
    for (std::size_t i = 0; i < kBlock; ++i) bad |= is_finite(values[at + i]) ? 0U : 1U;
    if (bad != 0) break;
  }
  while (at < values.size() && is_finite(values[at])) ++at;
  if (at == values.size()) return ok_status();
  return Status(Code::InvalidArgument, "vector: position " + std::to_string(at) + " of " +
                                           std::to_string(values.size()) + ": " +
                                           text_of(static_cast<double>(values[at])) + " is not finite");
}

Sha256Digest normalised_content_sha256(std::string_view content) {
  Sha256 hash;
  std::size_t at = 0;
  bool first = true;
  while (at < content.size()) {
    const std::size_t start = at;
    while (at < content.size() && !is_ascii_space(content[at])) ++at;
    if (at > start) {  // a word
      if (!first) hash.update(as_bytes(" "));
      first = false;
      hash.update(as_bytes(content.substr(start, at - start)));
    }
    while (at < content.size() && is_ascii_space(content[at])) ++at;
  }
  return hash.finish();
}

}  // namespace mneme
