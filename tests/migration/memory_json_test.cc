// Memories as JSON lines, there and back.
#include "mneme/migration/memory_json.h"

#include <gtest/gtest.h>

#include <cmath>

#include "json_equality.h"
#include "mneme/base/json.h"
#include "random_memory.h"
#include "seeded_test.h"

namespace mneme::migration {
namespace {

using testing::same_line;

class MemoryJson : public mneme::testing::SeededTest {
 protected:
  static Memory read(std::string_view line) {
    auto memory = memory_from_json(line);
    EXPECT_TRUE(memory) << memory.status().to_string() << "\n  " << line;
    return memory ? std::move(*memory) : Memory();
  }
  static std::string written(const Memory& memory, const Value& extra = {}) {
    std::string line;
    append_memory_json(memory, extra, line);
    return line;
  }
  static std::string refusal(std::string_view line) {
    const auto memory = memory_from_json(line);
    EXPECT_FALSE(memory) << line.substr(0, 200);
    EXPECT_EQ(memory.status().code(), Code::InvalidArgument);
    return memory.status().message();
  }
  static void expect_refused(std::string_view line, std::string_view because) {
    const std::string message = refusal(line);
    EXPECT_NE(message.find(because), std::string::npos) << line.substr(0, 200) << "\n  " << message;
  }
};

TEST_F(MemoryJson, ReadsEveryMember) {
  const Memory memory = read(R"({"id": "a", "content": "tea", "embedding": [0.5, -0, 1e-45], "activation": 1,
    "confidence": 0.25, "access_count": 3.0, "decay_rate": 2, "created_at": "2026-01-31T09:15:00.25+02:00",
    "last_access": "1969-12-31t23:59:59z", "metadata": {"a": [1, null]}, "embedding_provenance": "minilm",
    "x": 18446744073709551616, "y": null})");
  EXPECT_EQ(memory.id, "a");
  EXPECT_EQ(memory.content, "tea");
  ASSERT_TRUE(memory.embedding);
  EXPECT_EQ(*memory.embedding, (std::vector<float>{0.5F, 0.0F, 1e-45F}));
  EXPECT_TRUE(std::signbit((*memory.embedding)[1]));
  EXPECT_EQ(memory.activation, 1.0);
  EXPECT_EQ(memory.confidence, 0.25);
  EXPECT_EQ(memory.access_count, 3U);
  EXPECT_EQ(memory.decay_rate, 2.0);
  EXPECT_EQ(memory.created_at, parse_rfc3339("2026-01-31T07:15:00.25Z").value());
  EXPECT_EQ(memory.last_access, Timestamp(std::chrono::seconds(-1)));
  EXPECT_EQ(memory.metadata, parse_json(R"({"a":[1,null]})").value());
  EXPECT_EQ(memory.embedding_provenance, Value("minilm"));
  EXPECT_EQ(memory.unknown_members, parse_json(R"({"x":18446744073709551616,"y":null})").value());
  EXPECT_EQ(memory.null_members, 0U);
}

TEST_F(MemoryJson, TellsNullFromAbsent) {
  const Memory memory = read(R"({"id":"a","embedding":null,"content":null,"activation":null,"confidence":null,
    "decay_rate":null,"access_count":null,"created_at":null,"last_access":null,"metadata":null,
    "embedding_provenance":null})");
  EXPECT_EQ(memory.null_members, 0xffU);
  EXPECT_EQ(memory.metadata, Value());
  EXPECT_EQ(memory.embedding_provenance, Value());
  EXPECT_FALSE(memory.content);
  EXPECT_FALSE(memory.embedding);
  const Memory absent = read(R"({"id":"a"})");
  EXPECT_EQ(absent.null_members, 0U);
  EXPECT_FALSE(absent.metadata);
}

TEST_F(MemoryJson, WritesWhatItRead) {
  const char* lines[] = {
      R"({"id":"a"})",
      R"({"id":"\u0000\ud83d\ude00é","content":""})",
      R"({"id":"a","content":"\u0000\n\"\\/\u2028"})",
      R"({"id":"a","embedding":[-0.0,1e-45,-1e-45,3.4028235e38,-3.4028235e38,1.1754944e-38,0.1,16777217]})",
      R"({"id":"a","embedding":null,"content":null,"metadata":null,"created_at":null})",
      R"({"id":"a","activation":0,"confidence":1,"decay_rate":9007199254740992,"access_count":18446744073709551615})",
      R"({"id":"a","activation":0.1234567890123456789,"decay_rate":1e-320})",
      R"({"id":"a","created_at":"0000-01-01T00:00:00Z","last_access":"9999-12-31T23:59:59.999999Z"})",
      R"({"id":"a","created_at":"2026-07-01T12:00:00.1234567+05:30"})",
      R"({"id":"a","metadata":{"deep":{"er":[{"x":[[[]]]}]},"n":[0,-0,-0.0,1e308,1e400,123456789012345678901]}})",
      R"({"id":"a","z":1,"b":{"id":"inner"},"a":[null,true,false],"":"empty name","Content":"case matters"})",
      R"({"z":1,"id":"order does not matter","content":"x"})",
      "{\"id\":\"a\",\"content\":\"caf\xc3\xa9\"}\r",
      " \t{ \"id\" : \"a\" , \"content\" : \"x\" } ",
  };
  for (const char* line : lines) EXPECT_TRUE(same_line(line, written(read(line))));
}

