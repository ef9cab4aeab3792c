// import and export of a space and of a legacy store, and `legacy get` and `legacy stats`.
#include "cli_fixture.h"

namespace mneme::tools {
namespace {

class Transfer : public CliTest {
 protected:
  static constexpr const char* kTwoLines =
      "{\"id\": \"a\", \"content\": \"green tea\", \"embedding\": [1, 2, 3], \"colour\": \"green\"}\n"
      "\n"
      "{\"id\": \"b\", \"content\": \"black tea\"}\n";

  /// A .npy of float32, shape (rows, 3), row i = [i, i + 0.5, -0.0].
  void write_npy(std::string_view name, std::size_t rows) {
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", 3), }";
    header.resize(118 - 1, ' ');
    header += "\n";
    std::string file = std::string("\x93NUMPY\x01\x00", 8);
    file.push_back(static_cast<char>(header.size()));
    file.push_back('\0');
    file += header;
    for (std::size_t i = 0; i < rows; ++i)
      for (const float value : {static_cast<float>(i), static_cast<float>(i) + 0.5F, -0.0F})
        file.append(reinterpret_cast<const char*>(&value), 4);
    write(name, file);
  }
};

TEST_F(Transfer, ImportIntoASpaceAndExportAgain) {
  make_mind();
  write("in.jsonl", kTwoLines);
  const Value report = object("import", "mind", "--space", "notes", "--from", "jsonl", "in.jsonl");
  EXPECT_EQ(member(report, "imported"), "2");
  done("export", "mind", "--space", "notes", "--to", "jsonl", "out.jsonl");
  const auto lines = objects_of(read("out.jsonl"));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(member(lines[0], "id"), "a");
  EXPECT_EQ(member(lines[0], "embedding"), "[1.0,2.0,3.0]");
  EXPECT_EQ(member(lines[0], "colour"), "green");
  EXPECT_EQ(member(lines[1], "embedding"), "absent");
}

TEST_F(Transfer, ARepeatedImportFindsTheSameNodes) {
  make_mind();
  write("in.jsonl", kTwoLines);
  for (int i = 0; i < 2; ++i) done("import", "mind", "--space", "notes", "--from", "jsonl", "in.jsonl");
  EXPECT_EQ(member(object("space", "stats", "mind", "notes"), "nodes"), "2");
}

TEST_F(Transfer, SeveralFilesAreImportedInOrder) {
  make_mind();
  write("1.jsonl", R"({"id": "a", "content": "first"})"
                   "\n");
  write("2.jsonl", R"({"id": "a", "content": "second"})"
                   "\n"
                   R"({"id": "b", "content": "x"})"
                   "\n");
  const Value report = object("import", "mind", "--space", "notes", "--from", "jsonl", "1.jsonl", "2.jsonl");
  EXPECT_EQ(member(report, "imported"), "3");
  EXPECT_EQ(member(object("get", "mind", "--space", "notes", "a"), "content"), "second");
}

TEST_F(Transfer, TheEmbedderMakesVectorsThatSearchFindsAndExportLeavesOut) {
  done("init", "mind", "--dim", "128");
  done("space", "create", "mind", "notes");
  write("in.jsonl", R"({"id": "a", "content": "steeping green tea"})"
                    "\n"
                    R"({"id": "b", "content": "walking the dog"})"
                    "\n");
  done("import", "mind", "--space", "notes", "--from", "jsonl", "in.jsonl", "--embedder", "hash");
  const Value hit =
      object("search", "mind", "--space", "notes", "--text", "the dog walks", "--embedder", "hash", "-k", "1");
  EXPECT_EQ(member(hit, "id"), "b");
  for (const Value& line : objects_of(done("export", "mind", "--space", "notes", "--to", "jsonl", "-", "--quiet")))
    EXPECT_EQ(member(line, "embedding"), "absent");
}

TEST_F(Transfer, EmbeddingsTravelInANpyBesideTheLines) {
  make_mind();
  write("in.jsonl", R"({"id": "a", "content": "x"})"
                    "\n"
                    R"({"id": "b", "content": "y"})"
                    "\n");
  write_npy("in.npy", 2);
  done("import", "mind", "--space", "notes", "--from", "jsonl", "in.jsonl", "--npy", "in.npy");
  EXPECT_EQ(member(object("get", "mind", "--space", "notes", "b", "--vectors"), "vectors"),
            R"([{"generation":0,"dimension":3,"values":[1.0,1.5,-0.0]}])");
  done("export", "mind", "--space", "notes", "--to", "jsonl", "out.jsonl", "--npy", "out.npy");
  done("legacy", "import", "old", "--from", "jsonl", "out.jsonl", "--npy", "out.npy");
  EXPECT_EQ(member(object("legacy", "get", "old", "b"), "embedding"), "[1.0,1.5,-0.0]");
}

TEST_F(Transfer, AnNpyOfAnotherLengthIsRefused) {
  make_mind();
  write("in.jsonl", R"({"id": "a", "content": "x"})"
                    "\n");
  write_npy("in.npy", 2);
  const Ran ran = mneme("import", "mind", "--space", "notes", "--from", "jsonl", "in.jsonl", "--npy", "in.npy");
  EXPECT_EQ(ran.exit_code, 2) << ran.err;
}

TEST_F(Transfer, ABrokenLineIsNamedByFileAndLine) {
  make_mind();
  const std::vector<std::string> broken = {R"({"id": "c", "content": )",
                                           R"({"id": "c", "embedding": [1, 2]})",
                                           R"({"id": "a"})",
                                           R"({"content": "no id"})",
                                           R"({"id": "c", "embedding": [1, 2, NaN]})",
                                           "{\"id\": \"\xff\"}",
                                           R"({"id": "c", "embedding": [1, 2, 1e39]})"};
  for (const std::string& line : broken) {
    write("in.jsonl", kTwoLines + line + "\n");
    for (const std::vector<std::string>& command :
         std::vector<std::vector<std::string>>{{"import", "mind", "--space", "notes"}, {"legacy", "import", "old"}}) {
      std::vector<std::string> arguments = command;
      for (const char* more : {"--from", "jsonl", "in.jsonl", "--json"}) arguments.emplace_back(more);
      const Ran ran = run(arguments);
      EXPECT_EQ(ran.exit_code, 2) << line;
      EXPECT_NE(error_member(ran, "message").find("in.jsonl:4"), std::string::npos) << ran.err;
    }
  }
}

TEST_F(Transfer, ALegacyStoreIsFilledCountedReadAndEmptied) {
  write("in.jsonl", kTwoLines);
  EXPECT_EQ(member(object("legacy", "import", "old", "--from", "jsonl", "in.jsonl"), "imported"), "2");
  const Value stats = object("legacy", "stats", "old");
  EXPECT_EQ(member(stats, "memories"), "2");
  EXPECT_EQ(member(stats, "dimension"), "3");
  EXPECT_EQ(member(object("legacy", "get", "old", "a"), "colour"), "green");
  EXPECT_NE(done("legacy", "get", "old", "a").find("green tea"), std::string::npos);
  EXPECT_EQ(mneme("legacy", "get", "old", "z").exit_code, 3);
  EXPECT_EQ(objects_of(done("legacy", "export", "old", "--to", "jsonl", "-", "--quiet")).size(), 2u);
}

TEST_F(Transfer, TheEmbedderOfALegacyStoreTakesItsDimensionFromTheStoreOrTheOption) {
  write("in.jsonl", R"({"id": "a", "content": "green tea"})"
                    "\n");
  done("legacy", "import", "old", "--from", "jsonl", "in.jsonl", "--embedder", "hash", "--dim", "48");
  EXPECT_EQ(member(object("legacy", "stats", "old"), "dimension"), "48");
  write("more.jsonl", R"({"id": "b", "content": "black tea"})"
                      "\n");
  done("legacy", "import", "old", "--from", "jsonl", "more.jsonl", "--embedder", "hash");
  EXPECT_EQ(member(object("legacy", "stats", "old"), "memories"), "2");
  EXPECT_EQ(mneme("legacy", "import", "old", "--from", "jsonl", "in.jsonl", "--dim", "48").exit_code, 2);
}

TEST_F(Transfer, AnExportAppearsWholeOrNotAtAll) {
  make_mind();
  done("put", "mind", "--space", "notes", "--content", "x");
  const Ran ran = mneme("export", "mind", "--space", "notes", "--to", "jsonl", "missing/out.jsonl");
  EXPECT_NE(ran.exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(path("missing")));
}

TEST_F(Transfer, WithALineToStandardOutputTheSummaryGoesToStandardError) {
  make_mind();
  done("put", "mind", "--space", "notes", "--id", "a", "--content", "x");
  const Ran ran = mneme("export", "mind", "--space", "notes", "--to", "jsonl", "-", "--json");
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_EQ(objects_of(ran.out).size(), 1u);
  ASSERT_FALSE(objects_of(ran.err).empty());
  EXPECT_EQ(member(objects_of(ran.err).back(), "exported"), "1");
}

}  // namespace
}  // namespace mneme::tools
