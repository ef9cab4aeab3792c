// What people read: widths, cuts, numbers, bars.
#include "text.h"

#include <gtest/gtest.h>

#include <clocale>
#include <cmath>

#include "input.h"
#include "mneme/base/json.h"
#include "output.h"
#include "progress.h"

namespace mneme::tools {
namespace {

class Text : public ::testing::Test {
 protected:
  Text() { EXPECT_NE(std::setlocale(LC_CTYPE, "C.UTF-8"), nullptr); }
};

TEST_F(Text, ControlCharactersAreShownNotObeyed) {
  EXPECT_EQ(printable("a\nb\tc\x1b[2Jd\x7f"), "a\\nb\\tc\\x1b[2Jd\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\x9b31m");
  EXPECT_EQ(printable("abc\xe2\x80\xae"
                      "fed"),
            "abc\\u202efed");
  EXPECT_EQ(printable("茶 😀"), "茶 😀");
}

TEST_F(Text, BytesThatAreNoUtf8AreReplacedOneByOne) {
  EXPECT_EQ(as_utf8("a\xff"
                    "b"),
            "a\xef\xbf\xbd"
            "b");
  EXPECT_EQ(as_utf8("\xe8\x8c"), "\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(as_utf8("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  for (int a = 0; a < 256; ++a)
    for (int b = 0; b < 256; ++b)
      ASSERT_TRUE(is_valid_utf8(as_utf8(std::string{static_cast<char>(a), static_cast<char>(b)}))) << a << " " << b;
}

TEST_F(Text, WidthsAreThoseOfATerminal) {
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("茶"), 2u);
  EXPECT_EQ(display_width("e\xcc\x81"), 1u);
}

TEST_F(Text, ACutNeverSplitsACharacterAndNeverExceedsItsColumns) {
  EXPECT_EQ(fitted("abc", 3), "abc");
  EXPECT_EQ(fitted("abcd", 3), "ab…");
  EXPECT_EQ(fitted("茶茶茶", 4), "茶…");
  EXPECT_EQ(fitted("abc", 1), "…");
  EXPECT_EQ(fitted("abc", 0), "");
  const std::string mixed = "a茶é😀 word 茶茶";
  for (std::size_t columns = 0; columns < 30; ++columns) {
    EXPECT_LE(display_width(fitted(mixed, columns)), columns);
    EXPECT_TRUE(is_valid_utf8(fitted(mixed, columns)));
  }
}

TEST_F(Text, NumbersAreGroupedAndCarryUnits) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1'000), "1,000");
  EXPECT_EQ(grouped(18'446'744'073'709'551'615ull), "18,446,744,073,709,551,615");
  EXPECT_EQ(human_bytes(1'023), "1023 B");
  EXPECT_EQ(human_bytes(1'536), "1.5 KiB");
  EXPECT_EQ(human_bytes(~std::uint64_t{0}), "16.0 EiB");
  EXPECT_EQ(human_seconds(0.0123), "0.012 s");
  EXPECT_EQ(human_seconds(4.06), "4.1 s");
  EXPECT_EQ(human_seconds(187), "3:07");
  EXPECT_EQ(human_seconds(3'727), "1:02:07");
  EXPECT_EQ(human_seconds(std::nan("")), "-");
  EXPECT_EQ(human_rate(61'233.6), "61,234/s");
  EXPECT_EQ(human_seconds(1e300), "-");
  EXPECT_EQ(human_rate(0), "-");
  EXPECT_EQ(human_rate(1e300), "-");
}

TEST_F(Text, FloatsPrintShortest) {
  EXPECT_EQ(to_json(shortest(0.1F)), "0.1");
  EXPECT_EQ(to_json(shortest(-0.0F)), "-0.0");
  EXPECT_EQ(to_json(shortest(1e-45F)), "1e-45");
  EXPECT_TRUE(shortest(std::nanf("")).is_null());
}

TEST_F(Text, VectorsAreReadAsRoundedOnceFloats) {
  const auto values = parse_vector(" [ 1, -0 , 16777217,\t1e-45 ] ");
  ASSERT_TRUE(values.ok()) << values.status().to_string();
  EXPECT_EQ(*values, (std::vector<float>{1, 0, 16'777'216, 1e-45F}));
  EXPECT_TRUE(std::signbit((*values)[1]));
  for (const char* bad :
       {"", "[", "1,2", "[1 2]", "[,1]", "[1,]", "[]", "[null]", "[\"1\"]", "[0x1]", "[[1]]", "[inf]"})
    EXPECT_EQ(parse_vector(bad).status().code(), Code::InvalidArgument) << bad;
  EXPECT_EQ(parse_vector("@/nonexistent/file").status().code(), Code::NotFound);
}

TEST(Input, ReadsAModelWithItsWeightAndVector) {
  const auto bare = *parse_also(std::string("7"));
  EXPECT_EQ(bare.generation, GenerationId{7});
  EXPECT_FALSE(bare.weight || bare.vector);
  const auto whole = *parse_also(std::string("65535*0.25:@a:b*c"));
  EXPECT_EQ(whole.generation, GenerationId{65535});
  EXPECT_EQ(whole.weight, 0.25F);
  EXPECT_EQ(whole.vector, "@a:b*c");
  for (const char* bad : {"", ":", "x", "-1", "1x", " 1", "65536", "*2", "1*", "1*x:[1]", "1*nan"})
    EXPECT_EQ(parse_also(std::string(bad)).status().code(), Code::InvalidArgument) << bad;
}

migration::Progress half_way() {
  migration::Progress progress;
  progress.phase = "backfill";
  progress.done = 58'829;
  progress.total = 117'659;
  progress.records_per_second = 61'234;
  progress.eta_seconds = 0.96;
  return progress;
}

TEST_F(Text, ABarFitsItsTerminalWhateverItsWidth) {
  for (const bool unicode : {true, false})
    for (std::size_t columns = 0; columns < 200; ++columns)
      EXPECT_LE(display_width(bar_line(half_way(), columns, unicode, false)), columns == 0 ? 0 : columns - 1)
          << columns;
  EXPECT_EQ(bar_line(half_way(), 120, false, false),
            "backfill ##############................  49 %  58,829/117,659  61,234/s  1.0 s left");
}

TEST_F(Text, ABarWithoutATotalShowsTheCount) {
  migration::Progress progress = half_way();
  progress.total = 0;
  progress.eta_seconds.reset();
  EXPECT_EQ(bar_line(progress, 80, true, true), "backfill 58,829  61,234/s");
}

TEST_F(Text, ColourIsOnlyThereWhenAsked) {
  EXPECT_EQ(bar_line(half_way(), 100, true, false).find('\x1b'), std::string::npos);
  EXPECT_NE(bar_line(half_way(), 100, true, true).find('\x1b'), std::string::npos);
}

TEST_F(Text, PlainLinesSayTheSame) {
  EXPECT_EQ(plain_line(half_way()), "backfill: 58,829 of 117,659 (49 %), 61,234/s, 1.0 s left");
}

TEST_F(Text, FactsAreAlignedForPeopleAndAnObjectForJson) {
  Facts facts;
  facts.count("nodes", "nodes", 1'234).text("s", "longer label", "x").add("only", 3);
  EXPECT_EQ(facts.lines(), (std::vector<std::string>{"nodes         1,234", "longer label  x"}));
  EXPECT_EQ(to_json(facts.value()), R"({"nodes":1234,"s":"x","only":3})");
}

}  // namespace
}  // namespace mneme::tools
