// Import into a space of a database, and export out of one.
#include <gtest/gtest.h>

#include <sstream>

#include "json_equality.h"
#include "legacy_fixture.h"
#include "mneme/base/json.h"
#include "mneme/embedder.h"
#include "mneme/migration/import_export.h"
#include "mneme/migration/memory_json.h"
#include "mneme/migration/migrator.h"
#include "random_memory.h"

namespace mneme::migration {
namespace {

using testing::read_text;
using testing::same_line;
using testing::write_text;

class SpaceImportExport : public mneme::testing::SeededTest {
 protected:
  static constexpr std::uint32_t kDimension = 4;

  SpaceImportExport() { open(); }

  void open() {
    DatabaseOptions options;
    options.create_if_missing = true;
    auto opened = Database::open(work_ / "db", options);
    EXPECT_TRUE(opened) << opened.status().to_string();
    database_ = std::move(*opened);
    SpaceOptions shape;
    shape.dimension = kDimension;
    auto created = database_->create_space("s", shape);
    if (!created) created = database_->space("s");
    EXPECT_TRUE(created) << created.status().to_string();
    space_ = *created;
  }

  std::filesystem::path file() const { return work_ / "in.jsonl"; }
  std::filesystem::path out() const { return work_ / "out.jsonl"; }

  Result<ImportReport> import(std::string_view text, const ImportOptions& options = {}) {
    write_text(file(), text);
    return import_jsonl(*database_, *space_, file(), options);
  }
  std::vector<std::string> exported() {
    const auto report = export_jsonl(*database_, *space_, out(), {}, {});
    EXPECT_TRUE(report) << report.status().to_string();
    std::vector<std::string> lines;
    std::istringstream stream(read_text(out()));
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  }
  std::uint64_t nodes() { return space_->stats()->nodes; }

  test::TempDirectory work_;
  std::unique_ptr<Database> database_;
  std::optional<Space> space_;
};

TEST_F(SpaceImportExport, GivesBackEveryLineInOrderAcrossAReopen) {
  std::vector<std::string> lines;
  std::string text;
  for (std::size_t i = 0; i < 3000; ++i) {
    Memory memory = testing::valid_memory(random(), kDimension);
    memory.id += std::to_string(i);
    if (!memory.created_at) memory.created_at = Timestamp();  // else the database sets it
    memory.null_members &= ~static_cast<std::uint32_t>(MemoryMember::CreatedAt);
    std::string line;
    append_memory_json(memory, {}, line);
    text += line + "\n";
    lines.push_back(std::move(line));
  }
  const auto report = import(text);
  ASSERT_TRUE(report) << report.status().to_string();
  EXPECT_EQ(report->imported, 3000U);
  database_.reset();
  open();
  EXPECT_EQ(nodes(), 3000U);
  const auto written = exported();
  ASSERT_EQ(written.size(), lines.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    ASSERT_EQ(memory_from_json(written[i]).value(), memory_from_json(lines[i]).value()) << lines[i];
    ASSERT_TRUE(same_line(lines[i], written[i]));
  }
}

// Generation 0 is the line's embedding. Dropped, it is neither written nor taken from another model's vectors.
TEST_F(SpaceImportExport, LeavesOutTheEmbeddingOfAGenerationThatWasDropped) {
  ASSERT_TRUE(import(R"({"id":"a","content":"x","embedding":[1,0,0,0]})"
                     "\n"));
  ASSERT_TRUE(space_->add_generation({.dimension = 7, .metric = Metric::Cosine, .model = "new"}));
  const Status dropped = space_->drop_generation(GenerationId{0});
  ASSERT_TRUE(dropped) << dropped.to_string();
  const auto lines = exported();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines.front().find("embedding"), std::string::npos) << lines.front();
  const auto without = export_jsonl(*database_, *space_, out(), work_ / "out.npy", {});
  EXPECT_EQ(without.status().code(), Code::InvalidArgument);
  EXPECT_NE(without.status().to_string().find("has no embedding"), std::string::npos) << without.status().to_string();

