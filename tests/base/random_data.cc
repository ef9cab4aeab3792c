#include "random_data.h"

#include "mneme/base/node_codec.h"

namespace mneme::testing {

namespace {

template <class T, class Make>
void maybe(Random& random, std::optional<T>& member, Make make) {
  if (random.below(2) == 0) member = make(random);
}

}  // namespace

Bytes random_unknown_fields(Random& random) {
  Bytes fields;
  ByteWriter writer(fields);
  for (std::uint64_t number = 128 + random.below(100); number <= 511; number += 1 + random.below(200)) {
    const std::uint64_t wire = random.below(3);
    writer.varint(number << 2 | wire);
    if (wire == 0) writer.varint(random_integer(random));
    if (wire == 1) writer.fixed(random.next());
    if (wire == 2) writer.sized(random_text(random));
  }
  return fields;
}

Node random_node(Random& random) {
  const auto text = [](Random& r) { return random_text(r); };
  const auto count = [](Random& r) { return random_integer(r); };
  const auto value = [](Random& r) { return random_value(r); };
  const auto real = [](Random& r) { return random_double(r); };
  const auto time = [](Random& r) {
    return Timestamp(std::chrono::microseconds(static_cast<std::int64_t>(random_integer(r))));
  };

  Node node;
  if (random.below(10) != 0) node.id = random_id(random);
  node.kind = random.below(2) == 0 ? NodeKind::Episode : NodeKind::Concept;
  node.namespace_path = random_labels(random);
  node.tags = random_labels(random);
  node.categories = random_labels(random);
  for (auto* member :
       {&node.key, &node.external_system, &node.external_id, &node.content, &node.deprecated_reason, &node.source_model,
        &node.source_tool, &node.source_migration, &node.migration_version, &node.embedder, &node.scope.user,
        &node.scope.agent, &node.scope.run, &node.scope.app, &node.scope.project, &node.scope.actor})
    maybe(random, *member, text);
  for (auto* member : {&node.version, &node.access_count, &node.instance_count}) maybe(random, *member, count);
  for (auto* member : {&node.source_fields, &node.value, &node.metadata, &node.embedding_provenance})
    maybe(random, *member, value);
  for (auto* member : {&node.created_at, &node.updated_at, &node.last_verified, &node.deprecated_since,
                       &node.expires_at, &node.valid_from, &node.valid_until, &node.occurred_at, &node.deleted_at,
                       &node.last_access, &node.formation_time})
    maybe(random, *member, time);
  for (auto* member : {&node.activation, &node.confidence, &node.decay_rate, &node.importance, &node.strength,
                       &node.consolidation_score, &node.coherence})
    maybe(random, *member, real);
  maybe(random, node.content_hash, [](Random& r) {
    Sha256Digest digest;
    r.fill(digest);
    return digest;
  });
  node.source_nulls = static_cast<std::uint32_t>(random_integer(random) >> 32);
  node.source_unknown.resize(random.below(5), std::byte{7});
  node.memory_type = static_cast<MemoryType>(random.below(4));
  for (std::uint64_t left = random.below(4); left > 0; --left) node.evidence.push_back(random_id(random));
  std::uint16_t generation = 0;
  for (std::uint64_t left = random.below(4); left > 0; --left) {
    NodeVector& vector = node.vectors.emplace_back();
    vector.generation = GenerationId{generation};
    generation = static_cast<std::uint16_t>(generation + 1 + random.below(300));
    vector.values.resize(random.below(40));
    for (float& element : vector.values) element = random_float(random);
  }
  if (random.below(2) == 0) node.unknown = random_unknown_fields(random);
  return node;
}

Bytes damaged(Random& random, Bytes bytes) {
  for (std::uint64_t left = 1 + random.below(3); left > 0 && !bytes.empty(); --left) {
    const std::size_t at = random.below(bytes.size());
    const auto here = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    const auto any = static_cast<std::byte>(random.below(256));
    switch (random.below(5)) {
      case 0:
        bytes[at] ^= static_cast<std::byte>(1U << random.below(8));
        break;
      case 1:
        bytes[at] = any;
        break;
      case 2:
        bytes.insert(here, any);
        break;
      case 3:
        bytes.erase(here);
        break;
      default:
        bytes.resize(at);
        break;
    }
  }
  return bytes;
}

}  // namespace mneme::testing
