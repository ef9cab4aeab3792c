// Import and export of JSONL and .npy, into and out of a legacy store.
#include "mneme/migration/import_export.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "json_equality.h"
#include "legacy_fixture.h"
#include "mneme/base/json.h"
#include "mneme/base/limits.h"
#include "mneme/embedder.h"
#include "mneme/migration/memory_json.h"
#include "npy.h"
#include "random_memory.h"

namespace mneme::migration {
namespace {

using testing::Ids;
using testing::read_text;
using testing::same_line;
using testing::write_text;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

class ImportExport : public testing::LegacyTest {
 protected:
  ImportExport() { open(); }

  std::filesystem::path file() const { return in_work("in.jsonl"); }
  std::filesystem::path out() const { return in_work("out.jsonl"); }
  std::filesystem::path npy() const { return in_work("in.npy"); }

  Result<ImportReport> import(std::string_view text, const ImportOptions& options = {}) {
    write_text(file(), text);
    return import_jsonl(store(), file(), options);
  }
  ImportReport imported(std::string_view text, const ImportOptions& options = {}) {
    const auto report = import(text, options);
    EXPECT_TRUE(report) << report.status().to_string();
    return report ? *report : ImportReport();
  }
  /// What an import says of a file that it refuses, without the file's name.
  std::string refusal(std::string_view text, const ImportOptions& options = {}) {
    const auto report = import(text, options);
    EXPECT_FALSE(report);
    EXPECT_EQ(report.status().code(), Code::InvalidArgument) << report.status().to_string();
    const std::string message = report.status().message();
    EXPECT_TRUE(message.starts_with(file().string() + ":")) << message;
    return message.substr(std::min(message.size(), file().string().size() + 1));
  }
  void expect_refused(std::string_view text, std::string_view because, const ImportOptions& options = {}) {
    const std::string message = refusal(text, options);
    EXPECT_NE(message.find(because), std::string::npos) << message;
  }
  std::vector<std::string> exported() {
    const auto report = export_jsonl(store(), out(), {}, {});
    EXPECT_TRUE(report) << report.status().to_string();
    return lines_of(read_text(out()));
  }
  static ImportOptions with_npy(const std::filesystem::path& path) {
    ImportOptions options;
    options.npy = path;
    return options;
  }
  static ImportOptions with_embedder(std::uint32_t dimension) {
    ImportOptions options;
    options.hash_embedder = true;
    options.hash_dimension = dimension;
    return options;
  }
  void write_npy(std::string_view dict, std::string_view data, int version = 1) const {
    std::string header(dict);
    header += '\n';
    std::string text = "\x93NUMPY";
    text += static_cast<char>(version);
    text += '\0';
    for (std::size_t i = 0; i < (version == 1 ? 2U : 4U); ++i) text += static_cast<char>(header.size() >> (8 * i));
    write_text(npy(), text + header + std::string(data));
  }
  template <class T>
  static std::string raw(std::initializer_list<T> values) {
    return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
  }
  Ids temporary_files() const {
    Ids names;
    for (const auto& entry : std::filesystem::directory_iterator(work_.path()))
      if (entry.path().string().find(".part") != std::string::npos) names.push_back(entry.path().filename());
    return names;
  }
};

TEST_F(ImportExport, GivesBackEveryLineById) {
  const Ids lines = {
      R"({"id":"b","content":"tea","embedding":[1,-0.0],"metadata":{"a":[1,2.5,null]},"x":123456789012345678901})",
      R"({"created_at":"2026-01-31T09:15:00.25+02:00","id":"a","activation":0.7,"access_count":3})",
      R"({"id":"c","embedding":null,"content":"","metadata":null})",
  };
  const ImportReport report = imported(lines[0] + "\n" + lines[1] + "\n" + lines[2] + "\n");
  EXPECT_EQ(report.lines, 3U);
  EXPECT_EQ(report.imported, 3U);
  EXPECT_EQ(report.bytes, std::filesystem::file_size(file()));
  const Ids written = exported();
  ASSERT_EQ(written.size(), 3U);
  EXPECT_TRUE(same_line(lines[1], written[0]));
  EXPECT_TRUE(same_line(lines[0], written[1]));
  EXPECT_TRUE(same_line(lines[2], written[2]));
}

TEST_F(ImportExport, TakesAnyLineEndAndSkipsEmptyLines) {
  const ImportReport report = imported("\r\n{\"id\":\"a\"}\r\n \t\r\n\n{\"id\":\"b\"}\n{\"id\":\"c\"}");
  EXPECT_EQ(report.lines, 6U);
  EXPECT_EQ(report.imported, 3U);
  EXPECT_EQ(ids(), (Ids{"a", "b", "c"}));
  EXPECT_EQ(imported("").imported, 0U);
  EXPECT_EQ(imported("\n\n").imported, 0U);
}

TEST_F(ImportExport, ReplacesWhatARepeatBringsAgain) {
  imported("{\"id\":\"a\",\"content\":\"old\"}\n{\"id\":\"b\"}\n");
  imported("{\"id\":\"a\",\"content\":\"new\"}\n{\"id\":\"b\"}\n");
  EXPECT_EQ(store().stats().memories, 2U);
  EXPECT_EQ(store().get("a")->content, "new");
}

TEST_F(ImportExport, GivesBackManyRandomMemoriesThroughManyBlocks) {
  std::map<std::string, std::string> lines;
  std::string text;
  while (lines.size() < 9000) {
    Memory memory = testing::valid_memory(random(), 24);
    memory.id += std::to_string(lines.size());
    std::string line;
    append_memory_json(memory, {}, line);
    text += line + (one_in(2) ? "\n" : "\r\n") + (one_in(50) ? "\n" : "");
    lines[memory.id] = line;
  }
  ASSERT_GT(text.size(), 3 * kMiB);
  EXPECT_EQ(imported(text).imported, lines.size());
  EXPECT_EQ(store().stats().memories, lines.size());
  const Ids written = exported();
  ASSERT_EQ(written.size(), lines.size());
  auto expected = lines.begin();
  for (const std::string& line : written) {
    ASSERT_EQ(memory_from_json(line).value(), memory_from_json(expected->second).value());
    ASSERT_TRUE(same_line(expected->second, line));
    ++expected;
  }
}

TEST_F(ImportExport, NamesTheLineThatIsWrong) {
  const std::string good = "{\"id\":\"good\"}\n\n";
  expect_refused(good + "{\"id\":\"a\",}\n", "3: ");
  expect_refused(good + "{\"id\":\"a\",\"activation\":2}\n{\"broken\n", "3: member \"activation\"");
  expect_refused("\xef\xbb\xbf{\"id\":\"a\"}\n", "1: JSON: byte 0: found a byte order mark");
  expect_refused(good + "{\"id\":\"\xff\"}\n", "3: JSON");
  expect_refused(good + "{\"id\":\"a\"}" + std::string(1, '\0') + "\n", "3: JSON");
  expect_refused("{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"a\"}\n", "3: the same id as on line 1");
  expect_refused("{\"id\":\"a\",\"embedding\":[1,2]}\n{\"id\":\"b\",\"embedding\":[1]}\n",
                 "2: embedding has 1 values, those before it have 2");
}

TEST_F(ImportExport, NamesTheFirstOfManyWrongLinesWhateverBlockComesFirst) {
  for (int round = 0; round < 5; ++round) {
    std::string text;
    std::size_t first_bad = 0;
    for (std::size_t line = 1; line <= 20'000; ++line) {
      const bool bad = line > 9000 && one_in(400);
      if (bad && first_bad == 0) first_bad = line;
      text += bad ? (one_in(2) ? "{broken\n" : "{\"id\":\"0\",\"content\":\"twice\"}\n")
                  : "{\"id\":\"" + std::to_string(line - 1) + "\",\"content\":\"" + std::string(90, 'x') + "\"}\n";
    }
    const std::string message = refusal(text);
    EXPECT_TRUE(message.starts_with(std::to_string(first_bad) + ": ")) << message << ", first is " << first_bad;
  }
}

TEST_F(ImportExport, FindsAnIdTwiceHoweverFarApart) {
  std::string text;
  for (int i = 0; i < 30'000; ++i) text += "{\"id\":\"" + std::to_string(i) + "\"}\n";
  expect_refused(text + "{\"id\":\"77\"}\n", "30001: the same id as on line 78");
}

TEST_F(ImportExport, RefusesALineBeyondTheLimitInBoundedMemory) {
  std::string text = "{\"id\":\"a\"}\n{\"id\":\"b\",\"content\":\"";
  text.resize(text.size() + limits::kJsonLineBytesMax + 3 * kMiB, 'x');
  expect_refused(text, "2: line of ");
  expect_refused(text + "\"}\n", "2: line of ");
}

TEST_F(ImportExport, RefusesAnotherDimensionThanTheStoreHas) {
  imported("{\"id\":\"a\",\"embedding\":[1,2]}\n");
  expect_refused("{\"id\":\"b\"}\n{\"id\":\"c\",\"embedding\":[1,2,3]}\n", "2: embedding has 3 values");
  EXPECT_EQ(import("{\"id\":\"b\",\"content\":\"x\"}", with_embedder(3)).status().code(), Code::InvalidArgument);
  EXPECT_EQ(ids(), Ids{"a"});
}

TEST_F(ImportExport, MakesAnEmbeddingWhereThereIsNoneAndLeavesItOutAgain) {
  const std::string text =
      "{\"id\":\"a\",\"content\":\"a cup of tea\"}\n{\"id\":\"b\",\"content\":\"x\",\"embedding\":null}\n"
      "{\"id\":\"c\",\"content\":\"y\",\"embedding\":[0,0,0,0,0,0,0,1]}\n{\"id\":\"d\"}\n";
  imported(text, with_embedder(8));
  EXPECT_EQ(store().get("a")->embedding, hash_embedding("a cup of tea", 8));
  EXPECT_EQ(store().get("a")->embedder, kHashEmbedderName);
  EXPECT_TRUE(store().get("b")->embedding);
  EXPECT_EQ(store().get("c")->embedder, std::nullopt);
  EXPECT_FALSE(store().get("d")->embedding);  // nothing to embed
  const Ids before = lines_of(text), written = exported();
  for (std::size_t i = 0; i < 4; ++i) EXPECT_TRUE(same_line(before[i], written[i]));
  // The vector itself travels under "mneme" and is known again.
  const Memory a = store().get("a").value();
  imported(read_text(out()));
  EXPECT_EQ(store().get("a").value(), a);
}

TEST_F(ImportExport, ReadsEmbeddingsFromNpyOfEveryWidth) {
  const std::string lines = "{\"id\":\"a\"}\n\n{\"id\":\"b\",\"embedding\":null}\n";
  struct Case {
    const char* dict;
    std::string data;
  };
  const Case cases[] = {
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", raw<float>({1.5F, -0.0F, 1e-45F, 3.4028235e38F})},
      {"{\"shape\":(2,2),\"fortran_order\":False,\"descr\":\"<f8\"}", raw<double>({1.5, -0.0, 1e-45, 3.4028235e38})},
      {"{'descr': '<f2', 'fortran_order': False, 'shape': (2, 2)}   ",
       raw<std::uint16_t>({0x3e00, 0x8000, 0x0001, 0x7bff})},
  };
  for (int version = 1; version <= 3; ++version)
    for (const Case& example : cases) {
      write_npy(example.dict, example.data, version);
      imported(lines, with_npy(npy()));
      const auto a = store().get("a")->embedding.value(), b = store().get("b")->embedding.value();
      const bool is_half = std::string_view(example.dict).find("f2") != std::string_view::npos;
      EXPECT_EQ(a[0], 1.5F);
      EXPECT_TRUE(a[1] == 0 && std::signbit(a[1]));
      EXPECT_EQ(b[0], is_half ? 0x1p-24F : 1e-45F);
      EXPECT_EQ(b[1], is_half ? 65504.0F : 3.4028235e38F);
      EXPECT_EQ(store().get("b")->null_members, 0U);
    }
}

TEST(Npy, WidensEveryHalfExactly) {
  for (std::uint32_t half = 0; half < 0x10000; ++half) {
    const float value = float_of_half(static_cast<std::uint16_t>(half));
    const int exponent = static_cast<int>((half >> 10) & 0x1f);
    const int fraction = static_cast<int>(half & 0x3ff);
    EXPECT_EQ(std::signbit(value), (half & 0x8000) != 0);
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(value), fraction != 0);
      EXPECT_EQ(std::isinf(value), fraction == 0);
    } else {
      const double expected = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
      EXPECT_EQ(std::abs(static_cast<double>(value)), expected) << half;
    }
  }
}

TEST_F(ImportExport, RefusesAnNpyThatIsNotWhatItSays) {
  const std::string one = raw<float>({1, 2});
  const std::pair<const char*, std::string> cases[] = {
      {"{'descr': '>f4', 'fortran_order': False, 'shape': (1, 2), }", one},
      {"{'descr': '<i4', 'fortran_order': False, 'shape': (1, 2), }", one},
      {"{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2), }", one},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", one},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 2), }", one},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }", one},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", one + "x"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 0), }", ""},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387905, 1), }", raw<float>({1})},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 2), }", one},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2), }", one},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 65537), }", one},
      {"{'descr': '<f4', 'shape': (1, 2), }", one},
      {"{'descr': '<f4', 'fortran_order': 0, 'shape': (1, 2), }", one},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), } x", one},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2", one},
      {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 2), }", one},
      {"", one},
  };
  const auto refused = [&] {
    const auto report = import("{\"id\":\"a\"}\n", with_npy(npy()));
    EXPECT_FALSE(report);
    EXPECT_EQ(report.status().code(), Code::InvalidArgument) << report.status().to_string();
    return report.status().message().find(npy().string()) != std::string::npos;
  };
  for (const auto& [dict, data] : cases) {
    write_npy(dict, data);
    EXPECT_TRUE(refused()) << dict;
  }
  for (const std::string& text :
       {std::string(), std::string("\x93NUMPY"), std::string("PK\x03\x04 a zip of arrays"),
        std::string("\x93NUMPY\x04\0\x10\0\0\0", 12), std::string("\x93NUMPY\x01\0\xff\xff{", 11),
        std::string("\x93NUMPY\x02\0\xff\xff\xff\xff", 12)}) {
    write_text(npy(), text);
    EXPECT_TRUE(refused()) << text.size();
  }
  EXPECT_EQ(store().stats().memories, 0U);
}

