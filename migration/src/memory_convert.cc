// Memory and Episode as structs. convert.cc does the same over encodings, for the migration.
#include <array>
#include <string>

#include "mneme/base/json.h"
#include "mneme/migration/memory.h"

namespace mneme::migration {
namespace {

/// The rules of from_memory as text; a change of a rule changes its hash.
constexpr std::string_view kTransform =
    "memory-to-episode 1\n"
    "id=v5(space,\"\",id)\n"
    "kind=episode\n"
    "external_id=id\n"
    "source_fields=unknown_members\n"
    "source_nulls=null_members\n"
    "source_unknown=unknown\n"
    "content=content\n"
    "metadata=metadata\n"
    "created_at=created_at\n"
    "activation=activation\n"
    "confidence=confidence\n"
    "access_count=access_count\n"
    "last_access=last_access\n"
    "decay_rate=decay_rate\n"
    "embedding_provenance=embedding_provenance\n"
    "embedder=embedder\n"
    "vectors[0]=embedding\n";

/// The first thing in `node` that a Memory has no place for; empty when there is none.
std::string_view beyond_memory(const Node& node) {
  struct Part {
    bool is_there;
    std::string_view name;
  };
  const Scope& scope = node.scope;
  const std::array parts = {
      Part{node.kind != NodeKind::Episode, "a kind other than episode"},
      Part{!node.namespace_path.empty(), "a namespace"},
      Part{node.key.has_value(), "a key"},
      Part{node.version.has_value(), "a version"},
      Part{node.external_system.has_value(), "an external system"},
      Part{scope != Scope(), "a scope"},
      Part{node.value.has_value(), "a JSON value"},
      Part{node.content_hash.has_value(), "a content hash"},
      Part{!node.tags.empty(), "tags"},
      Part{!node.categories.empty(), "categories"},
      Part{node.memory_type != MemoryType::Unset, "a memory type"},
      Part{node.updated_at.has_value(), "updated_at"},
      Part{node.last_verified.has_value(), "last_verified"},
      Part{node.deprecated_since.has_value() || node.deprecated_reason.has_value(), "a deprecation"},
      Part{node.expires_at.has_value(), "expires_at"},
      Part{node.valid_from.has_value() || node.valid_until.has_value(), "a validity"},
      Part{node.occurred_at.has_value(), "occurred_at"},
      Part{node.deleted_at.has_value(), "deleted_at"},
      Part{node.importance.has_value(), "an importance"},
      Part{node.strength.has_value(), "a strength"},
      Part{node.consolidation_score.has_value(), "a consolidation score"},
      Part{node.coherence.has_value() || node.instance_count.has_value() || node.formation_time.has_value(),
           "fields of a concept"},
      Part{node.source_model.has_value() || node.source_tool.has_value() || node.source_migration.has_value(),
           "a source"},
      Part{node.migration_version.has_value(), "a migration version"},
      Part{!node.evidence.empty(), "evidence"},
      Part{node.vectors.size() > 1, "more than one vector"},
      Part{!node.vectors.empty() && node.vectors[0].generation != GenerationId{0}, "a vector of another generation"},
      Part{!node.unknown.empty(), "fields of a newer release"},
  };
  for (const Part& part : parts)
    if (part.is_there) return part.name;
  return {};
}

}  // namespace

Node from_memory(const Memory& memory, std::string_view space_name) {
  Node node;
  node.id = node_id_for_external(space_name, "", memory.id);
  node.external_id = memory.id;
  node.source_fields = memory.unknown_members;
  node.source_nulls = memory.null_members;
  node.source_unknown = memory.unknown;
  node.content = memory.content;
  node.metadata = memory.metadata;
  node.created_at = memory.created_at;
  node.activation = memory.activation;
  node.confidence = memory.confidence;
  node.access_count = memory.access_count;
  node.last_access = memory.last_access;
  node.decay_rate = memory.decay_rate;
  node.embedding_provenance = memory.embedding_provenance;
  node.embedder = memory.embedder;
  if (memory.embedding) node.vectors.push_back({GenerationId{0}, *memory.embedding});
  return node;
}

Result<Memory> to_memory(const Node& node) {
  const auto refuse = [&](std::string_view what) {
    return Status(Code::InvalidArgument, "node " + node.id.to_string() + " has " + std::string(what) +
                                             (node.external_id ? ": a Memory has no place for it" : ""));
  };
  if (!node.external_id) return refuse("no external id, which would be the Memory's id");
  if (const std::string_view what = beyond_memory(node); !what.empty()) return refuse(what);
  Memory memory;
  memory.id = *node.external_id;
  memory.unknown_members = node.source_fields;
  memory.null_members = node.source_nulls;
  memory.unknown = node.source_unknown;
  memory.content = node.content;
  memory.metadata = node.metadata;
  memory.created_at = node.created_at;
  memory.activation = node.activation;
  memory.confidence = node.confidence;
  memory.access_count = node.access_count;
  memory.last_access = node.last_access;
  memory.decay_rate = node.decay_rate;
  memory.embedding_provenance = node.embedding_provenance;
  memory.embedder = node.embedder;
  if (!node.vectors.empty()) memory.embedding = node.vectors[0].values;
  return memory;
}

Sha256Digest transform_hash() { return sha256(as_bytes(kTransform)); }

}  // namespace mneme::migration
