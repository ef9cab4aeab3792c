#include "mneme/base/node.h"

#include <cmath>
#include <functional>
#include <limits>

#include "mneme/base/limits.h"
#include "mneme/base/node_codec.h"
#include "random_data.h"
#include "seeded_test.h"

namespace mneme {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class ValidNodes : public testing::SeededTest {
 protected:
  static Node episode() {
    Node node;
    node.content = "Tea at four.";
    node.activation = 0.5;
    node.vectors = {{GenerationId{0}, {0.5F, -0.5F}}, {GenerationId{2}, {1.0F}}};
    return node;
  }
  // The message for a node after `change`; "" when it is valid.
  static std::string refusal(const std::function<void(Node&)>& change) {
    Node node = episode();
    change(node);
    const Status status = validate_node(node);
    EXPECT_TRUE(status.ok() || status.code() == Code::InvalidArgument);
    return status.message();
  }
  static void expect_refused(std::string_view field, const std::function<void(Node&)>& change) {
    EXPECT_EQ(refusal(change).substr(0, 6 + field.size()), "node: " + std::string(field));
  }
  static std::string bytes(std::size_t size) { return std::string(size, 'x'); }
};

TEST_F(ValidNodes, AreAccepted) {
  EXPECT_EQ(refusal([](Node&) {}), "");
  EXPECT_EQ(refusal([](Node& n) { n = Node(); }), "");
  EXPECT_EQ(refusal([](Node& n) { n.content = ""; }), "");
  EXPECT_EQ(refusal([](Node& n) { n.activation = 0.0, n.confidence = 1.0, n.decay_rate = 1e9; }), "");
  EXPECT_EQ(refusal([](Node& n) { n.kind = NodeKind::Concept, n.coherence = 0.5, n.instance_count = 3; }), "");
}

TEST_F(ValidNodes, HaveUtf8InEveryText) {
  const std::string bad = "\xff";
  expect_refused("namespace_path[1]", [&](Node& n) { n.namespace_path = {"a", bad}; });
  expect_refused("key", [&](Node& n) { n.key = bad; });
  expect_refused("external_system", [&](Node& n) { n.external_system = bad; });
  expect_refused("external_id", [&](Node& n) { n.external_id = bad; });
  expect_refused("scope.user", [&](Node& n) { n.scope.user = bad; });
  expect_refused("scope.agent", [&](Node& n) { n.scope.agent = bad; });
  expect_refused("scope.run", [&](Node& n) { n.scope.run = bad; });
  expect_refused("scope.app", [&](Node& n) { n.scope.app = bad; });
  expect_refused("scope.project", [&](Node& n) { n.scope.project = bad; });
  expect_refused("scope.actor", [&](Node& n) { n.scope.actor = bad; });
  expect_refused("content", [&](Node& n) { n.content = bad; });
  expect_refused("tags[0]", [&](Node& n) { n.tags = {bad}; });
  expect_refused("categories[2]", [&](Node& n) { n.categories = {"", "a", bad}; });
  expect_refused("deprecated_reason", [&](Node& n) { n.deprecated_reason = bad; });
  expect_refused("source_model", [&](Node& n) { n.source_model = bad; });
  expect_refused("source_tool", [&](Node& n) { n.source_tool = bad; });
  expect_refused("source_migration", [&](Node& n) { n.source_migration = bad; });
  expect_refused("migration_version", [&](Node& n) { n.migration_version = bad; });
  expect_refused("embedder", [&](Node& n) { n.embedder = bad; });
  expect_refused("value", [&](Node& n) { n.value = Value(bad); });
  expect_refused("metadata", [&](Node& n) { n.metadata = Value(Value::Array{Value(bad)}); });
  expect_refused("embedding_provenance", [&](Node& n) { n.embedding_provenance = Value(bad); });
  expect_refused("source_fields", [&](Node& n) { n.source_fields = Value(Value::Object{{bad, Value()}}); });
}

TEST_F(ValidNodes, StayWithinEveryLimit) {
  using namespace limits;
  const auto at_and_above = [&](std::string_view field, std::size_t most,
                                const std::function<void(Node&, std::size_t)>& set) {
    EXPECT_EQ(refusal([&](Node& n) { set(n, most); }), "") << field;
    expect_refused(field, [&](Node& n) { set(n, most + 1); });
  };
  at_and_above("key", kExternalIdBytesMax, [](Node& n, std::size_t s) { n.key = bytes(s); });
  at_and_above("external_id", kExternalIdBytesMax, [](Node& n, std::size_t s) { n.external_id = bytes(s); });
  at_and_above("external_system", kLabelBytesMax, [](Node& n, std::size_t s) { n.external_system = bytes(s); });
  at_and_above("content", kContentBytesMax, [](Node& n, std::size_t s) { n.content = bytes(s); });
  at_and_above("scope.user", kLabelBytesMax, [](Node& n, std::size_t s) { n.scope.user = bytes(s); });
  at_and_above("tags[0]", kLabelBytesMax, [](Node& n, std::size_t s) { n.tags = {bytes(s)}; });
  at_and_above("tags", kLabelsMax, [](Node& n, std::size_t s) { n.tags.resize(s); });
  at_and_above("categories", kLabelsMax, [](Node& n, std::size_t s) { n.categories.resize(s); });
  at_and_above("namespace_path", kLabelsMax, [](Node& n, std::size_t s) { n.namespace_path.resize(s); });
  at_and_above("evidence", kEvidenceMax, [](Node& n, std::size_t s) { n.evidence.resize(s); });
  at_and_above("source_unknown", kValueBytesMax, [](Node& n, std::size_t s) { n.source_unknown.resize(s); });
  at_and_above("vectors[0]", kDimensionsMax, [](Node& n, std::size_t s) { n.vectors[0].values.resize(s); });
  at_and_above("vectors", kVectorsPerNodeMax, [](Node& n, std::size_t s) {
    n.vectors.clear();
    for (std::size_t i = 0; i < s; ++i) n.vectors.push_back({GenerationId{static_cast<std::uint16_t>(i)}, {1.0F}});
  });
  at_and_above("metadata", kValueBytesMax - 5, [](Node& n, std::size_t s) { n.metadata = Value(bytes(s)); });
}

TEST_F(ValidNodes, FitTheLimitOfAWholeNodeToTheByte) {
  Node node;
  node.content = bytes(limits::kContentBytesMax);
  node.value = Value(bytes(limits::kValueBytesMax - 5));
  Bytes encoded;
  encode_node(node, encoded);
  const std::size_t left = limits::kNodeBytesMax - encoded.size();
  ASSERT_LT(left, limits::kValueBytesMax + 100);
  node.source_unknown.resize(left - 1 - 4);  // its tag and its length
  EXPECT_TRUE(validate_node(node).ok()) << validate_node(node).message();
  node.id.bytes[0] = 1;
  EXPECT_NE(validate_node(node).message().find("all fields"), std::string::npos);
}

TEST_F(ValidNodes, HaveNumbersInTheirRange) {
  const std::pair<const char*, std::optional<double> Node::*> kUnit[] = {
      {"activation", &Node::activation},
      {"confidence", &Node::confidence},
      {"importance", &Node::importance},
      {"strength", &Node::strength},
      {"consolidation_score", &Node::consolidation_score}};
  for (const auto& [field, member] : kUnit) {
    for (const double bad : {-0.001, 1.001, kNan, -std::numeric_limits<double>::infinity()})
      expect_refused(field, [&, m = member](Node& n) { n.*m = bad; });
    for (const double good : {-0.0, 0.0, 0.5, 1.0}) EXPECT_EQ(refusal([&, m = member](Node& n) { n.*m = good; }), "");
  }
  for (const double bad : {-0.1, kNan, std::numeric_limits<double>::infinity()})
    expect_refused("decay_rate", [&](Node& n) { n.decay_rate = bad; });
  EXPECT_EQ(refusal([](Node& n) { n.activation = 1.5; }), "node: activation: 1.5 is outside [0, 1]");
  expect_refused("coherence", [](Node& n) { n.kind = NodeKind::Concept, n.coherence = 2; });
}

TEST_F(ValidNodes, HaveAKindAndOnlyFieldsOfThatKind) {
  expect_refused("kind", [](Node& n) { n.kind = static_cast<NodeKind>(0); });
  expect_refused("kind", [](Node& n) { n.kind = static_cast<NodeKind>(3); });
  expect_refused("memory_type", [](Node& n) { n.memory_type = static_cast<MemoryType>(4); });
  expect_refused("coherence", [](Node& n) { n.coherence = 0.5; });
  expect_refused("instance_count", [](Node& n) { n.instance_count = 1; });
  expect_refused("formation_time", [](Node& n) { n.formation_time = Timestamp(); });
  expect_refused("strength", [](Node& n) { n.kind = NodeKind::Concept, n.strength = 0.5; });
  expect_refused("consolidation_score", [](Node& n) { n.kind = NodeKind::Concept, n.consolidation_score = 0.5; });
}

TEST_F(ValidNodes, HaveFiniteVectorsOnePerGenerationInOrder) {
  expect_refused("vectors[1]: generation 0 behind generation 0",
                 [](Node& n) { n.vectors[1].generation = GenerationId{0}; });
  expect_refused("vectors[1]: generation 2 behind generation 5",
                 [](Node& n) { n.vectors[0].generation = GenerationId{5}; });
  expect_refused("vectors[0]: no values", [](Node& n) { n.vectors[0].values.clear(); });
  EXPECT_EQ(refusal([](Node& n) { n.vectors[0].values[1] = std::numeric_limits<float>::quiet_NaN(); }),
            "node: vectors[0]: vector: position 1 of 2: nan is not finite");
}

TEST_F(ValidNodes, ShowTheFirstPositionThatIsNotFinite) {
  for (std::size_t size = 1; size < 70; ++size) {
    std::vector<float> values(size, std::numeric_limits<float>::max());
    ASSERT_TRUE(validate_vector(values).ok());
    const std::size_t at = below(size);
    values[at] = one_in(2) ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
    for (std::size_t later = at + 1; later < size; ++later)
      if (one_in(4)) values[later] = -std::numeric_limits<float>::infinity();
    const Status status = validate_vector(values);
    ASSERT_EQ(status.code(), Code::InvalidArgument);
    ASSERT_NE(status.message().find("position " + std::to_string(at) + " of"), std::string::npos) << status.message();
  }
}

TEST_F(ValidNodes, CarryUnknownFieldsOnlyAsTheCodecKeepsThem) {
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(refusal([&](Node& n) { n.unknown = testing::random_unknown_fields(random()); }), "");
  const auto fields = [](std::initializer_list<int> values) {
    Bytes out;
    for (const int value : values) out.push_back(static_cast<std::byte>(value));
    return out;
  };
  expect_refused("unknown", [&](Node& n) { n.unknown = fields({1}); });                             // no payload
  expect_refused("unknown", [&](Node& n) { n.unknown = fields({0x14, 1}); });                       // field 5
  expect_refused("unknown", [&](Node& n) { n.unknown = fields({0x80, 0x10, 1}); });                 // field 512
  expect_refused("unknown", [&](Node& n) { n.unknown = fields({0x80, 0x04, 1, 0x80, 0x04, 1}); });  // 128 twice
  expect_refused("unknown", [&](Node& n) { n.unknown = fields({0x84, 0x04, 1, 0x80, 0x04, 1}); });  // 129, 128
}

TEST_F(ValidNodes, HaveAnObjectOfSourceFieldsAndASystemWithoutZeroBytes) {
  expect_refused("source_fields", [](Node& n) { n.source_fields = Value(1); });
  expect_refused("external_system", [](Node& n) { n.external_system = std::string("a\0b", 3); });
  EXPECT_EQ(refusal([](Node& n) { n.external_id = std::string("a\0b", 3); }), "");
}

TEST_F(ValidNodes, CompareByBitsInEveryField) {
  for (int i = 0; i < 2000; ++i) {
    const Node a = testing::random_node(random());
    Node b = a;
    ASSERT_EQ(a, b);
    switch (below(6)) {
      case 0:
        b.activation = a.activation ? std::nullopt : std::optional(0.5);
        break;
      case 1:
        b.scope.actor = a.scope.actor.value_or("") + "x";
        break;
      case 2:
        b.unknown.push_back(std::byte{1});
        break;
      case 3:
        b.vectors.push_back({GenerationId{60'000}, {}});
        break;
      case 4:
        b.tags.emplace_back();
        break;
      default:
        b.formation_time = a.formation_time.value_or(Timestamp()) + std::chrono::microseconds(1);
        break;
    }
    ASSERT_FALSE(a == b);
  }
  Node positive, negative;
  positive.activation = 0.0, negative.activation = -0.0;
  EXPECT_FALSE(positive == negative);
  positive.activation = negative.activation = kNan;
  EXPECT_EQ(positive, negative);
  EXPECT_FALSE((NodeVector{GenerationId{0}, {0.0F}} == NodeVector{GenerationId{0}, {-0.0F}}));
}

TEST_F(ValidNodes, HashTheirContentWithWhiteSpaceFolded) {
  const Sha256Digest expected = sha256(as_bytes("tea at four"));
  for (const char* same : {"tea at four", "  tea at four\n", "tea\t\n at\r\v\f four", "\ntea at four "})
    EXPECT_EQ(normalised_content_sha256(same), expected) << same;
  EXPECT_NE(normalised_content_sha256("teaat four"), expected);
  EXPECT_NE(normalised_content_sha256("Tea at four"), expected);
  EXPECT_EQ(normalised_content_sha256(" \n "), sha256({}));
  EXPECT_NE(normalised_content_sha256("tea\u00a0at four"), expected);  // ASCII white space alone
}

}  // namespace
}  // namespace mneme
