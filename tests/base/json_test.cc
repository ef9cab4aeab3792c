#include "mneme/base/json.h"

#include <simdjson.h>

#include <bit>
#include <cmath>
#include <limits>

#include "mneme/base/limits.h"
#include "random_data.h"
#include "seeded_test.h"

namespace mneme {
namespace {

class Json : public testing::SeededTest {
 protected:
  static Value parsed(std::string_view text) {
    auto value = parse_json(text);
    EXPECT_TRUE(value.ok()) << text << ": " << value.status().message();
    return value.ok() ? *value : Value();
  }
  static std::string refusal(std::string_view text) {
    const auto value = parse_json(text);
    EXPECT_FALSE(value.ok()) << text << " read as " << (value.ok() ? to_json(*value) : "");
    EXPECT_TRUE(value.ok() || value.status().code() == Code::InvalidArgument);
    return value.status().message();
  }
  static std::string repeated(std::string_view text, std::size_t times) {
    std::string out;
    for (; times > 0; --times) out += text;
    return out;
  }
};

TEST_F(Json, ReadsGoodTexts) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"null", "null"},
      {" \t\r\n true \n", "true"},
      {"false", "false"},
      {"\"\"", "\"\""},
      {"[]", "[]"},
      {"{}", "{}"},
      {"[ ]", "[]"},
      {"{ }", "{}"},
      {"[1,2 , 3]", "[1,2,3]"},
      {"{\"a\":1,\"b\":[{}]}", "{\"a\":1,\"b\":[{}]}"},
      {"{\"\":0}", "{\"\":0}"},
      {"{\"b\":1,\"a\":2}", "{\"b\":1,\"a\":2}"},  // the order stays
      {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\""},
      {"\"\\u0041\\u00e9\\u4e2d\\ud83d\\ude00\\u0000\"", "\"Aé中😀\\u0000\""},
      {"\"\\uD834\\uDD1E\"", "\"𝄞\""},
      {"\"\x7f\"", "\"\x7f\""},
      {"[0,-1,9223372036854775807,-9223372036854775808]", "[0,-1,9223372036854775807,-9223372036854775808]"},
      {"[9223372036854775808,18446744073709551615]", "[9223372036854775808,18446744073709551615]"},
      {"[18446744073709551616,-9223372036854775809]", "[18446744073709551616,-9223372036854775809]"},
      {"[1e400,-1E+400]", "[1e400,-1E+400]"},
      {"[1.0,1e2,1E-2,0.1,-0.5,0e0,1e+2]", "[1.0,100.0,0.01,0.1,-0.5,0.0,100.0]"},
      {"[-0,-0.0,-0e5]", "[-0.0,-0.0,-0.0]"},
      {"[1e-400,-1e-400,0e99999999999999999999]", "[0.0,-0.0,0.0]"},
      {"[1.7976931348623157e308,5e-324]", "[1.7976931348623157e+308,5e-324]"},
      {"1e300", "1e+300"},
  };
  for (const auto& [text, canonical] : kCases) EXPECT_EQ(to_json(parsed(text)), canonical) << text;
}

