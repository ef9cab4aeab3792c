#include "mneme/base/ids.h"

#include <gtest/gtest.h>

#include <set>

namespace mneme {
namespace {

constexpr std::string_view kDns = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

class Uuids : public ::testing::Test {
 protected:
  static Uuid uuid(std::string_view text) { return parse_uuid(text).value(); }
};

TEST_F(Uuids, PrintAndParseTheSameText) {
  EXPECT_EQ(uuid(kDns).to_string(), kDns);
  EXPECT_EQ(uuid("6BA7B810-9DAD-11D1-80B4-00C04FD430C8").to_string(), kDns);
  EXPECT_TRUE(uuid("00000000-0000-0000-0000-000000000000").is_nil());
}

TEST_F(Uuids, RefuseEveryOtherForm) {
  for (const std::string_view bad : {"", "6ba7b8109dad11d180b400c04fd430c8", "6ba7b810-9dad-11d1-80b4-00c04fd430c",
                                     "6ba7b810-9dad-11d1-80b4-00c04fd430c8 ", "{6ba7b810-9dad-11d1-80b4-00c04fd430c}",
                                     "6ba7b810 9dad-11d1-80b4-00c04fd430c8", "6ba7b81--9dad-11d1-80b4-00c04fd430c8",
                                     "6ba7b810-9dad-11d1-80b4-00c04fd430cg"}) {
    const auto parsed = parse_uuid(bad);
    ASSERT_FALSE(parsed.ok()) << bad;
    EXPECT_EQ(parsed.status().code(), Code::InvalidArgument);
  }
  EXPECT_EQ(parse_uuid("6ba7b810-9dad-11d1-80b4-00c04fd430cg").status().message(),
            "uuid \"6ba7b810-9dad-11d1-80b4-00c04fd430cg\": character 35 is not a hex digit");
}

TEST_F(Uuids, TakeSixteenBytesAndNoOtherNumber) {
  const Uuid id = uuid(kDns);
  EXPECT_EQ(uuid_from_bytes(id.view()).value(), id);
  EXPECT_EQ(uuid_from_bytes(id.view().first(15)).status().code(), Code::Corruption);
  EXPECT_EQ(uuid_from_bytes({}).status().code(), Code::Corruption);
}

TEST_F(Uuids, OfVersionFiveMatchRfc9562) {
  EXPECT_EQ(uuid_v5(uuid(kDns), "www.example.com").to_string(), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

// Computed with another implementation of RFC 9562. They are on disk: a change would make a repeated import
// write every node a second time.
TEST_F(Uuids, OfExternalRecordsNeverChange) {
  EXPECT_EQ(node_id_for_external("notes", "mem0", "abc-1").to_string(), "03be8a3d-f841-5e69-bfc6-00d9455734db");
  EXPECT_EQ(node_id_for_external("notes", "", "").to_string(), "c7c1ea70-c0ea-5d8d-8590-ee9f4cfac304");
  EXPECT_EQ(node_id_for_external("notes", "legacy", "é中").to_string(), "b46f48d0-08e6-56e5-ac51-e23a50f0f289");
}

TEST_F(Uuids, OfExternalRecordsDifferInEveryPart) {
  std::set<Uuid> ids;
  for (const char* space : {"a", "b", ""})
    for (const char* system : {"", "a", "ab"})
      for (const char* id : {"", "a", "b", "ab", "c", "bc"}) ids.insert(node_id_for_external(space, system, id));
  EXPECT_EQ(ids.size(), 3U * 3 * 6);
}

template <class Enum, class Parse>
void expect_names(std::initializer_list<std::pair<Enum, std::string_view>> names, Parse parse) {
  for (const auto& [value, name] : names) {
    EXPECT_EQ(name_of(value), name);
    EXPECT_EQ(parse(name).value(), value);
  }
  for (const std::string_view bad : {"HOT", "episodes", "hot ", "L2"}) EXPECT_FALSE(parse(bad).ok()) << bad;
}

TEST(Names, GoBothWays) {
  expect_names<TierId>({{TierId::Hot, "hot"}, {TierId::Warm, "warm"}, {TierId::Cold, "cold"}}, tier_from_name);
  expect_names<NodeKind>({{NodeKind::Episode, "episode"}, {NodeKind::Concept, "concept"}}, node_kind_from_name);
  expect_names<MemoryType>({{MemoryType::Unset, ""},
                            {MemoryType::Semantic, "semantic"},
                            {MemoryType::Episodic, "episodic"},
                            {MemoryType::Procedural, "procedural"}},
                           memory_type_from_name);
  expect_names<Metric>({{Metric::InnerProduct, "ip"}, {Metric::Cosine, "cosine"}, {Metric::SquaredL2, "l2"}},
                       metric_from_name);
  EXPECT_EQ(tier_from_name("tepid").status().message(),
            "tier: unknown name \"tepid\"; known: \"hot\" \"warm\" \"cold\"");
}

}  // namespace
}  // namespace mneme
