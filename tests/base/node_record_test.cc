#include "mneme/base/node_record.h"

#include <malloc.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "random_data.h"
#include "seeded_test.h"

namespace mneme {
namespace {

// Sanitizers bring their own allocator, whose sizes say nothing about the real one.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kRealAllocator = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kRealAllocator = false;
#else
constexpr bool kRealAllocator = true;
#endif
#else
constexpr bool kRealAllocator = true;
#endif

class NodeRecords : public testing::SeededTest {
 protected:
  static Bytes encode(const Node& node) {
    Bytes out;
    encode_node(node, out);
    return out;
  }
  Node node() { return testing::random_node(random()); }
  static Node memory_node(std::size_t dimensions, std::size_t content_bytes) {
    Node node;
    node.content = std::string(content_bytes, 'c');
    node.created_at = Timestamp(std::chrono::seconds(1));
    node.vectors = {{GenerationId{0}, std::vector<float>(dimensions, 0.5F)}};
    return node;
  }
  static void expect_same(const NodeRecordPtr& record, const Node& node) {
    ASSERT_EQ(record->decode().value(), node);
    ASSERT_EQ(record->id(), node.id);
    ASSERT_EQ(record->kind(), node.kind);
    Bytes encoding;
    record->append_encoding(encoding);
    ASSERT_EQ(encoding, encode(node));
    ASSERT_EQ(record->encoding_bytes(), encoding.size());
    ASSERT_EQ(record->vector_count(), node.vectors.size());
    for (std::size_t i = 0; i < node.vectors.size(); ++i) {
      const auto values = record->vector_at(i);
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(values.data()) % 64, 0U);
      ASSERT_EQ((NodeVector{record->shape(i).generation, {values.begin(), values.end()}}), node.vectors[i]);
      ASSERT_EQ(record->vector(node.vectors[i].generation).size(), values.size());
    }
  }
};

TEST_F(NodeRecords, HoldTheSameNodeHoweverTheyAreMade) {
  for (int i = 0; i < 5000; ++i) {
    const Node original = node();
    expect_same(NodeRecord::from_node(original), original);
    const Bytes encoded = encode(original);
    expect_same(NodeRecord::from_encoding(encoded).value(), original);

    Bytes body;
    encode_node_body(original, body);
    std::vector<ByteView> vectors;
    for (const NodeVector& vector : original.vectors) vectors.push_back(std::as_bytes(std::span(vector.values)));
    const NodeRecordPtr record = NodeRecord::from_parts(body, vectors).value();
    expect_same(record, original);
    ASSERT_EQ(as_text(record->body()), as_text(body));
  }
}

TEST_F(NodeRecords, AreMadeFromDamagedBytesExactlyWhenANodeIs) {
  for (int i = 0; i < 20'000; ++i) {
    const Bytes bad = testing::damaged(random(), encode(node()));
    const auto record = NodeRecord::from_encoding(bad);
    const auto decoded = decode_node(bad);
    ASSERT_EQ(record.ok(), decoded.ok());
    if (!record.ok()) {
      ASSERT_EQ(record.status().code(), Code::Corruption);
      continue;
    }
    expect_same(*record, *decoded);
  }
}

TEST_F(NodeRecords, RefusePartsThatDoNotFit) {
  const Node original = memory_node(4, 10);
  Bytes body;
  encode_node_body(original, body);
  const Bytes sixteen(16), twelve(12);
  const ByteView good[] = {sixteen}, bad[] = {twelve}, many[] = {sixteen, sixteen};
  EXPECT_TRUE(NodeRecord::from_parts(body, good).ok());
  EXPECT_EQ(NodeRecord::from_parts(body, bad).status().message(), "node record: vector 0: wanted 16 bytes, found 12");
  EXPECT_EQ(NodeRecord::from_parts(body, many).status().code(), Code::Corruption);
  EXPECT_EQ(NodeRecord::from_parts(body, {}).status().code(), Code::Corruption);
  EXPECT_EQ(NodeRecord::from_parts(encode(original), good).status().code(), Code::Corruption);
}

TEST_F(NodeRecords, ShowFieldsInPlace) {
  Node original = memory_node(3, 5);
  original.external_id = "abc";
  original.activation = -0.0;
  original.version = 7;
  original.metadata = Value(Value::Object{{"mood", Value("calm")}});
  const NodeRecordPtr record = NodeRecord::from_node(original);
  EXPECT_EQ(record->content(), "ccccc");
  EXPECT_EQ(record->external_id(), "abc");
  EXPECT_EQ(record->created_at(), original.created_at);
  EXPECT_TRUE(std::signbit(record->real(NodeField::Activation).value()));
  EXPECT_EQ(record->field(NodeField::Version)->integer, 7U);
  EXPECT_EQ(record->metadata().find("mood")->text(), "calm");
  EXPECT_EQ(record->vector(GenerationId{0}).size(), 3U);

  EXPECT_FALSE(record->field(NodeField::Key).has_value());
  EXPECT_FALSE(record->text(NodeField::Version).has_value()) << "a varint is no text";
  EXPECT_FALSE(record->time(NodeField::DeletedAt).has_value());
  EXPECT_FALSE(record->real(NodeField::Confidence).has_value());
  EXPECT_TRUE(record->vector(GenerationId{1}).empty());
  EXPECT_TRUE(NodeRecord::from_node(Node())->metadata().empty());
}

TEST_F(NodeRecords, ChargeWhatTheAllocatorReallyTakes) {
  if (!kRealAllocator) GTEST_SKIP() << "the sanitizer's allocator is not the real one";
  for (const std::size_t content : {10U, 100U, 1000U, 10'000U, 300'000U})
    for (const std::size_t dimensions : {0U, 3U, 384U, 768U}) {
      const std::size_t count = content > 100'000 ? 100 : 5000;
      Node original = memory_node(dimensions, content);
      if (dimensions == 0) original.vectors.clear();
      const Bytes encoded = encode(original);
      std::vector<NodeRecordPtr> records;
      records.reserve(count);
      const auto in_use = [] {
        const auto info = ::mallinfo2();
        return static_cast<double>(info.uordblks + info.hblkhd);
      };
      const double before = in_use();
      double charged = 0;
      for (std::size_t i = 0; i < count; ++i) {
        records.push_back(NodeRecord::from_encoding(encoded).value());
        charged += static_cast<double>(records.back()->charged_bytes());
      }
      const double taken = in_use() - before;
      EXPECT_NEAR(charged / taken, 1.0, 0.05) << content << " bytes, " << dimensions << " dimensions";
    }
}

TEST_F(NodeRecords, LiveUntilTheLastPointerIsGone) {
  NodeRecordPtr first = NodeRecord::from_node(memory_node(8, 100));
  const NodeRecordPtr copy = first;
  NodeRecordPtr moved = std::move(first);
  EXPECT_FALSE(static_cast<bool>(first));  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(moved.get(), copy.get());
  moved = NodeRecordPtr();
  EXPECT_EQ(copy->content()->size(), 100U);
  const NodeRecordPtr& same = copy;
  moved = same;
  moved = std::move(moved);  // NOLINT(clang-diagnostic-self-move)
  EXPECT_EQ(moved->vector_count(), 1U);
}

TEST_F(NodeRecords, AreSharedByManyThreads) {
  const NodeRecordPtr record = NodeRecord::from_node(memory_node(16, 50));
  std::vector<std::thread> readers;
  std::atomic<std::size_t> seen{0};
  for (int t = 0; t < 4; ++t)
    readers.emplace_back([&, mine = record] {
      for (int i = 0; i < 10'000; ++i) {
        const NodeRecordPtr copy = mine;
        seen += copy->content()->size() + copy->vector_at(0).size();
      }
    });
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(seen, 4U * 10'000 * 66);
}

}  // namespace
}  // namespace mneme
