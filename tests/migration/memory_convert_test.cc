// Memory → Episode → Memory, as structs and as encodings.
#include <gtest/gtest.h>

#include "convert.h"
#include "mneme/base/node_codec.h"
#include "mneme/migration/memory.h"
#include "random_memory.h"
#include "seeded_test.h"

namespace mneme::migration {
namespace {

Bytes encoded(const Memory& memory) {
  Bytes out;
  encode_memory(memory, out);
  return out;
}

class Conversion : public mneme::testing::SeededTest {};

TEST_F(Conversion, GivesBackEveryMemoryBitForBit) {
  for (int i = 0; i < 20'000; ++i) {
    const Memory memory = testing::any_memory(random());
    const auto back = to_memory(from_memory(memory, "space"));
    ASSERT_TRUE(back) << "case " << i << ": " << back.status().to_string();
    ASSERT_EQ(*back, memory) << "case " << i;
    ASSERT_EQ(encoded(*back), encoded(memory)) << "case " << i;
  }
}

TEST_F(Conversion, OfEncodingsEqualsThatOfStructsBothWays) {
  for (int i = 0; i < 20'000; ++i) {
    const Memory memory = testing::any_memory(random());
    const Bytes bytes = encoded(memory);
    Bytes node, record_bytes, back;
    encode_node(from_memory(memory, "a space"), node);
    const auto record = record_from_memory_encoding(bytes, "a space");
    ASSERT_TRUE(record) << "case " << i << ": " << record.status().to_string();
    (*record)->append_encoding(record_bytes);
    ASSERT_EQ(record_bytes, node) << "case " << i;
    const Status converted = append_memory_encoding(**record, back);
    ASSERT_TRUE(converted) << "case " << i << ": " << converted.to_string();
    ASSERT_EQ(back, bytes) << "case " << i;
  }
}

TEST_F(Conversion, OfADamagedEncodingIsRefusedOrEqualsThatOfStructs) {
  for (int i = 0; i < 5000; ++i) {
    Bytes bytes = encoded(testing::any_memory(random()));
    bytes[below(bytes.size())] ^= static_cast<std::byte>(1 << below(8));
    const auto memory = decode_memory(bytes);
    const auto record = record_from_memory_encoding(bytes, "space");
    ASSERT_EQ(record.ok(), memory.ok()) << "case " << i << ": " << record.status().to_string() << " but "
                                        << memory.status().to_string();
    if (!record) {
      ASSERT_EQ(record.status().code(), Code::Corruption);
      continue;
    }
    Bytes back;
    ASSERT_TRUE(append_memory_encoding(**record, back));
    ASSERT_EQ(back, bytes);
  }
}

TEST_F(Conversion, AppendsBehindWhatIsThere) {
  Memory memory;
  memory.id = "m";
  const auto record = record_from_memory_encoding(encoded(memory), "space");
  ASSERT_TRUE(record);
  Bytes out = encoded(memory);
  ASSERT_TRUE(append_memory_encoding(**record, out));
  Bytes twice = encoded(memory);
  const Bytes once = twice;
  twice.insert(twice.end(), once.begin(), once.end());
  EXPECT_EQ(out, twice);
}

TEST_F(Conversion, GivesTheIdThatAnImportOfTheSameIdGives) {
  Memory memory;
  memory.id = "n00001740";
  EXPECT_EQ(from_memory(memory, "space").id, node_id_for_external("space", "", "n00001740"));
  EXPECT_NE(from_memory(memory, "other").id, from_memory(memory, "space").id);
}

using Change = std::function<void(Node&)>;

TEST_F(Conversion, RefusesANodeThatHoldsMoreThanAMemoryAndSaysWhat) {
  const std::pair<const char*, Change> cases[] = {
      {"no external id", [](Node& n) { n.external_id.reset(); }},
      {"kind", [](Node& n) { n.kind = NodeKind::Concept; }},
      {"namespace", [](Node& n) { n.namespace_path = {"a"}; }},
      {"key", [](Node& n) { n.key = "k"; }},
      {"version", [](Node& n) { n.version = 1; }},
      {"external system", [](Node& n) { n.external_system = "mem0"; }},
      {"scope", [](Node& n) { n.scope.user = "u"; }},
      {"JSON value", [](Node& n) { n.value = Value(1); }},
      {"content hash", [](Node& n) { n.content_hash.emplace(); }},
      {"tags", [](Node& n) { n.tags = {"t"}; }},
      {"categories", [](Node& n) { n.categories = {"c"}; }},
      {"memory type", [](Node& n) { n.memory_type = MemoryType::Semantic; }},
      {"updated_at", [](Node& n) { n.updated_at.emplace(); }},
      {"last_verified", [](Node& n) { n.last_verified.emplace(); }},
      {"deprecation", [](Node& n) { n.deprecated_since.emplace(); }},
      {"deprecation", [](Node& n) { n.deprecated_reason = "r"; }},
      {"expires_at", [](Node& n) { n.expires_at.emplace(); }},
      {"validity", [](Node& n) { n.valid_from.emplace(); }},
      {"validity", [](Node& n) { n.valid_until.emplace(); }},
      {"occurred_at", [](Node& n) { n.occurred_at.emplace(); }},
      {"deleted_at", [](Node& n) { n.deleted_at.emplace(); }},
      {"importance", [](Node& n) { n.importance = 1; }},
      {"strength", [](Node& n) { n.strength = 1; }},
      {"consolidation", [](Node& n) { n.consolidation_score = 1; }},
      {"concept", [](Node& n) { n.coherence = 1; }},
      {"concept", [](Node& n) { n.instance_count = 1; }},
      {"concept", [](Node& n) { n.formation_time.emplace(); }},
      {"source", [](Node& n) { n.source_model = "m"; }},
      {"source", [](Node& n) { n.source_tool = "t"; }},
      {"source", [](Node& n) { n.source_migration = "m"; }},
      {"migration version", [](Node& n) { n.migration_version = "1"; }},
      {"evidence", [](Node& n) { n.evidence.resize(1, n.id); }},
      {"more than one vector",
       [](Node& n) {
         n.vectors = {{GenerationId{0}, {1}}, {GenerationId{1}, {1}}};
       }},
      {"another generation",
       [](Node& n) {
         n.vectors = {{GenerationId{1}, {1}}};
       }},
      {"newer release",
       [](Node& n) {
         n.unknown = {std::byte{0x80}, std::byte{0x04}, std::byte{7}};
       }},
  };
  Memory memory;
  memory.id = "m";
  memory.content = "tea";
  for (const auto& [what, change] : cases) {
    Node node = from_memory(memory, "space");
    change(node);
    const auto refused = to_memory(node);
    ASSERT_FALSE(refused) << what;
    EXPECT_EQ(refused.status().code(), Code::InvalidArgument) << what;
    EXPECT_NE(refused.status().message().find(what), std::string::npos) << refused.status().message();

    Bytes out = encoded(memory), before = out, bytes;
    encode_node(node, bytes);
    const auto record = NodeRecord::from_encoding(bytes);
    ASSERT_TRUE(record) << what;
    EXPECT_EQ(append_memory_encoding(**record, out).to_string(), refused.status().to_string());
    EXPECT_EQ(out, before) << what;
  }
}

TEST_F(Conversion, KeepsItsRulesUnderOneHash) {
  // A change of the rules must change this on purpose: an unfinished migration of other rules is refused by it.
  EXPECT_EQ(to_hex(transform_hash()), "67f65ec90f6dbef027994d8c425797a775a261696675f9875910e5eb54c40304");
}

}  // namespace
}  // namespace mneme::migration
