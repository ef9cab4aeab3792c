#include "mneme/base/time.h"

#include "seeded_test.h"

namespace mneme {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;

class Rfc3339 : public testing::SeededTest {
 protected:
  static std::int64_t parsed(std::string_view text) {
    const auto time = parse_rfc3339(text);
    EXPECT_TRUE(time.ok()) << text << ": " << time.status().message();
    return time.ok() ? time->time_since_epoch().count() : 0;
  }
  static std::string format(std::int64_t us) { return format_rfc3339(Timestamp(microseconds(us))); }
};

TEST_F(Rfc3339, ReadsEveryFormTheStandardAllows) {
  constexpr std::int64_t kTime = 1'769'843'700'250'000;  // 2026-01-31T07:15:00.25Z
  for (const std::string_view text :
       {"2026-01-31T09:15:00.25+02:00", "2026-01-31T07:15:00.25Z", "2026-01-31t07:15:00.250000z",
        "2026-01-31 07:15:00.25Z", "2026-01-31T07:15:00.25-00:00", "2026-01-31T07:15:00.25+00:00",
        "2026-01-31T07:15:00.2500009999Z", "2026-01-30T07:16:00.25-23:59", "2026-02-01T07:14:00.25+23:59"})
    EXPECT_EQ(parsed(text), kTime) << text;
}

TEST_F(Rfc3339, ReadsTheEdgesOfTheCalendar) {
  EXPECT_EQ(parsed("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(parsed("1969-12-31T23:59:59.999999Z"), -1);
  EXPECT_EQ(parsed("2000-02-29T00:00:00Z"), 951'782'400'000'000);
  EXPECT_EQ(parsed("2024-02-29T12:00:00Z"), 1'709'208'000'000'000);
  EXPECT_EQ(parsed("0000-01-01T00:00:00Z"), -62'167'219'200'000'000);
  EXPECT_EQ(parsed("0000-02-29T00:00:00Z"), -62'162'121'600'000'000);
  EXPECT_EQ(parsed("9999-12-31T23:59:59.999999Z"), 253'402'300'799'999'999);
}

TEST_F(Rfc3339, RefusesEverythingElse) {
  for (const std::string_view bad : {"",
                                     "2026",
                                     "2026-01-31",
                                     "2026-01-31T07:15Z",
                                     "2026-01-31T07:15:00",
                                     "2026-1-31T07:15:00Z",
                                     "26-01-31T07:15:00Z",
                                     "2026-00-10T07:15:00Z",
                                     "2026-13-10T07:15:00Z",
                                     "2026-01-00T07:15:00Z",
                                     "2026-01-32T07:15:00Z",
                                     "2026-04-31T07:15:00Z",
                                     "2026-02-29T07:15:00Z",
                                     "1900-02-29T07:15:00Z",
                                     "2026-01-31T24:00:00Z",
                                     "2026-01-31T07:60:00Z",
                                     "2026-01-31T23:59:60Z",
                                     "2026-01-31T07:15:00.Z",
                                     "2026-01-31T07:15:00,5Z",
                                     "2026-01-31T07:15:00+24:00",
                                     "2026-01-31T07:15:00+02:60",
                                     "2026-01-31T07:15:00+0200",
                                     "2026-01-31T07:15:00+2:00",
                                     "2026-01-31T07:15:00Z ",
                                     " 2026-01-31T07:15:00Z",
                                     "2026-01-31T07:15:00ZZ",
                                     "2026-01-31_07:15:00Z",
                                     "2026/01/31T07:15:00Z",
                                     "+2026-01-31T07:15:00Z",
                                     "-026-01-31T07:15:00Z",
                                     "2026-01-31T07:15:00UTC",
                                     "2026-01-31T-7:15:00Z",
                                     "2026-01-31T07:15:00.5",
                                     "2026-01-31T07:15:00.5+",
                                     "0000-01-01T00:00:00+00:01",
                                     "9999-12-31T23:59:59-00:01"}) {
    const auto time = parse_rfc3339(bad);
    ASSERT_FALSE(time.ok()) << bad;
    EXPECT_EQ(time.status().code(), Code::InvalidArgument);
  }
}

TEST_F(Rfc3339, SaysWhatWasFoundAndWhere) {
  EXPECT_EQ(parse_rfc3339("2026-02-30T07:15:00Z").status().message(),
            "time \"2026-02-30T07:15:00Z\": wanted a day that its month has at byte 8, found \"30T0\"");
  EXPECT_EQ(parse_rfc3339("2026-01-31").status().message(),
            "time \"2026-01-31\": wanted 'T' between date and time at byte 10, found its end");
}

TEST_F(Rfc3339, WritesTheFractionWithoutTrailingZeros) {
  EXPECT_EQ(format(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(format(1), "1970-01-01T00:00:00.000001Z");
  EXPECT_EQ(format(1'769'843'700'250'000), "2026-01-31T07:15:00.25Z");
  EXPECT_EQ(format(-1), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(format(-62'167'219'200'000'000), "0000-01-01T00:00:00Z");
  EXPECT_EQ(format(253'402'300'799'999'999), "9999-12-31T23:59:59.999999Z");
}

TEST_F(Rfc3339, WritesYearsBeyondFourDigitsWithASign) {
  EXPECT_EQ(format(-62'167'219'200'000'001), "-0001-12-31T23:59:59.999999Z");
  EXPECT_EQ(format(253'402'300'800'000'000), "+10000-01-01T00:00:00Z");
  EXPECT_EQ(format(std::numeric_limits<std::int64_t>::min()), "-290308-12-21T19:59:05.224192Z");
  EXPECT_EQ(format(std::numeric_limits<std::int64_t>::max()), "+294247-01-10T04:00:54.775807Z");
  EXPECT_FALSE(parse_rfc3339(format(253'402'300'800'000'000)).ok());
}

TEST_F(Rfc3339, ReadsBackWhatItWrote) {
  constexpr std::int64_t kFirst = -62'167'219'200'000'000, kCount = 315'569'520'000'000'000;
  for (int i = 0; i < 100'000; ++i) {
    std::int64_t us = kFirst + static_cast<std::int64_t>(below(kCount));
    if (one_in(3)) us -= us % 1'000'000;
    ASSERT_EQ(parsed(format(us)), us);
  }
}

TEST_F(Rfc3339, SurvivesAnyDamageToAGoodText) {
  for (int i = 0; i < 100'000; ++i) {
    std::string text = "2026-01-31T09:15:00.25+02:00";
    for (std::uint64_t left = 1 + below(2); left > 0; --left) text[below(text.size())] = static_cast<char>(below(256));
    text.resize(text.size() - (one_in(4) ? below(text.size()) : 0));
    if (const auto time = parse_rfc3339(text)) {
      EXPECT_EQ(parsed(format_rfc3339(*time)), time->time_since_epoch().count());
    }
  }
}

}  // namespace
}  // namespace mneme