TEST_F(ImportExport, RefusesRowsThatDoNotFitTheLines) {
  write_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }", raw<float>({1, 2}));
  expect_refused("{\"id\":\"a\"}\n\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n", "4: no row left for it", with_npy(npy()));
  expect_refused("{\"id\":\"a\"}\n", " 1 memories, but " + npy().string() + " has 2 rows", with_npy(npy()));
  expect_refused("{\"id\":\"a\"}\n{\"id\":\"b\",\"embedding\":[1]}\n", "2: an embedding of its own", with_npy(npy()));
  write_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }", raw<float>({1, std::nanf("")}));
  expect_refused("{\"id\":\"a\"}\n{\"id\":\"b\"}\n", "2: its row", with_npy(npy()));
  write_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), }", raw<double>({1, 1e300}));
  expect_refused("{\"id\":\"a\"}\n{\"id\":\"b\"}\n", "2: its row", with_npy(npy()));
  ImportOptions both = with_npy(npy());
  both.hash_embedder = true;
  EXPECT_EQ(import("", both).status().code(), Code::InvalidArgument);
}

TEST_F(ImportExport, WritesEmbeddingsToNpyAndReadsThemBack) {
  std::vector<Memory> memories;
  for (std::size_t i = 0; i < 3000; ++i) {
    Memory memory = testing::valid_memory(random(), 3);
    memory.id = std::to_string(i);
    if (!memory.embedding) memory.embedding.emplace(3, 0.25F);
    if (!memory.embedder) memory.null_members &= ~static_cast<std::uint32_t>(MemoryMember::Embedding);
    memories.push_back(std::move(memory));
  }
  MNEME_ASSERT_OK(put(memories));
  const auto report = export_jsonl(store(), out(), npy(), {});
  ASSERT_TRUE(report) << report.status().to_string();
  EXPECT_EQ(report->exported, 3000U);
  EXPECT_EQ(read_text(out()).find("\"embedding\":["), std::string::npos);
  EXPECT_EQ(std::filesystem::file_size(npy()), kNpyHeaderBytes + 3000 * 3 * 4);
  close();
  std::filesystem::remove_all(directory());
  open();
  imported(read_text(out()), with_npy(npy()));
  for (const Memory& memory : memories) ASSERT_EQ(store().get(memory.id).value(), memory);
}