TEST_F(Json, RefusesBadTexts) {
  const std::string_view kCases[] = {
      "", " ", "nul", "nulll", "True", "NaN", "Infinity", "-Infinity", "undefined", "'a'", "a", "\\u0041",
      // numbers
      "01", "-01", "00", "-", "+1", ".5", "1.", "1.e1", "1e", "1e+", "1E-", "0x10", "1_000", "1,000", "--1", "1-",
      "1.2.3", "1e1.5", "-a", "0b1", "1f", "٣",
      // arrays and objects
      "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1,,2]", "[1 2]", "[1:2]", "[1}", "[]]", "[[]", "{", "}", "{\"a\"",
      "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}", "{a:1}", "{1:1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}",
      "{\"a\":1,,\"b\":2}", "{\"a\"::1}", "{'a':1}", "{\"a\":1]", "{null:1}", "{\"a\":1}}", "{\"a\",1}",
      // strings
      "\"", "\"a", "\"\\\"", "\"\\", "\"\\a\"", "\"\\u\"", "\"\\u12\"", "\"\\u123g\"", "\"\\U0041\"", "\"a\nb\"",
      "\"\t\"", "\"\x01\"", "\"\\x41\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\ud800\"", "\"\\ud800a\"",
      "\"\\ud800\\n\"", "\"\\ude00\\ud83d\"", "\"\\ud83d\\u\"", "\"\\ud83d\\u00\"",
      // behind the value
      "1 2", "[] []", "{}x", "null,", "\"a\"\"b\"", "1//", "1/* */", "[1]#", "true false",
      // bytes
      "\xef\xbb\xbf[]", "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe4\xb8\"",
      "\"\x80\"", "[\xc3]", "\xa0", "\v1", "\f1",
      "\xe2\x80\xa8"
      "1",
      // names
      "{\"a\":1,\"a\":1}", "{\"a\":1,\"\\u0061\":2}", "[{\"x\":{\"k\":0,\"l\":0,\"k\":0}}]"};
  for (const std::string_view text : kCases) refusal(text);
  refusal(std::string_view("1\0", 2));
  refusal(std::string_view("\0", 1));
  refusal(std::string_view("\"\0\"", 3));
}

TEST_F(Json, SaysWhatWasFoundAndAtWhichByte) {
  EXPECT_EQ(refusal("[1 2]"), "JSON: byte 3: wanted ',' or ']', found \"2]\"");
  EXPECT_EQ(refusal(""), "JSON: byte 0: wanted a value, found the end of the text");
  EXPECT_EQ(refusal("{\"a\":01}"), "JSON: byte 6: wanted no digit behind a leading zero, found \"1}\"");
  EXPECT_EQ(refusal("[1.x]"), "JSON: byte 3: wanted a digit behind the point, found \"x]\"");
  EXPECT_EQ(refusal("\"ab\\ud800\""), "JSON: byte 3: found a surrogate escape without its pair");
  EXPECT_EQ(refusal("[\"ab\xff\"]"), "JSON: byte 4: found bytes that are not UTF-8");
  EXPECT_EQ(refusal("[{\"a\":1,\"a\":2}]"), "JSON: byte 1: found an object with two members named \"a\"");
  EXPECT_EQ(refusal("\xef\xbb\xbf{}"), "JSON: byte 0: found a byte order mark, which JSON does not allow");
}

TEST_F(Json, NamesTheByteWhereUtf8Breaks) {
  for (int i = 0; i < 2000; ++i) {
    std::string text = "\"" + repeated("aé中😀", below(40));
    const std::size_t at = text.size();
    text += "\xff" + repeated("é", below(40)) + "\"";
    ASSERT_EQ(refusal(text), "JSON: byte " + std::to_string(at) + ": found bytes that are not UTF-8");
  }
}

TEST_F(Json, NeverRepeatsMoreThanFortyBytesOfTheInput) {
  const std::string secret = repeated("secret", 100);
  for (const std::string& text :
       {"\"" + secret, secret, "[" + secret + "]", "{\"" + secret + "\":1,\"" + secret + "\":2}", "1e5" + secret,
        "{\"a\":1" + secret, "[\"\\u12" + secret + "\"]"})
    EXPECT_LT(refusal(text).size(), 130U);
}

TEST_F(Json, NestsToTheLimitAndNoDeeper) {
  const std::size_t deepest = limits::kValueDepthMax;
  parsed(repeated("[", deepest) + repeated("]", deepest));
  parsed(repeated("{\"a\":", deepest) + "1" + repeated("}", deepest));
  EXPECT_NE(refusal(repeated("[", deepest + 1) + repeated("]", deepest + 1)).find("nested deeper than 64"),
            std::string::npos);
  refusal(repeated("[", 1'000'000));
  refusal(repeated("{\"a\":", 1'000'000));
}

TEST_F(Json, ReadsBackEveryValueItWrote) {
  for (int i = 0; i < 20'000; ++i) {
    const Value value = testing::random_value(random());
    const std::string text = to_json(value);
    const auto again = parse_json(text);
    ASSERT_TRUE(again.ok()) << text << again.status().message();
    ASSERT_EQ(to_json(*again), text);
    if (text.find("null") == std::string::npos) {  // NaN and infinity are written as null
      ASSERT_EQ(*again, value) << text;
    }
  }
}