  const auto refused = import(R"({"id":"b","content":"y","embedding":[1,0,0,0]})"
                              "\n");
  EXPECT_FALSE(refused.ok() && refused->imported == 1);
  EXPECT_EQ(nodes(), 1U);
}

TEST_F(SpaceImportExport, GivesBackEveryLineOfAMigratedStoreAndNothingThatWasAbsent) {
  LegacyOptions creating;
  creating.create_if_missing = true;
  auto store = LegacyStore::open(work_ / "legacy", creating);
  ASSERT_TRUE(store) << store.status().to_string();
  std::map<std::string, std::string> lines;
  std::string text;
  for (std::size_t i = 0; i < 3000; ++i) {
    Memory memory = testing::valid_memory(random(), kDimension);
    memory.id += std::to_string(i);
    std::string& line = lines[memory.id];
    append_memory_json(memory, {}, line);
    text += line + "\n";
  }
  write_text(file(), text);
  const auto imported = import_jsonl(**store, file(), {});
  ASSERT_TRUE(imported) << imported.status().to_string();
  const auto migrated = migrate_offline(**store, *database_, *space_, work_ / "db", {});
  ASSERT_TRUE(migrated) << migrated.status().to_string();
  EXPECT_TRUE(migrated->verified);
  const auto written = exported();
  ASSERT_EQ(written.size(), lines.size());
  for (const std::string& line : written) {
    const Memory memory = memory_from_json(line).value();
    ASSERT_TRUE(lines.contains(memory.id));
    ASSERT_EQ(memory, memory_from_json(lines[memory.id]).value());
    ASSERT_TRUE(same_line(lines[memory.id], line));
  }
}

TEST_F(SpaceImportExport, OverwritesOnARepeat) {
  const std::string text = "{\"id\":\"a\",\"content\":\"x\"}\n{\"id\":\"b\"}\n";
  ASSERT_TRUE(import(text));
  ASSERT_TRUE(import(text));
  EXPECT_EQ(nodes(), 2U);
  EXPECT_EQ(space_->get_by_name("a").value()->content(), "x");
}

TEST_F(SpaceImportExport, WritesNullWhereTheSourceHadNullAndTheFoundTimeBesideIt) {
  ASSERT_TRUE(import("{\"id\":\"a\",\"created_at\":null}\n"));
  const auto written = exported();
  ASSERT_EQ(written.size(), 1U);
  const Value line = parse_json(written[0]).value();
  EXPECT_TRUE(line.find("created_at")->is_null());
  EXPECT_TRUE(parse_rfc3339(*line.find("mneme")->find("created_at")->get_if<std::string>()));
}

TEST_F(SpaceImportExport, NamesTheLineThatTheSpaceCannotTake) {
  const auto wrong = import("{\"id\":\"a\"}\n{\"id\":\"b\",\"embedding\":[1,2]}\n");
  EXPECT_EQ(wrong.status().code(), Code::InvalidArgument);
  EXPECT_TRUE(wrong.status().message().starts_with(file().string() + ":2: ")) << wrong.status().message();
  ImportOptions embedder;
  embedder.hash_embedder = true;
  embedder.hash_dimension = kDimension + 1;
  EXPECT_EQ(import("", embedder).status().code(), Code::InvalidArgument);
  EXPECT_EQ(nodes(), 0U);
}

TEST_F(SpaceImportExport, FindsWhatItEmbedded) {
  ImportOptions embedder;
  embedder.hash_embedder = true;
  embedder.hash_dimension = kDimension;
  ASSERT_TRUE(
      import("{\"id\":\"a\",\"content\":\"green tea\"}\n{\"id\":\"b\",\"content\":\"a steam engine\"}\n", embedder));
  Query query;
  query.vector = hash_embedding("green tea", kDimension);
  query.k = 1;
  const auto hits = space_->search(query);
  ASSERT_TRUE(hits) << hits.status().to_string();
  ASSERT_EQ(hits->size(), 1U);
  EXPECT_EQ((*hits)[0].node->external_id(), "a");
}

TEST_F(SpaceImportExport, WritesOtherNodesInTheSameFormWithTheRestUnderMneme) {
  Node node;
  node.kind = NodeKind::Concept;
  node.content = "tea";
  node.tags = {"drink"};
  node.namespace_path = {"user", "ann"};
  node.scope.user = "ann";
  node.coherence = 0.75;
  node.instance_count = 3;
  node.source_fields = Value(Value::Object{{"x", Value(1)}});
  node.vectors = {{GenerationId{0}, {1, 0, 0, 0}}};
  const auto id = space_->put(node);
  ASSERT_TRUE(id) << id.status().to_string();
  const auto written = exported();
  ASSERT_EQ(written.size(), 1U);
  const Value line = parse_json(written[0]).value();
  EXPECT_EQ(*line.find("id"), Value(id->to_string()));
  EXPECT_EQ(*line.find("content"), Value("tea"));
  EXPECT_EQ(*line.find("x"), Value(1));
  EXPECT_EQ(line.find("embedding")->get_if<Value::Array>()->size(), kDimension);
  const Value& own = *line.find("mneme");
  EXPECT_EQ(*own.find("kind"), Value("concept"));
  EXPECT_EQ(*own.find("node"), Value(id->to_string()));
  EXPECT_EQ(*own.find("tags"), Value(Value::Array{Value("drink")}));
  EXPECT_EQ(*own.find("namespace"), Value(Value::Array{Value("user"), Value("ann")}));
  EXPECT_EQ(*own.find("scope")->find("user"), Value("ann"));
  EXPECT_EQ(*own.find("coherence"), Value(0.75));
  EXPECT_EQ(*own.find("instance_count"), Value(3));
  EXPECT_TRUE(memory_from_json(written[0]));  // and can be imported as a memory
}

}  // namespace
}  // namespace mneme::migration
