// The one list of a node's fields, in the order of their numbers. Encoding, decoding, checking, comparing
// and measuring all walk this list, so that a field is added in one place.
#pragma once

#include <array>
#include <type_traits>

#include "mneme/base/node.h"
#include "mneme/base/node_codec.h"

namespace mneme::detail {

template <class Owner, class Member>
constexpr auto of(Member Owner::*member) {
  return [member](auto& node) -> auto& {
    if constexpr (std::is_same_v<Owner, Scope>)
      return node.scope.*member;
    else
      return node.*member;
  };
}

/// Calls visit(NodeField, accessor) for every field but the vectors; accessor(node) is the member.
template <class Visit>
constexpr void for_each_field(Visit&& visit) {
  using F = NodeField;
  visit(F::Id, of(&Node::id));
  visit(F::Kind, of(&Node::kind));
  visit(F::NamespacePath, of(&Node::namespace_path));
  visit(F::Key, of(&Node::key));
  visit(F::Version, of(&Node::version));
  visit(F::ExternalSystem, of(&Node::external_system));
  visit(F::ExternalId, of(&Node::external_id));
  visit(F::SourceFields, of(&Node::source_fields));
  visit(F::SourceNulls, of(&Node::source_nulls));
  visit(F::SourceUnknown, of(&Node::source_unknown));
  visit(F::ScopeUser, of(&Scope::user));
  visit(F::ScopeAgent, of(&Scope::agent));
  visit(F::ScopeRun, of(&Scope::run));
  visit(F::ScopeApp, of(&Scope::app));
  visit(F::ScopeProject, of(&Scope::project));
  visit(F::ScopeActor, of(&Scope::actor));
  visit(F::Content, of(&Node::content));
  visit(F::Value, of(&Node::value));
  visit(F::ContentHash, of(&Node::content_hash));
  visit(F::Tags, of(&Node::tags));
  visit(F::Categories, of(&Node::categories));
  visit(F::MemoryType, of(&Node::memory_type));
  visit(F::Metadata, of(&Node::metadata));
  visit(F::CreatedAt, of(&Node::created_at));
  visit(F::UpdatedAt, of(&Node::updated_at));
  visit(F::LastVerified, of(&Node::last_verified));
  visit(F::DeprecatedSince, of(&Node::deprecated_since));
  visit(F::DeprecatedReason, of(&Node::deprecated_reason));
  visit(F::ExpiresAt, of(&Node::expires_at));
  visit(F::ValidFrom, of(&Node::valid_from));
  visit(F::ValidUntil, of(&Node::valid_until));
  visit(F::OccurredAt, of(&Node::occurred_at));
  visit(F::DeletedAt, of(&Node::deleted_at));
  visit(F::Activation, of(&Node::activation));
  visit(F::Confidence, of(&Node::confidence));
  visit(F::AccessCount, of(&Node::access_count));
  visit(F::LastAccess, of(&Node::last_access));
  visit(F::DecayRate, of(&Node::decay_rate));
  visit(F::Strength, of(&Node::strength));
  visit(F::ConsolidationScore, of(&Node::consolidation_score));
  visit(F::Importance, of(&Node::importance));
  visit(F::Coherence, of(&Node::coherence));
  visit(F::InstanceCount, of(&Node::instance_count));
  visit(F::FormationTime, of(&Node::formation_time));
  visit(F::SourceModel, of(&Node::source_model));
  visit(F::SourceTool, of(&Node::source_tool));
  visit(F::SourceMigration, of(&Node::source_migration));
  visit(F::Evidence, of(&Node::evidence));
  visit(F::MigrationVersion, of(&Node::migration_version));
  visit(F::EmbeddingProvenance, of(&Node::embedding_provenance));
  visit(F::Embedder, of(&Node::embedder));
}

/// What a field's payload must look like. Follows from the type of the member.
enum class Form : std::uint8_t {
  None,        // no such field
  Id,          // Sized, 16 bytes, not nil
  Kind,        // Varint, a NodeKind; always present
  Labels,      // Sized, (varint length, bytes)+
  Text,        // Sized
  Count,       // Varint
  Value,       // Sized, an encoded value
  NonZero32,   // Varint, 1..2^32-1
  Bytes,       // Sized, not empty
  Digest,      // Sized, 32 bytes
  MemoryType,  // Varint, a MemoryType but Unset
  Time,        // Fixed64
  Real,        // Fixed64
  Ids,         // Sized, 16 bytes each, not empty
};

template <class Member>
consteval Form form_of() {
  if (std::is_same_v<Member, Uuid>) return Form::Id;
  if (std::is_same_v<Member, NodeKind>) return Form::Kind;
  if (std::is_same_v<Member, std::vector<std::string>>) return Form::Labels;
  if (std::is_same_v<Member, std::optional<std::string>>) return Form::Text;
  if (std::is_same_v<Member, std::optional<std::uint64_t>>) return Form::Count;
  if (std::is_same_v<Member, std::optional<Value>>) return Form::Value;
  if (std::is_same_v<Member, std::uint32_t>) return Form::NonZero32;
  if (std::is_same_v<Member, Bytes>) return Form::Bytes;
  if (std::is_same_v<Member, std::optional<Sha256Digest>>) return Form::Digest;
  if (std::is_same_v<Member, MemoryType>) return Form::MemoryType;
  if (std::is_same_v<Member, std::optional<Timestamp>>) return Form::Time;
  if (std::is_same_v<Member, std::optional<double>>) return Form::Real;
  if (std::is_same_v<Member, std::vector<NodeId>>) return Form::Ids;
  return Form::None;
}

constexpr Wire wire_of(Form form) {
  switch (form) {
    case Form::Kind:
    case Form::Count:
    case Form::NonZero32:
    case Form::MemoryType:
      return Wire::Varint;
    case Form::Time:
    case Form::Real:
      return Wire::Fixed64;
    default:
      return Wire::Sized;
  }
}

constexpr std::uint16_t number_of(NodeField field) { return static_cast<std::uint16_t>(field); }

/// Form by field number; None for numbers that this release does not know.
inline constexpr auto kForms = [] {
  std::array<Form, number_of(NodeField::Embedder) + 1> forms{};
  for_each_field([&](NodeField field, auto get) {
    forms[number_of(field)] = form_of<std::remove_cvref_t<decltype(get(std::declval<Node&>()))>>();
  });
  return forms;
}();

static_assert(
    [] {
      int previous = 0;
      bool good = true;
      for_each_field([&](NodeField field, auto) {
        good = good && previous < number_of(field) && kForms[number_of(field)] != Form::None;
        previous = number_of(field);
      });
      return good;
    }(),
    "fields ascend by number, and every member's type has a form");

constexpr bool is_unknown_field(std::uint16_t number) {
  return number >= number_of(NodeField::FirstUnknown) && number <= number_of(NodeField::LastUnknown);
}

/// What one pass over an encoding finds; the views point into it.
struct NodeOutline {
  NodeId id;
  NodeKind kind = NodeKind::Episode;
  ByteView unknown;      ///< the fields 128..511
  ByteView generations;  ///< payload of Generations; empty when absent
  ByteView vectors;      ///< payload of Vectors; empty when absent
  std::size_t body_bytes = 0;
  std::size_t vector_count = 0;
  std::uint64_t floats = 0;  ///< of all vectors together
};

enum class NodePart : std::uint8_t { Body, Whole };

/// Checks every rule of the encoding in place. Whole: the vectors field must match the generations; Body: there
/// must be none. @error Corruption  says where
Result<NodeOutline> outline_node(ByteView encoded, NodePart part);

/// Well-formed, ascending fields of 128..511 and nothing else. @error Corruption
Status check_unknown_fields(ByteView fields);

/// Bytes of encode_node(node).
std::size_t encoded_node_bytes(const Node& node);

/// Calls visit(VectorShape) for each shape of a checked Generations payload.
template <class Visit>
void for_each_shape(ByteView generations, Visit&& visit) {
  if (generations.empty()) return;
  ByteReader reader(generations);
  auto next = [&] { return reader.varint().value(); };
  for (std::uint64_t left = next(); left > 0; --left) {
    const auto generation = static_cast<std::uint16_t>(next());
    visit(VectorShape{GenerationId{generation}, static_cast<std::uint32_t>(next())});
  }
}

}  // namespace mneme::detail
