// The codec and the rules of a Memory.
#include "mneme/migration/memory.h"

#include <gtest/gtest.h>

#include <limits>

#include "mneme/base/limits.h"
#include "mneme/migration/digest.h"
#include "random_memory.h"
#include "seeded_test.h"

namespace mneme::migration {
namespace {

Bytes encoded(const Memory& memory) {
  Bytes out;
  encode_memory(memory, out);
  return out;
}

Bytes bytes_of(std::initializer_list<int> values) {
  Bytes bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

class MemoryCodec : public mneme::testing::SeededTest {};

TEST_F(MemoryCodec, KeepsTheBytesOfOneMemoryForever) {
  Memory memory;
  memory.id = "m1";
  memory.content = "tea";
  memory.activation = 0.5;
  memory.access_count = 300;
  memory.created_at = Timestamp(std::chrono::microseconds(1));
  memory.metadata = Value(true);
  memory.null_members = static_cast<std::uint32_t>(MemoryMember::Confidence);
  memory.unknown = bytes_of({0x80, 0x04, 0x07});  // field 128, varint 7
  memory.embedding = std::vector<float>{1.0F};
  const Bytes golden = bytes_of({
      1,                                                   // version
      0x06, 2,    'm',  '1',                               // 1 id
      0x0a, 3,    't',  'e', 'a',                          // 2 content
      0x0d, 0,    0,    0,   0,   0,    0,    0xe0, 0x3f,  // 3 activation 0.5
      0x18, 0xac, 0x02,                                    // 6 access_count 300
      0x1d, 1,    0,    0,   0,   0,    0,    0,    0,     // 7 created_at 1 us
      0x2a, 1,    2,                                       // 10 metadata true
      0x30, 0x08,                                          // 12 null_members confidence
      0x80, 0x04, 0x07,                                    // 128 of a newer release
      0x82, 0x10, 4,    0,   0,   0x80, 0x3f,              // 512 embedding 1.0
  });
  EXPECT_EQ(encoded(memory), golden);
  const auto decoded = decode_memory(golden);
  ASSERT_TRUE(decoded) << decoded.status().to_string();
  EXPECT_EQ(*decoded, memory);
}

TEST_F(MemoryCodec, GivesBackEveryMemory) {
  for (int i = 0; i < 20'000; ++i) {
    const Memory memory = testing::any_memory(random());
    const Bytes bytes = encoded(memory);
    const auto decoded = decode_memory(bytes);
    ASSERT_TRUE(decoded) << "case " << i << ": " << decoded.status().to_string();
    ASSERT_EQ(*decoded, memory) << "case " << i;
    ASSERT_EQ(encoded(*decoded), bytes) << "case " << i;
  }
}

TEST_F(MemoryCodec, TellsAnEmptyEmbeddingFromNone) {
  Memory none, empty;
  empty.embedding.emplace();
  EXPECT_FALSE(none == empty);
  EXPECT_NE(encoded(none), encoded(empty));
  EXPECT_TRUE(decode_memory(encoded(empty))->embedding.has_value());
}

TEST_F(MemoryCodec, RefusesWhateverIsNotCanonical) {
  const std::pair<const char*, Bytes> cases[] = {
      {"nothing", {}},
      {"another version", bytes_of({2})},
      {"an empty id written", bytes_of({1, 0x06, 0})},
      {"a field twice", bytes_of({1, 0x06, 1, 'a', 0x06, 1, 'b'})},
      {"fields out of order", bytes_of({1, 0x0a, 1, 'a', 0x06, 1, 'b'})},
      {"no null members written", bytes_of({1, 0x30, 0})},
      {"null members beyond 32 bits", bytes_of({1, 0x30, 0x80, 0x80, 0x80, 0x80, 0x10})},
      {"half a float", bytes_of({1, 0x82, 0x10, 3, 0, 0, 0})},
      {"a length beyond the end", bytes_of({1, 0x0a, 9, 'a'})},
      {"a varint with a needless byte", bytes_of({1, 0x18, 0x80, 0x00})},
      {"an unknown field below 128", bytes_of({1, 0x50, 1})},
      {"a field above 512", bytes_of({1, 0x84, 0x10, 1})},
      {"a field of another wire type", bytes_of({1, 0x08, 1})},
      {"wire type 3", bytes_of({1, 0x07, 1})},
      {"a value that is none", bytes_of({1, 0x2a, 1, 99})},
  };
  for (const auto& [what, bytes] : cases) {
    const auto decoded = decode_memory(bytes);
    EXPECT_FALSE(decoded) << what;
    EXPECT_EQ(decoded.status().code(), Code::Corruption) << what;
  }
}

TEST_F(MemoryCodec, AcceptsADamagedEncodingOnlyWhenItIsAnotherMemorysOwn) {
  for (int i = 0; i < 3000; ++i) {
    Bytes bytes = encoded(testing::any_memory(random()));
    for (std::uint64_t flips = 1 + below(3); flips > 0; --flips)
      bytes[below(bytes.size())] ^= static_cast<std::byte>(1 << below(8));
    if (one_in(3)) bytes.resize(below(bytes.size() + 1));
    const auto decoded = decode_memory(bytes);
    if (decoded) {
      ASSERT_EQ(encoded(*decoded), bytes) << "case " << i;
    } else {
      ASSERT_EQ(decoded.status().code(), Code::Corruption) << "case " << i;
    }
  }
}

struct RuleCase {
  const char* member;
  std::function<void(Memory&)> breaks;
};

TEST(MemoryRules, AcceptWhatIsWithinThem) {
  const auto random = seeded_random(1);
  for (int i = 0; i < 2000; ++i) {
    const Memory memory = testing::valid_memory(*random, 1 + random->below(20));
    const Status valid = validate_memory(memory);
    ASSERT_TRUE(valid) << valid.to_string();
    // What a legacy store takes, a database takes.
    const Status node = validate_node(from_memory(memory, "space"));
    ASSERT_TRUE(node) << node.to_string();
  }
}

TEST(MemoryRules, NameTheMemberThatBreaksOne) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<RuleCase> cases = {
      {"id", [](Memory& m) { m.id.clear(); }},
      {"id", [](Memory& m) { m.id = "\xff"; }},
      {"id", [](Memory& m) { m.id.assign(limits::kExternalIdBytesMax + 1, 'a'); }},
      {"content", [](Memory& m) { m.content = "\xed\xa0\x80"; }},
      {"content", [](Memory& m) { m.content = std::string(limits::kContentBytesMax + 1, 'a'); }},
      {"embedding", [](Memory& m) { m.embedding.emplace(); }},
      {"embedding", [](Memory& m) { m.embedding.emplace(limits::kDimensionsMax + 1); }},
      {"embedding",
       [=](Memory& m) {
         m.embedding = {{1.0F, infinity}};
       }},
      {"embedding",
       [](Memory& m) {
         m.embedding = {{1.0F, std::nanf("")}};
       }},
      {"activation", [](Memory& m) { m.activation = 7.0; }},
      {"activation", [](Memory& m) { m.activation = std::nan(""); }},
      {"confidence", [](Memory& m) { m.confidence = -0.1; }},
      {"decay_rate", [](Memory& m) { m.decay_rate = -1; }},
      {"decay_rate", [](Memory& m) { m.decay_rate = std::numeric_limits<double>::infinity(); }},
      {"created_at", [](Memory& m) { m.created_at = Timestamp::max(); }},
      {"last_access", [](Memory& m) { m.last_access = Timestamp::min(); }},
      {"metadata", [](Memory& m) { m.metadata = Value("\xff"); }},
      {"embedding_provenance", [](Memory& m) { m.embedding_provenance = Value(Value::Array{Value("\xff")}); }},
      {"unknown_members", [](Memory& m) { m.unknown_members = Value(1); }},
      {"unknown_members",
       [](Memory& m) {
         m.unknown_members = Value(Value::Object{{"content", Value(1)}});
       }},
      {"unknown_members",
       [](Memory& m) {
         m.unknown_members = Value(Value::Object{{"mneme", Value(1)}});
       }},
      {"null_members", [](Memory& m) { m.null_members = 1 << 8; }},
      {"content", [](Memory& m) { m.content = "", m.null_members = 1 << 1; }},
      {"embedding", [](Memory& m) { m.embedding = {{1.0F}}, m.null_members = 1; }},
      {"embedder", [](Memory& m) { m.embedder = "x"; }},
      {"embedder", [](Memory& m) { m.embedding = {{1.0F}}, m.embedder = ""; }},
      {"unknown",
       [](Memory& m) {
         m.unknown = bytes_of({1, 2, 3});
       }},
      {"unknown",
       [](Memory& m) {
         m.unknown = bytes_of({0x06, 1, 'a'});
       }},  // field 1
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    Memory memory;
    memory.id = "m";
    ASSERT_TRUE(validate_memory(memory));
    cases[i].breaks(memory);
    const Status refused = validate_memory(memory);
    EXPECT_EQ(refused.code(), Code::InvalidArgument) << "case " << i << ", " << cases[i].member;
    EXPECT_TRUE(refused.message().starts_with(cases[i].member)) << "case " << i << ": " << refused.message();
  }
}

Sha256Digest digest_of(std::string_view text) { return sha256(as_bytes(text)); }

TEST(SetDigest, DoesNotDependOnOrderOrOnHowItIsSplit) {
  SetDigest forward, backward, left, right;
  for (const char* text : {"a", "b", "c", "d"}) forward.add(digest_of(text));
  for (const char* text : {"d", "c", "b", "a"}) backward.add(digest_of(text));
  left.add(digest_of("c"));
  right.add(digest_of("a"));
  right.add(digest_of("d"));
  right.add(digest_of("b"));
  left.merge(right);
  EXPECT_EQ(forward, backward);
  EXPECT_EQ(forward, left);
  EXPECT_EQ(forward.count, 4U);
}

TEST(SetDigest, TakesBackWhatWasAdded) {
  SetDigest digest;
  digest.add(digest_of("a"));
  const SetDigest before = digest;
  digest.add(digest_of("b"));
  EXPECT_FALSE(digest == before);
  digest.subtract(digest_of("b"));
  EXPECT_EQ(digest, before);
}

TEST(SetDigest, TellsACountFromADoubleRecordAndPrintsItsLanesLittleEndian) {
  SetDigest once, twice;
  once.add(digest_of("a"));
  twice.add(digest_of("a"));
  EXPECT_EQ(once.to_hex(), to_hex(digest_of("a")));  // one record: its own digest
  EXPECT_EQ(once.bytes(), digest_of("a"));
  twice.add(digest_of("a"));
  EXPECT_FALSE(once == twice);
}

}  // namespace
}  // namespace mneme::migration