TEST_F(MemoryJson, KeepsAMegabyteOfContent) {
  std::string content;
  while (content.size() < 1'000'000) content += testing::any_text(random(), 100);
  std::string line = R"({"id":"big","content":)";
  append_json_string(content, line);
  line += '}';
  const Memory memory = read(line);
  EXPECT_EQ(memory.content, content);
  EXPECT_TRUE(same_line(line, written(memory)));
}

TEST_F(MemoryJson, GivesBackEveryValidMemory) {
  for (int i = 0; i < 10'000; ++i) {
    const Memory memory = testing::valid_memory(random(), 1 + below(16));
    const std::string line = written(memory);
    const Memory back = read(line);
    ASSERT_EQ(back, memory) << "case " << i << ": " << line;
    ASSERT_TRUE(same_line(line, written(back)));
  }
}

TEST_F(MemoryJson, GivesBackEveryFloat) {
  Memory memory;
  memory.id = "floats";
  memory.embedding.emplace();
  while (memory.embedding->size() < 60'000) {
    const float value = std::bit_cast<float>(static_cast<std::uint32_t>(random().next()));
    if (std::isfinite(value)) memory.embedding->push_back(value);
  }
  EXPECT_EQ(read(written(memory)), memory);
}

TEST_F(MemoryJson, PutsAnEmbeddersVectorUnderMneme) {
  Memory memory;
  memory.id = "a";
  memory.content = "tea";
  memory.embedding = std::vector<float>{0.5F, -1.0F};
  memory.embedder = "mneme-hash-1";
  const std::string line = written(memory);
  EXPECT_EQ(line, R"({"id":"a","content":"tea","mneme":{"embedder":"mneme-hash-1","embedding":[0.5,-1.0]}})");
  EXPECT_EQ(read(line), memory);
  memory.null_members = static_cast<std::uint32_t>(MemoryMember::Embedding);
  EXPECT_TRUE(written(memory).starts_with(R"({"id":"a","content":"tea","embedding":null,"mneme":)"));
  EXPECT_EQ(read(written(memory)), memory);
}

TEST_F(MemoryJson, MergesExtraMembersUnderMnemeAndDropsThemWhenReading) {
  Memory memory;
  memory.id = "a";
  const Value extra(Value::Object{{"kind", Value("concept")}, {"tags", Value(Value::Array{Value("t")})}});
  const std::string line = written(memory, extra);
  EXPECT_EQ(line, R"({"id":"a","mneme":{"kind":"concept","tags":["t"]}})");
  EXPECT_EQ(read(line), memory);
  EXPECT_EQ(written(memory, Value(Value::Object())), R"({"id":"a"})");
}

TEST_F(MemoryJson, SaysNullAgainWhereTheSourceDidWhateverWasFoundOut) {
  Memory memory;
  memory.id = "a";
  memory.created_at = Timestamp();
  memory.null_members = static_cast<std::uint32_t>(MemoryMember::CreatedAt);
  EXPECT_EQ(written(memory), R"({"id":"a","created_at":null})");
}