TEST_F(Json, AgreesWithAnotherReaderOnDamagedTexts) {
  simdjson::dom::parser other;
  int accepted = 0;
  for (int i = 0; i < 100'000; ++i) {
    const Bytes bytes = testing::damaged(random(), [&] {
      const std::string text = to_json(testing::random_value(random(), 3));
      return Bytes(as_bytes(text).begin(), as_bytes(text).end());
    }());
    const std::string text(as_text(bytes));
    const auto ours = parse_json(text);
    const auto theirs = other.parse(text).error();
    const std::string reason = ours.status().message();
    // Where we are stricter or more lenient on purpose: names, numbers beyond 64 bits, the byte order mark.
    if (reason.find("two members") != std::string::npos || reason.find("byte order mark") != std::string::npos)
      continue;
    if (theirs == simdjson::NUMBER_ERROR) continue;
    ASSERT_EQ(ours.ok(), theirs == simdjson::SUCCESS) << text << "\nours: " << reason << "\ntheirs: " << theirs;
    accepted += ours.ok();
  }
  EXPECT_GT(accepted, 1000);
}

TEST_F(Json, WritesFloatsThatReadBackToTheSameBits) {
  for (int i = 0; i < 1'000'000; ++i) {
    const float value = std::bit_cast<float>(static_cast<std::uint32_t>(random().next()));
    std::string text;
    append_json_float(value, text);
    if (!std::isfinite(value)) {
      ASSERT_EQ(text, "null");
      continue;
    }
    ASSERT_NE(text.find_first_of(".e"), std::string::npos) << text;
    const auto again = parse_json_float(text);
    ASSERT_TRUE(again.ok()) << text;
    ASSERT_EQ(std::bit_cast<std::uint32_t>(*again), std::bit_cast<std::uint32_t>(value)) << text;
  }
}

TEST_F(Json, WritesDoublesThatReadBackToTheSameBits) {
  for (int i = 0; i < 300'000; ++i) {
    const double value = std::bit_cast<double>(random().next());
    if (!std::isfinite(value)) continue;
    std::string text;
    append_json_double(value, text);
    const Value again = parsed(text);
    ASSERT_NE(again.get_if<double>(), nullptr) << text;
    ASSERT_EQ(std::bit_cast<std::uint64_t>(*again.get_if<double>()), std::bit_cast<std::uint64_t>(value)) << text;
  }
}

TEST_F(Json, WritesNumbersInTheirShortestForm) {
  const auto written = [](float value) {
    std::string text;
    append_json_float(value, text);
    return text;
  };
  EXPECT_EQ(written(0.1F), "0.1");
  EXPECT_EQ(written(1.0F), "1.0");
  EXPECT_EQ(written(-0.0F), "-0.0");
  EXPECT_EQ(written(std::numeric_limits<float>::denorm_min()), "1e-45");
  EXPECT_EQ(written(std::numeric_limits<float>::max()), "3.4028235e+38");
  EXPECT_EQ(written(std::numeric_limits<float>::infinity()), "null");
  EXPECT_EQ(to_json(Value(std::numeric_limits<double>::quiet_NaN())), "null");
}

TEST_F(Json, RoundsFloatsOnce) {
  // Just above the middle of two floats; a detour through double ends exactly on it and rounds down to even.
  EXPECT_EQ(parse_json_float("1.00000005960464477540").value(), std::nextafterf(1.0F, 2.0F));
  EXPECT_EQ(static_cast<float>(1.00000005960464477540), 1.0F);
  EXPECT_EQ(parse_json_float("16777217").value(), 16777216.0F);
  EXPECT_EQ(parse_json_float("16777219").value(), 16777220.0F);
}