TEST_F(ImportExport, LeavesNothingOfAnExportThatFails) {
  imported("{\"id\":\"a\",\"embedding\":[1]}\n{\"id\":\"b\"}\n");
  write_text(out(), "what was there");
  const auto report = export_jsonl(store(), out(), npy(), {});
  EXPECT_EQ(report.status().code(), Code::InvalidArgument);
  EXPECT_NE(report.status().message().find("\"b\""), std::string::npos) << report.status().message();
  EXPECT_EQ(read_text(out()), "what was there");
  EXPECT_FALSE(std::filesystem::exists(npy()));
  EXPECT_EQ(temporary_files(), Ids());
  EXPECT_FALSE(export_jsonl(store(), in_work("no such directory") / "out", {}, {}));
  EXPECT_EQ(export_jsonl(store(), out(), "-", {}).status().code(), Code::InvalidArgument);
}

TEST_F(ImportExport, WritesToStandardOutput) {
  imported("{\"id\":\"a\"}\n{\"id\":\"b\"}\n");
  ::testing::internal::CaptureStdout();
  const auto report = export_jsonl(store(), "-", {}, {});
  const std::string written = ::testing::internal::GetCapturedStdout();
  ASSERT_TRUE(report) << report.status().to_string();
  EXPECT_EQ(written, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n");
}

TEST_F(ImportExport, ExportsAnEmptyStore) {
  EXPECT_EQ(exported(), Ids());
  ASSERT_TRUE(export_jsonl(store(), out(), npy(), {}));
  EXPECT_EQ(std::filesystem::file_size(npy()), kNpyHeaderBytes);
}

TEST_F(ImportExport, TellsProgressAndStopsWhenTold) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "{\"id\":\"" + std::to_string(i) + "\"}\n";
  Progress last;
  ImportOptions options;
  options.progress = [&](const Progress& progress) {
    EXPECT_EQ(progress.phase, "import");
    EXPECT_EQ(progress.bytes_total, text.size());
    EXPECT_GE(progress.done, last.done);
    last = progress;
    return true;
  };
  imported(text, options);
  EXPECT_EQ(last.done, 20'000U);
  EXPECT_EQ(last.bytes_done, text.size());
  EXPECT_GT(last.records_per_second, 0);
  EXPECT_EQ(last.eta_seconds, 0.0);
  options.progress = [](const Progress&) { return false; };
  EXPECT_EQ(import(text, options).status().code(), Code::Cancelled);
  EXPECT_EQ(export_jsonl(store(), out(), {}, options.progress).status().code(), Code::Cancelled);
}

TEST_F(ImportExport, SaysWhichFileIsMissing) {
  const auto report = import_jsonl(store(), in_work("nothing.jsonl"), {});
  EXPECT_EQ(report.status().code(), Code::NotFound);
  EXPECT_NE(report.status().message().find("nothing.jsonl"), std::string::npos);
}

TEST_F(ImportExport, GivesBackWordNetLineByLine) {
  const char* data = std::getenv("MNEME_DATA_DIR");
  const auto source = std::filesystem::path(data != nullptr ? data : "") / "wordnet.jsonl";
  if (!std::filesystem::exists(source)) GTEST_SKIP() << "needs MNEME_DATA_DIR";
  const auto report = import_jsonl(store(), source, with_npy(source.parent_path() / "wordnet-minilm.f16.npy"));
  ASSERT_TRUE(report) << report.status().to_string();
  EXPECT_EQ(report->imported, 117'659U);
  ASSERT_TRUE(export_jsonl(store(), out(), npy(), {}));
  Ids before = lines_of(read_text(source)), after = lines_of(read_text(out()));
  std::sort(before.begin(), before.end());  // each begins with its id
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t i = 0; i < before.size(); ++i) ASSERT_TRUE(same_line(before[i], after[i]));
}

}  // namespace
}  // namespace mneme::migration
