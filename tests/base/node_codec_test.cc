#include "mneme/base/node_codec.h"

#include "mneme/base/limits.h"
#include "random_data.h"
#include "seeded_test.h"

namespace mneme {
namespace {

class NodeCodec : public testing::SeededTest {
 protected:
  static Bytes encode(const Node& node) {
    Bytes out;
    encode_node(node, out);
    return out;
  }
  static Bytes encode_body(const Node& node) {
    Bytes out;
    encode_node_body(node, out);
    return out;
  }
  static Bytes bytes(std::initializer_list<int> values) {
    Bytes out;
    for (const int value : values) out.push_back(static_cast<std::byte>(value));
    return out;
  }
  // A node of kind Episode with these fields behind its kind.
  static Bytes with_fields(std::initializer_list<int> fields) {
    Bytes out = bytes({1, 0x08, 1});
    for (const int value : fields) out.push_back(static_cast<std::byte>(value));
    return out;
  }
  static std::string refusal(const Bytes& encoded) {
    const auto node = decode_node(encoded);
    EXPECT_FALSE(node.ok()) << to_hex(encoded);
    EXPECT_TRUE(node.ok() || node.status().code() == Code::Corruption);
    return node.status().message();
  }

  // Every field that there is.
  static Node full_node() {
    const auto time = [](std::int64_t us) { return Timestamp(std::chrono::microseconds(us)); };
    const auto object = [](std::string_view key, Value member) {
      Value value;
      value.set(key, std::move(member));
      return value;
    };
    Node node;
    node.id = parse_uuid("01890a5d-ac96-774b-bcce-b302099a8057").value();
    node.kind = NodeKind::Episode;
    node.namespace_path = {"user", "ada"};
    node.key = "";
    node.version = 300;
    node.external_system = "mem0";
    node.external_id = "é";
    node.source_fields = object("extra", Value(1));
    node.source_nulls = 5;
    node.source_unknown = bytes({1, 2});
    node.scope = {"ada", "a1", "r1", "app", "p", "x"};
    node.content = "Tea at four.";
    node.value = Value(Value::Array{Value(1.5), Value("x")});
    node.content_hash.emplace();
    for (std::size_t i = 0; i < 32; ++i) (*node.content_hash)[i] = static_cast<std::uint8_t>(i);
    node.tags = {"tea", ""};
    node.categories = {"habit"};
    node.memory_type = MemoryType::Episodic;
    node.metadata = object("mood", Value("calm"));
    node.created_at = time(1'700'000'000'000'001);
    node.updated_at = time(-1);
    node.last_verified = time(2);
    node.deprecated_since = time(3);
    node.deprecated_reason = "old";
    node.expires_at = time(4);
    node.valid_from = time(5);
    node.valid_until = time(6);
    node.occurred_at = time(7);
    node.deleted_at = time(8);
    node.activation = 0.5;
    node.confidence = 1.0;
    node.access_count = 0;
    node.last_access = time(9);
    node.decay_rate = 0.1;
    node.strength = 0.25;
    node.consolidation_score = 0.75;
    node.importance = 0.0;
    node.source_model = "m";
    node.source_tool = "t";
    node.source_migration = "mig";
    node.evidence.resize(1);
    node.evidence[0].bytes.fill(1);
    node.migration_version = "001";
    node.embedding_provenance = object("model", Value("e5"));
    node.embedder = "hash";
    node.unknown = bytes({0x80, 0x04, 0x07, 0xfe, 0x0f, 0x03, 'n', 'e', 'w'});  // 128 = 7, 511 = "new"
    node.vectors = {{GenerationId{0}, {1.0F, -0.0F, 0.5F}}, {GenerationId{1}, {2.0F}}};
    return node;
  }
};

// The bytes were made by a separate program from the table in node_codec.h. They are on disk.
TEST_F(NodeCodec, WritesTheBytesItHasAlwaysWritten) {
  const Bytes encoded = encode(full_node());
  EXPECT_EQ(to_hex(encoded),
            "01061001890a5dac96774bbcceb302099a805708010e09047573657203616461120014ac021a046d656d301e02c3a9220b09"
            "0901056578747261030224052a0201024203616461460261314a0272314e03617070520170560178620c5465612061742066"
            "6f75722e660f080d0205000000000000f83f0701786a20000102030405060708090a0b0c0d0e0f101112131415161718191a"
            "1b1c1d1e1f6e050374656100720605686162697474027a0e090c01046d6f6f64070463616c6d810101401e18240a06008501"
            "ffffffffffffffff890102000000000000008d0103000000000000009201036f6c6495010400000000000000990105000000"
            "000000009d010600000000000000a1010700000000000000a5010800000000000000b101000000000000e03fb50100000000"
            "0000f03fb80100bd010900000000000000c1019a9999999999b93fc501000000000000d03fc901000000000000e83fcd0100"
            "00000000000000f201016df6010174fa01036d6967fe01100101010101010101010101010101010182020330303186020d09"
            "0b01056d6f64656c070265358a020468617368800407fe0f036e657782100502000301018610100000803f00000080000000"
            "3f00000040");
  EXPECT_EQ(decode_node(encoded).value(), full_node());
}

TEST_F(NodeCodec, WritesTheConceptFieldsAndTheLeastNode) {
  Node node;
  node.kind = NodeKind::Concept;
  EXPECT_EQ(to_hex(encode(node)), "010802");
  node.coherence = -0.0;
  node.instance_count = 3;
  node.formation_time = Timestamp(std::chrono::microseconds(-2));
  EXPECT_EQ(to_hex(encode(node)), "010802d5010000000000000080d80103dd01feffffffffffffff");
  EXPECT_EQ(decode_node(encode(node)).value(), node);
}

TEST_F(NodeCodec, ReadsBackEveryNode) {
  for (int i = 0; i < 20'000; ++i) {
    const Node node = testing::random_node(random());
    const Bytes encoded = encode(node);
    const auto decoded = decode_node(encoded);
    ASSERT_TRUE(decoded.ok()) << decoded.status().message() << to_hex(encoded);
    ASSERT_EQ(*decoded, node);
    ASSERT_EQ(encode(*decoded), encoded);
  }
}

TEST_F(NodeCodec, AppendsBehindWhatIsThere) {
  Bytes out = bytes({9, 9});
  encode_node(full_node(), out);
  EXPECT_EQ(Bytes(out.begin() + 2, out.end()), encode(full_node()));
}

TEST_F(NodeCodec, SplitsIntoBodyAndVectors) {
  for (int i = 0; i < 5000; ++i) {
    const Node node = testing::random_node(random());
    const Bytes encoded = encode(node), body = encode_body(node);
    ASSERT_EQ(body_length(encoded).value(), body.size());
    ASSERT_EQ(Bytes(encoded.begin(), encoded.begin() + static_cast<std::ptrdiff_t>(body.size())), body);

    const auto shapes = vector_shapes(body).value();
    std::vector<std::span<const float>> vectors;
    ASSERT_EQ(shapes.size(), node.vectors.size());
    for (std::size_t v = 0; v < shapes.size(); ++v) {
      ASSERT_EQ(shapes[v].generation, node.vectors[v].generation);
      ASSERT_EQ(shapes[v].dimension, node.vectors[v].values.size());
      vectors.emplace_back(node.vectors[v].values);
    }
    ASSERT_EQ(decode_node_body(body, vectors).value(), node);
  }
}

TEST_F(NodeCodec, MakesTheBodyThatANodeWithSomeOfItsVectorsHas) {
  for (int i = 0; i < 500; ++i) {
    Node node = testing::random_node(random());
    Bytes body, wanted;
    encode_node_body(node, body);
    std::erase_if(node.vectors, [&](const NodeVector&) { return one_in(2); });
    std::vector<VectorShape> shapes;
    for (const NodeVector& vector : node.vectors)
      shapes.push_back({vector.generation, static_cast<std::uint32_t>(vector.values.size())});
    encode_node_body(node, wanted);
    ASSERT_EQ(body_with_shapes(body, shapes), wanted);
  }
}

TEST_F(NodeCodec, RefusesABodyWithOtherVectorsThanItNames) {
  const Node node = full_node();
  const Bytes body = encode_body(node);
  const std::vector<float> three(3), one(1);
  const std::span<const float> good[] = {three, one}, swapped[] = {one, three}, few[] = {three};
  EXPECT_TRUE(decode_node_body(body, good).ok());
  EXPECT_EQ(decode_node_body(body, swapped).status().message(), "encoded node: vector 0: wanted 3 floats, found 1");
  EXPECT_EQ(decode_node_body(body, few).status().code(), Code::Corruption);
  EXPECT_EQ(decode_node_body(encode(node), good).status().code(), Code::Corruption);
  EXPECT_EQ(decode_node(body).status().code(), Code::Corruption) << "a body that names vectors is no whole node";
}

TEST_F(NodeCodec, TellsAbsentFromEmptyText) {
  Node absent, empty;
  empty.content = "";
  EXPECT_NE(encode(absent), encode(empty));
  EXPECT_EQ(decode_node(encode(absent)).value().content, std::nullopt);
  EXPECT_EQ(decode_node(encode(empty)).value().content, "");
}

TEST_F(NodeCodec, KeepsFieldsOfLaterReleasesInPlace) {
  for (int i = 0; i < 2000; ++i) {
    Node node = testing::random_node(random());
    node.unknown = testing::random_unknown_fields(random());
    const Bytes encoded = encode(node);
    Node decoded = decode_node(encoded).value();
    ASSERT_EQ(decoded.unknown, node.unknown);
    ASSERT_EQ(encode(decoded), encoded);
    decoded.content = "changed";  // an update keeps them too
    ASSERT_EQ(decode_node(encode(decoded)).value().unknown, node.unknown);
  }
}

TEST_F(NodeCodec, AcceptsDamagedBytesOnlyAsTheOneEncodingOfAnotherNode) {
  int accepted = 0;
  for (int i = 0; i < 40'000; ++i) {
    const Bytes bad = testing::damaged(random(), encode(testing::random_node(random())));
    const auto decoded = decode_node(bad);
    if (!decoded.ok()) {
      ASSERT_EQ(decoded.status().code(), Code::Corruption);
      continue;
    }
    ++accepted;
    ASSERT_EQ(encode(*decoded), bad);
  }
  EXPECT_GT(accepted, 0);
}

TEST_F(NodeCodec, RefusesEveryCutOfAnEncodingThatLosesAFieldsEnd) {
  const Bytes encoded = encode(full_node());
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    const Bytes cut(encoded.begin(), encoded.begin() + static_cast<std::ptrdiff_t>(size));
    if (const auto decoded = decode_node(cut)) {  // cut between two fields
      EXPECT_EQ(encode(*decoded), cut);
    }
  }
  EXPECT_FALSE(decode_node({}).ok());
}

TEST_F(NodeCodec, RefusesWhatIsNotCanonical) {
  EXPECT_EQ(refusal({}), "encoded node: byte 0: wanted a version, found the end");
  EXPECT_EQ(refusal(bytes({2, 8, 1})), "encoded node: byte 0: unknown version 2");
  EXPECT_EQ(refusal(bytes({1})), "encoded node: byte 1: a node without its kind");
  EXPECT_EQ(refusal(bytes({1, 8, 0})), "encoded node: byte 1: field 2: wanted a node kind, found 0");
  EXPECT_EQ(refusal(bytes({1, 8, 3})), "encoded node: byte 1: field 2: wanted a node kind, found 3");
  EXPECT_EQ(refusal(with_fields({0x08, 1})), "encoded node: byte 3: field 2: written twice");
  EXPECT_EQ(refusal(with_fields({0x14, 1, 0x12, 0})), "encoded node: byte 5: field 4: written behind field 5");
  EXPECT_EQ(refusal(with_fields({0x2c, 1})), "encoded node: byte 3: field 11: no release writes this field");
  EXPECT_EQ(refusal(with_fields({0x14})), "encoded node: byte 3: wanted a field, found 1 bytes that are none");

  for (const Bytes& bad : {
           with_fields({0x00, 1}),                             // field 0
           with_fields({0x17, 1}),                             // wire 3
           with_fields({0x16, 0}),                             // a count with a length
           with_fields({0x10, 0}),                             // a text as a varint
           with_fields({0x94, 0x00, 1}),                       // a long tag
           with_fields({0x14, 0x80, 0x00}),                    // a long varint
           with_fields({0x12, 0x80, 0x00}),                    // a long length
           with_fields({0x12, 5, 'a'}),                        // a short text
           with_fields({0x0e, 0}),                             // no labels
           with_fields({0x0e, 2, 2, 'a'}),                     // a label beyond its field
           with_fields({0x22, 1, 10}),                         // no value
           with_fields({0x24, 0}),                             // no nulls
           with_fields({0x24, 0x80, 0x80, 0x80, 0x80, 0x10}),  // 2^32 nulls
           with_fields({0x2a, 0}),                             // no bytes
           with_fields({0x6a, 1, 0}),                          // a short hash
           with_fields({0x74, 0}),
           with_fields({0x74, 4}),                                         // memory types
           with_fields({0x81, 0x01, 0, 0}),                                // a short time
           with_fields({0xfe, 0x01, 0}),                                   // no evidence
           with_fields({0xfe, 0x01, 2, 0, 0}),                             // half an id
           with_fields({0x82, 0x10, 1, 0}),                                // no generations
           with_fields({0x82, 0x10, 3, 1, 0, 1}),                          // a generation without its vector
           with_fields({0x82, 0x10, 3, 1, 0, 1, 0x86, 0x10, 3, 0, 0, 0}),  // three bytes of a float
           with_fields({0x82, 0x10, 3, 1, 0, 1, 0x86, 0x10, 8, 0, 0, 0, 0, 0, 0, 0, 0}),
           with_fields({0x82, 0x10, 4, 1, 0, 1, 0, 0x86, 0x10, 4, 0, 0, 0, 0}),              // a byte behind the shapes
           with_fields({0x82, 0x10, 5, 1, 0x80, 0x80, 0x04, 1, 0x86, 0x10, 4, 0, 0, 0, 0}),  // generation 2^16
           with_fields({0x82, 0x10, 3, 1, 0, 0, 0x86, 0x10, 0}),                             // vectors without a float
           with_fields({0x86, 0x10, 0}),                                                // vectors without generations
           with_fields({0x88, 0x10, 0}),                                                // field 514
           bytes({1, 0x06, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 1}),  // a nil id, written
           bytes({1, 0x06, 1, 1, 8, 1}),                                                // a short id
       })
    refusal(bad);
}

TEST_F(NodeCodec, TakesNoMemoryForHugeCountsInFewBytes) {
  // 2^35 vectors, one vector of 2^32 - 1 floats, a text of 2^63 bytes: refused before anything is allocated.
  refusal(with_fields({0x82, 0x10, 8, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0, 1}));
  refusal(with_fields({0x82, 0x10, 7, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x86, 0x10, 4, 0, 0, 0, 0}));
  refusal(with_fields({0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}));
  EXPECT_FALSE(vector_shapes(with_fields({0x82, 0x10, 8, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0, 1})).ok());
}

TEST_F(NodeCodec, WalksFieldsInOrderAndStopsAtTheFirstThatIsNone) {
  const Bytes encoded = encode(full_node());
  FieldCursor cursor(encoded);
  std::size_t fields = 0, end = 1;
  for (std::uint16_t previous = 0; cursor.next(); previous = cursor.number(), ++fields) {
    ASSERT_GT(cursor.number(), previous);
    ASSERT_EQ(cursor.begin(), end);
    end = cursor.end();
  }
  EXPECT_TRUE(cursor.ok());
  EXPECT_EQ(end, encoded.size());
  EXPECT_EQ(fields, 52U);

  const Bytes short_text = with_fields({0x14, 5, 0x12, 9});
  FieldCursor broken(short_text);
  EXPECT_TRUE(broken.next());
  EXPECT_TRUE(broken.next());
  EXPECT_EQ(broken.integer(), 5U);
  EXPECT_FALSE(broken.next());
  EXPECT_FALSE(broken.ok());
  EXPECT_FALSE(broken.next());
  const Bytes later_version = bytes({2, 8, 1});
  EXPECT_FALSE(FieldCursor(later_version).ok());
}

TEST_F(NodeCodec, FindsTheBodyOfWellFormedBytesAlone) {
  EXPECT_EQ(body_length(with_fields({0x12, 9})).status().code(), Code::Corruption);
  EXPECT_EQ(body_length(with_fields({0x86, 0x10, 0, 0x88, 0x10, 0})).status().code(), Code::Corruption);
  EXPECT_EQ(body_length({}).status().code(), Code::Corruption);
  for (int i = 0; i < 20'000; ++i) {
    const Bytes bad = testing::damaged(random(), encode(testing::random_node(random())));
    if (const auto length = body_length(bad)) {
      ASSERT_LE(*length, bad.size());
    }
    const auto shapes = vector_shapes(bad);
    ASSERT_TRUE(shapes.ok() || shapes.status().code() == Code::Corruption);
  }
}

TEST_F(NodeCodec, ReadsLabelsInPlace) {
  const Bytes payload = bytes({1, 'a', 0, 2, 'b', 'c'});
  std::vector<std::string> labels;
  for_each_label(payload, [&](std::string_view label) {
    labels.emplace_back(label);
    return true;
  });
  EXPECT_EQ(labels, (std::vector<std::string>{"a", "", "bc"}));
}

}  // namespace
}  // namespace mneme