TEST_F(Json, TakesSmallFloatsToZeroWithTheirSignAndRefusesLargeOnes) {
  const float least = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(parse_json_float("7.1e-46").value(), least);
  EXPECT_EQ(parse_json_float("7e-46").value(), 0.0F);
  EXPECT_EQ(parse_json_float("1e-45").value(), least);
  for (const std::string_view text : {"-7e-46", "-1e-999999999999999999999", "-0", "-0.0", "-0e9", "-0.000"}) {
    const auto value = parse_json_float(text);
    ASSERT_TRUE(value.ok()) << text;
    EXPECT_EQ(std::bit_cast<std::uint32_t>(*value), 0x80000000U) << text;
  }
  EXPECT_EQ(parse_json_float("0." + repeated("0", 400) + "1e401").value(), 1.0F);
  EXPECT_EQ(parse_json_float("1" + repeated("0", 400) + "e-400").value(), 1.0F);
  EXPECT_EQ(parse_json_float("3.4028235677973367e38").status().code(), Code::InvalidArgument);  // half a step above
  EXPECT_EQ(parse_json_float("3.4028235677973366e38").value(), std::numeric_limits<float>::max());
  for (const std::string_view text :
       {"1e39", "-1e39", "1e999999999999999999999", "340282356779733661637539395458142568448"})
    EXPECT_FALSE(parse_json_float(text).ok()) << text;
  for (const std::string_view text : {"", " 1", "1 ", "+1", "nan", "inf", "0x1", "1.", ".1", "01", "1f", "1e"})
    EXPECT_FALSE(parse_json_float(text).ok()) << text;
}

TEST_F(Json, ShowsTheMembersOfAnObjectWithoutBuildingThem) {
  const auto members = parse_json_members(R"( {"id": "a\n", "\u0065mb":[1.0, 2] ,"o":{"x":[]},"n":null} )").value();
  ASSERT_EQ(members.size(), 4U);
  EXPECT_EQ(members[0].name, "id");
  EXPECT_EQ(members[0].text, R"("a\n")");
  EXPECT_EQ(members[1].name, "emb");
  EXPECT_EQ(members[1].text, "[1.0, 2]");
  EXPECT_EQ(members[2].text, R"({"x":[]})");
  EXPECT_EQ(members[3].text, "null");
  EXPECT_TRUE(parse_json_members("{}").value().empty());
}

TEST_F(Json, ChecksMembersAsStrictlyAsValues) {
  for (int i = 0; i < 50'000; ++i) {
    const std::string text = to_json(testing::random_value(random(), 3));
    const Bytes bad = testing::damaged(random(), Bytes(as_bytes(text).begin(), as_bytes(text).end()));
    const auto value = parse_json(as_text(bad));
    const auto members = parse_json_members(as_text(bad));
    ASSERT_EQ(members.ok(), value.ok() && value->is_object()) << as_text(bad);
    if (!members.ok()) continue;
    Value again{Value::Object{}};
    for (const JsonMember& member : *members) again.set(member.name, parsed(member.text));
    ASSERT_EQ(to_json(again), to_json(*value));
  }
}

TEST_F(Json, ReadsArraysOfFloats) {
  const auto floats = parse_json_floats(" [1, -0 ,0.1,1e-45,\n3.4028235e38] ").value();
  ASSERT_EQ(floats.size(), 5U);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(floats[1]), 0x80000000U);
  EXPECT_EQ(floats[2], 0.1F);
  EXPECT_TRUE(parse_json_floats("[]").value().empty());
  for (const std::string_view bad : {"", "1", "[", "[1", "[1,", "[1,]", "[null]", "[\"1\"]", "[[1]]", "[1e39]", "[1]x",
                                     "[01]", "[NaN]", "{}", "null"})
    EXPECT_FALSE(parse_json_floats(bad).ok()) << bad;
}

TEST_F(Json, KnowsValidUtf8) {
  for (const std::string_view good : {"", "a", "é", "中", "😀", "\x7f", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_valid_utf8(good));
  for (const std::string_view bad : {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                     "\xf8\x88\x80\x80\x80", "\xff", "a\xfe"})
    EXPECT_FALSE(is_valid_utf8(bad));
}

}  // namespace
}  // namespace mneme
