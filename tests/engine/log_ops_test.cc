#include "log_ops.h"

#include <gtest/gtest.h>

#include <random>

#include "link_keys.h"
#include "mneme/base/checksum.h"

namespace mneme {
namespace {

Uuid id_of(std::uint8_t last) {
  Uuid id;
  id.bytes[15] = last;
  return id;
}

Bytes payload_of(const Commit& commit) {
  const EncodedCommit encoded(commit);
  Bytes bytes;
  for (const ByteView part : encoded.parts()) bytes.insert(bytes.end(), part.begin(), part.end());
  EXPECT_EQ(bytes.size(), encoded.bytes());
  return bytes;
}

Result<Commit> decoded(storage::RecordKind kind, ByteView payload) { return decode_commit({Lsn{9}, kind, payload}); }

Commit batch() {
  Node node;
  node.id = id_of(1);
  node.content = "tea";
  node.vectors = {{GenerationId{0}, {1.0F, -0.0F}}};
  Commit commit;
  commit.ops.push_back({.kind = LogOp::Kind::Put,
                        .space = {2},
                        .row = {3},
                        .fresh = true,
                        .node = node.id,
                        .record = NodeRecord::from_node(node)});
  commit.ops.push_back({.kind = LogOp::Kind::Erase, .space = {2}, .row = {4}, .node = id_of(4)});
  LogOp link{.kind = LogOp::Kind::Link, .space = {2}};
  link.link = Link{id_of(1), id_of(5), "t", 0.5, {}, {}, Timestamp(std::chrono::microseconds(7))};
  commit.ops.push_back(link);
  link.kind = LogOp::Kind::Unlink;
  link.link = Link{id_of(1), id_of(6), "u"};
  commit.ops.push_back(link);
  commit.deltas.push_back({.space = {2}, .episodes = 0, .concepts = 0, .vectors = 1, .links = -1, .next_row = 4});
  return commit;
}

// The worked example of FORMAT.md.
TEST(LogOps, WritesTheBytesThatTheFormatShows) {
  const Bytes payload = payload_of(batch());
  EXPECT_EQ(to_hex(payload),
            "04"
            "010203012b01061000000000000000000000000000000001080162037465618210030100028610080000803f00000080"
            "02020400000000000000000000000000000004"
            "030200000000000000000000000000000001000000000000000000000000000000050174"
            "11000000000000e03f010700000000000000"
            "0402000000000000000000000000000000010000000000000000000000000000000601"
            "75"
            "01020000020104");
}

TEST(LogOps, ReadsBackABatchAsItWas) {
  const Commit commit = batch();
  const Bytes payload = payload_of(commit);
  const Result<Commit> back = decoded(kBatchRecord, payload);
  ASSERT_TRUE(back.ok()) << back.status().to_string();
  ASSERT_EQ(back->ops.size(), 4U);
  EXPECT_EQ(back->ops[0].record->content(), "tea");
  EXPECT_TRUE(back->ops[0].fresh);
  EXPECT_EQ(back->ops[1].node, id_of(4));
  EXPECT_EQ(back->ops[2].link, commit.ops[2].link);
  EXPECT_EQ(back->deltas[0].links, -1);
  EXPECT_EQ(back->deltas[0].next_row, 4U);
  EXPECT_EQ(payload_of(*back), payload);
}

TEST(LogOps, ReadsBackSpaceChangesMovesAndBulkLoads) {
  Commit change;
  change.kind = kSpaceRecord;
  change.change = SpaceChange{SpaceChange::Kind::Update, {}};
  change.change->info.id = {7};
  change.change->info.name = "ada";
  change.change->info.state = SpaceState::Stopped;
  change.change->info.generations = {{GenerationId{0}, "default", 384, Metric::Cosine}};
  const Result<Commit> changed = decoded(kSpaceRecord, payload_of(change));
  ASSERT_TRUE(changed.ok()) << changed.status().to_string();
  EXPECT_EQ(changed->change->info.state, SpaceState::Stopped);
  EXPECT_EQ(changed->change->info.generations[0].dimension, 384U);

  Commit move;
  move.kind = kMoveRecord;
  move.move = Move{{7}, id_of(3), TierId::Cold};
  const Result<Commit> moved = decoded(kMoveRecord, payload_of(move));
  ASSERT_TRUE(moved.ok()) << moved.status().to_string();
  EXPECT_EQ(moved->move->to, TierId::Cold);

  Commit bulk;
  bulk.kind = kBulkRecord;
  bulk.bulk = BulkLoad{.id = id_of(8),
                       .space = {7},
                       .first_row = {100},
                       .count = 5,
                       .files = {{.family = 2, .name = "x.sst", .bytes = 10, .xxh3 = 77}}};
  const Result<Commit> loaded = decoded(kBulkRecord, payload_of(bulk));
  ASSERT_TRUE(loaded.ok()) << loaded.status().to_string();
  EXPECT_EQ(loaded->bulk->files[0].xxh3, 77U);
  bulk.bulk->files[0].name = "../x";
  EXPECT_EQ(decoded(kBulkRecord, payload_of(bulk)).status().code(), Code::Corruption);
}

// Generation 1 of space 7 is dropped, with two vectors: generation 2 stays.
Commit drop_of_a_generation() {
  Commit commit;
  commit.kind = kSpaceRecord;
  commit.change = SpaceChange{SpaceChange::Kind::DropGeneration, {}, GenerationId{1}};
  commit.change->info.id = {7};
  commit.change->info.name = "ada";
  commit.change->info.created_at = Timestamp(std::chrono::microseconds(1));
  commit.change->info.generations = {{GenerationId{2}, "m", 2, Metric::Cosine}};
  commit.change->info.next_generation = GenerationId{3};
  commit.deltas.push_back({.space = {7}, .vectors = -2});
  return commit;
}

// The worked example of FORMAT.md.
TEST(LogOps, WritesADroppedGenerationAsTheFormatShows) {
  const Bytes payload = payload_of(drop_of_a_generation());
  EXPECT_EQ(to_hex(payload),
            "05071e"
            "020001000000000000000361646101020001020000"
            "00016d0300b089322d"
            "01"
            "0107000003"
            "0000");
  const Result<Commit> back = decoded(kSpaceRecord, payload);
  ASSERT_TRUE(back.ok()) << back.status().to_string();
  EXPECT_EQ(back->change->generation, GenerationId{1});
  EXPECT_EQ(back->change->info.next_generation, GenerationId{3});
  EXPECT_EQ(back->deltas.at(0).vectors, -2);
  for (std::size_t size = 0; size < payload.size(); ++size)
    EXPECT_EQ(decoded(kSpaceRecord, ByteView(payload).first(size)).status().code(), Code::Corruption) << size;
}

TEST(LogOps, RefusesAChangeOfAGenerationThatItsRecordContradicts) {
  Commit commit = drop_of_a_generation();
  commit.change->generation = GenerationId{2};  // dropped, and still there
  EXPECT_EQ(decoded(kSpaceRecord, payload_of(commit)).status().code(), Code::Corruption);
  commit.change->kind = SpaceChange::Kind::AddGeneration;
  EXPECT_TRUE(decoded(kSpaceRecord, payload_of(commit)).ok());
  commit.change->generation = GenerationId{1};  // added, and missing
  EXPECT_EQ(decoded(kSpaceRecord, payload_of(commit)).status().code(), Code::Corruption);
  commit.change->kind = SpaceChange::Kind::DropGeneration;
  commit.change->generation = GenerationId{3};  // never there
  EXPECT_EQ(decoded(kSpaceRecord, payload_of(commit)).status().code(), Code::Corruption);
}

TEST(LogOps, RefusesEveryCutAndAnyUnknownKind) {
  const Bytes payload = payload_of(batch());
  for (std::size_t size = 0; size < payload.size(); ++size)
    EXPECT_EQ(decoded(kBatchRecord, ByteView(payload).first(size)).status().code(), Code::Corruption) << size;
  Bytes longer = payload;
  longer.push_back(std::byte{0});
  EXPECT_EQ(decoded(kBatchRecord, longer).status().code(), Code::Corruption);
  EXPECT_EQ(decoded(99, payload).status().code(), Code::VersionMismatch);
}

// The log's checksum stands before this decoder; it must be safe all the same.
TEST(LogOps, NeverReadsOutOfBoundsWhateverTheBytes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const Bytes payload = payload_of(batch());
  for (int i = 0; i < 20'000; ++i) {
    Bytes damaged = payload;
    for (unsigned flips = 1 + random() % 4; flips > 0; --flips)
      damaged[random() % damaged.size()] ^= static_cast<std::byte>(1U << random() % 8);
    const Result<Commit> commit = decoded(static_cast<storage::RecordKind>(1 + random() % 4), damaged);
    if (commit.ok()) {
      EXPECT_LE(commit->ops.size(), damaged.size());
    }
  }
}

TEST(SpaceRecord, RefusesAnyFlippedBit) {
  SpaceInfo info;
  info.name = "ada";
  info.generations = {{GenerationId{0}, "default", 384, Metric::Cosine}};
  Bytes record, counters;
  encode_space_record(info, record);
  encode_counters({.episodes = 3, .next_row = 4}, counters);
  EXPECT_EQ(decode_counters(counters)->episodes, 3U);
  for (std::size_t bit = 0; bit < record.size() * 8; ++bit) {
    Bytes damaged = record;
    damaged[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    EXPECT_FALSE(decode_space_record({1}, damaged).ok()) << bit;
  }
  for (std::size_t bit = 0; bit < counters.size() * 8; ++bit) {
    Bytes damaged = counters;
    damaged[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    EXPECT_FALSE(decode_counters(damaged).ok()) << bit;
  }
}

TEST(SpaceRecord, ReadsTheFirstVersionAndCountsItsGenerations) {
  Bytes record;
  for (const int byte : {1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 0x61, 0x64, 0x61, 1, 0, 0, 1, 2, 0, 0, 0, 1, 0x6d})
    record.push_back(static_cast<std::byte>(byte));
  const std::uint32_t crc = crc32c(record);
  ByteWriter(record).fixed(crc);
  const Result<SpaceInfo> info = decode_space_record({1}, record);
  ASSERT_TRUE(info.ok()) << info.status().to_string();
  EXPECT_EQ(info->name, "ada");
  EXPECT_EQ(info->generations.at(0).dimension, 2U);
  EXPECT_EQ(info->next_generation, GenerationId{1});
}

TEST(SpaceRecord, RefusesGenerationsOutOfOrderAndANextOneThatIsInUse) {
  SpaceInfo info;
  info.generations = {{GenerationId{2}, "m", 2, Metric::Cosine}, {GenerationId{1}, "n", 2, Metric::Cosine}};
  info.next_generation = GenerationId{3};
  Bytes record;
  encode_space_record(info, record);
  EXPECT_EQ(decode_space_record({1}, record).status().code(), Code::Corruption);
  info.generations.pop_back();
  info.next_generation = GenerationId{2};
  record.clear();
  encode_space_record(info, record);
  EXPECT_EQ(decode_space_record({1}, record).status().code(), Code::Corruption);
}

TEST(LinkKeys, OrderLinksByNodeThenTypeAndReadBack) {
  Link link;
  ASSERT_TRUE(decode_link_key(link_out_key({1}, id_of(1), "type", id_of(2)), link).ok());
  EXPECT_EQ(link.from, id_of(1));
  EXPECT_EQ(link.to, id_of(2));
  EXPECT_EQ(link.type, "type");
  ASSERT_TRUE(decode_link_key(link_back_key({1}, id_of(1), "type", id_of(2)), link).ok());
  EXPECT_EQ(link.from, id_of(1));
  EXPECT_EQ(link.to, id_of(2));
  EXPECT_TRUE(
      link_out_key({1}, id_of(1), "a", id_of(2)).starts_with(link_prefix({1}, LinkDirection::Out, id_of(1), "a")));
  EXPECT_FALSE(
      link_out_key({1}, id_of(1), "ab", id_of(2)).starts_with(link_prefix({1}, LinkDirection::Out, id_of(1), "a")));
  EXPECT_FALSE(decode_link_key("short", link).ok());
}

}  // namespace
}  // namespace mneme