TEST_F(MemoryJson, RefusesAMemberOfTheWrongTypeOrRangeAndNamesIt) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "\"id\""},
      {R"({"content":"x"})", "\"id\""},
      {R"({"id":""})", "\"id\""},
      {R"({"id":7})", "\"id\""},
      {R"({"id":null})", "\"id\""},
      {R"({"id":["a"]})", "\"id\""},
      {R"({"id":"a","content":7})", "\"content\""},
      {R"({"id":"a","content":["x"]})", "\"content\""},
      {R"({"id":"a","embedding":"x"})", "\"embedding\""},
      {R"({"id":"a","embedding":{}})", "\"embedding\""},
      {R"({"id":"a","embedding":[]})", "embedding"},
      {R"({"id":"a","embedding":["1"]})", "\"embedding\""},
      {R"({"id":"a","embedding":[1,[2]]})", "\"embedding\""},
      {R"({"id":"a","embedding":[1,null]})", "\"embedding\""},
      {R"({"id":"a","embedding":[1e39]})", "\"embedding\""},
      {R"({"id":"a","embedding":[1e999]})", "\"embedding\""},
      {R"({"id":"a","activation":"0.5"})", "\"activation\""},
      {R"({"id":"a","activation":1.0000001})", "\"activation\""},
      {R"({"id":"a","activation":1e999})", "\"activation\""},
      {R"({"id":"a","confidence":-0.1})", "\"confidence\""},
      {R"({"id":"a","confidence":true})", "\"confidence\""},
      {R"({"id":"a","decay_rate":-1})", "\"decay_rate\""},
      {R"({"id":"a","decay_rate":9007199254740993})", "\"decay_rate\""},
      {R"({"id":"a","access_count":-1})", "\"access_count\""},
      {R"({"id":"a","access_count":1.5})", "\"access_count\""},
      {R"({"id":"a","access_count":18446744073709551616})", "\"access_count\""},
      {R"({"id":"a","access_count":"3"})", "\"access_count\""},
      {R"({"id":"a","created_at":1700000000})", "\"created_at\""},
      {R"({"id":"a","created_at":"yesterday"})", "\"created_at\""},
      {R"({"id":"a","created_at":"2026-02-30T00:00:00Z"})", "\"created_at\""},
      {R"({"id":"a","last_access":"2026-01-01T00:00:60Z"})", "\"last_access\""},
      {R"({"id":"a","mneme":1})", "\"mneme\""},
      {R"({"id":"a","mneme":{"embedder":1}})", "\"mneme\""},
      {R"({"id":"a","mneme":{"embedding":[1]}})", "\"mneme\""},
      {R"({"id":"a","mneme":{"embedder":"e","embedding":[1e99]}})", "\"mneme\""},
      {R"({"id":"a","embedding":[1],"mneme":{"embedder":"e","embedding":[1]}})", "\"mneme\""},
  };
  for (const auto& [line, because] : cases) expect_refused(line, because);
}

TEST_F(MemoryJson, RefusesWhatIsNotOneObjectOfValidJson) {
  const std::string lines[] = {
      "",
      "null",
      "[1]",
      "\"text\"",
      "{",
      R"({"id":"a")",
      R"({"id":"a"}})",
      R"({"id":"a"} {"id":"b"})",
      R"({"id":"a",})",
      R"({"id":"a" "content":"x"})",
      R"({'id':'a'})",
      R"({"id":"a","id":"b"})",
      R"({"id":"a","x":1,"x":2})",
      R"({"id":"a","metadata":{"x":1,"x":2}})",
      R"({"id":"a","x":NaN})",
      R"({"id":"a","embedding":[NaN]})",
      R"({"id":"a","embedding":[Infinity]})",
      R"({"id":"a","embedding":[1,]})",
      R"({"id":"a","embedding":[01]})",
      R"({"id":"a","embedding":[1 2]})",
      R"({"id":"a","embedding":[+1]})",
      R"({"id":"a","embedding":[.5]})",
      R"({"id":"\ud800"})",
      R"({"id":"a","content":"\udc00\ud800"})",
      R"({"id":"a","\ud800":1})",
      R"({"id":"a","content":"\x"})",
      "{\"id\":\"a\",\"content\":\"\x01\"}",
      "{\"id\":\"a\",\"content\":\"\xff\"}",
      "{\"id\":\"a\",\"content\":\"\xc0\x80\"}",
      "{\"id\":\"a\",\"content\":\"\xed\xa0\x80\"}",
      "\xef\xbb\xbf{\"id\":\"a\"}",
      std::string("{\"id\":\"a\"}\0", 11),
      "{\"id\":\"a\",\"x\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}",
      "{\"id\":\"a\",\"x\":" + std::string(1'000'000, '['),
      "{\"id\":\"a\",\"embedding\":" + std::string(100'000, '[') + "}",
  };
  for (const std::string& line : lines) EXPECT_FALSE(refusal(line).empty());
}

TEST_F(MemoryJson, RefusesABrokenLineOrReadsItAsAnotherMemorysLine) {
  for (int i = 0; i < 5000; ++i) {
    std::string line = written(testing::valid_memory(random(), 4));
    for (std::uint64_t changes = 1 + below(3); changes > 0; --changes) {
      const std::size_t at = below(line.size());
      if (one_in(2))
        line[at] = static_cast<char>(below(256));
      else
        line.erase(at, 1 + below(3));
    }
    const auto memory = memory_from_json(line);
    if (memory) {
      ASSERT_EQ(read(written(*memory)), *memory) << line;
    }
  }
}

}  // namespace
}  // namespace mneme::migration
