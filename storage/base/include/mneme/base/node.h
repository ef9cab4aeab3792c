// Node: an Episode (what happened) or a Concept (what was learned), as one plain struct.
//
// Absent fields are std::nullopt or empty and cost nothing on disk. Its bytes: node_codec.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mneme/base/checksum.h"
#include "mneme/base/ids.h"
#include "mneme/base/time.h"
#include "mneme/base/value.h"

namespace mneme {

/// One vector and the embedding model (generation of the space) that made it. float32 is the truth:
/// the bits that went in come out. A Concept's centroid is its vector.
struct NodeVector {
  GenerationId generation;
  std::vector<float> values;
  friend bool operator==(const NodeVector& a, const NodeVector& b);  // by bits
};

/// Whose memory this is. All optional.
struct Scope {
  std::optional<std::string> user, agent, run, app, project, actor;
  friend bool operator==(const Scope&, const Scope&) = default;
};

struct Node {
  // Identity.
  NodeId id;  ///< nil: put() makes a version 7 id, or a version 5 id where external_id is set
  NodeKind kind = NodeKind::Episode;
  std::vector<std::string> namespace_path;  ///< labels, outermost first
  std::optional<std::string> key;           ///< unique by the caller's rules, not by ours
  std::optional<std::uint64_t> version;
  std::optional<std::string> external_system;  ///< where it was imported from; no zero byte
  std::optional<std::string> external_id;      ///< its id there; any UTF-8
  std::optional<Value> source_fields;          ///< object: members of the source that Mneme has no field for
  std::uint32_t source_nulls = 0;              ///< members that the source held as null (legacy conversion)
  Bytes source_unknown;                        ///< encoded fields of the source that its codec did not know

  Scope scope;

  // Content.
  std::optional<std::string> content;        ///< UTF-8
  std::optional<Value> value;                ///< a JSON value
  std::optional<Sha256Digest> content_hash;  ///< SHA-256 of the normalised content, when the caller wants one
  std::vector<std::string> tags;
  std::vector<std::string> categories;
  MemoryType memory_type = MemoryType::Unset;
  std::optional<Value> metadata;

  // Times. created_at is never overwritten by an import or an enrichment.
  std::optional<Timestamp> created_at, updated_at, last_verified, deprecated_since, expires_at, valid_from, valid_until,
      occurred_at, deleted_at;
  std::optional<std::string> deprecated_reason;

  // Cognition. Doubles keep their bits.
  std::optional<double> activation;  ///< [0, 1]
  std::optional<double> confidence;  ///< [0, 1]
  std::optional<std::uint64_t> access_count;
  std::optional<Timestamp> last_access;
  std::optional<double> decay_rate;             ///< >= 0, finite
  std::optional<double> importance;             ///< [0, 1]
  std::optional<double> strength;               ///< Episode, [0, 1]
  std::optional<double> consolidation_score;    ///< Episode, [0, 1]
  std::optional<double> coherence;              ///< Concept, [0, 1]
  std::optional<std::uint64_t> instance_count;  ///< Concept
  std::optional<Timestamp> formation_time;      ///< Concept

  // Provenance.
  std::optional<std::string> source_model, source_tool, source_migration, migration_version;
  std::optional<Value> embedding_provenance;  ///< as the source gave it
  std::optional<std::string> embedder;        ///< built-in embedder that made the vector of generation 0
  std::vector<NodeId> evidence;

  std::vector<NodeVector> vectors;  ///< at most one per generation, ascending by generation

  Bytes unknown;  ///< encoded fields of a newer release, kept as they are; see node_codec.h

  friend bool operator==(const Node&, const Node&);  // doubles by bits
};

/// The rules of limits.h and of the comments above: UTF-8, sizes, ranges, finite vectors, unique
/// generations in ascending order, fields of one kind absent on the other. Labels, scope names, systems and
/// sources take kLabelBytesMax; keys and external ids kExternalIdBytesMax; content and deprecated_reason
/// kContentBytesMax. Dimensions and generations are checked by the space.
/// @error InvalidArgument  names the field and what was found
Status validate_node(const Node& node);

/// A finite float check for one vector: InvalidArgument names the first offending position.
Status validate_vector(std::span<const float> values);

/// SHA-256 of `content` with leading and trailing ASCII white space removed and inner runs folded to one space.
Sha256Digest normalised_content_sha256(std::string_view content);

}  // namespace mneme
