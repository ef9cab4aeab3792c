#include "mneme/base/time.h"

#include <array>
#include <cstdint>

#include "quote.h"

namespace mneme {

namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::year_month_day;

constexpr Timestamp kFirst = sys_days(std::chrono::year(0) / 1 / 1);
constexpr Timestamp kBehindLast = sys_days(std::chrono::year(10'000) / 1 / 1);

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Reads one time from front to back; every failure names the byte.
class TimeReader {
 public:
  explicit TimeReader(std::string_view text) : text_(text) {}

  Result<Timestamp> read() {
    MNEME_ASSIGN(const sys_days day, date());
    MNEME_TRY(expect_one_of("Tt ", "'T' between date and time"));
    MNEME_ASSIGN(const microseconds clock, time_of_day());
    MNEME_ASSIGN(const minutes east, offset());
    if (at_ != text_.size()) return fail(at_, "the end of the time");
    const Timestamp time = Timestamp(day) + clock - east;
    if (time < kFirst || time >= kBehindLast) return fail(0, "a time of the years 0000 to 9999 in UTC");
    return time;
  }

 private:
  Result<sys_days> date() {
    MNEME_ASSIGN(const int year, number(4, 0, 9999, "a year of four digits"));
    MNEME_TRY(expect_one_of("-", "'-' behind the year"));
    MNEME_ASSIGN(const int month, number(2, 1, 12, "a month 01 to 12"));
    MNEME_TRY(expect_one_of("-", "'-' behind the month"));
    const std::size_t day_at = at_;
    MNEME_ASSIGN(const int day, number(2, 1, 31, "a day 01 to 31"));
    const year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                              std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok()) return fail(day_at, "a day that its month has");
    return sys_days(date);
  }

  Result<microseconds> time_of_day() {
    MNEME_ASSIGN(const int hour, number(2, 0, 23, "an hour 00 to 23"));
    MNEME_TRY(expect_one_of(":", "':' behind the hour"));
    MNEME_ASSIGN(const int minute, number(2, 0, 59, "a minute 00 to 59"));
    MNEME_TRY(expect_one_of(":", "':' behind the minute"));
    MNEME_ASSIGN(const int second, number(2, 0, 59, "a second 00 to 59"));
    MNEME_ASSIGN(const microseconds part, fraction());
    return hours(hour) + minutes(minute) + seconds(second) + part;
  }

  Result<microseconds> fraction() {
    if (at_ == text_.size() || text_[at_] != '.') return microseconds(0);
    ++at_;
    if (at_ == text_.size() || !is_digit(text_[at_])) return fail(at_, "a digit behind the point");
    std::int64_t part = 0;
    for (std::int64_t unit = 100'000; at_ < text_.size() && is_digit(text_[at_]); ++at_, unit /= 10)
      part += unit * (text_[at_] - '0');
    return microseconds(part);
  }

  Result<minutes> offset() {
    if (at_ < text_.size() && (text_[at_] == 'Z' || text_[at_] == 'z')) {
      ++at_;
      return minutes(0);
    }
    const std::size_t sign_at = at_;
    MNEME_TRY(expect_one_of("+-", "'Z' or an offset"));
    MNEME_ASSIGN(const int hour, number(2, 0, 23, "offset hours 00 to 23"));
    MNEME_TRY(expect_one_of(":", "':' in the offset"));
    MNEME_ASSIGN(const int minute, number(2, 0, 59, "offset minutes 00 to 59"));
    const minutes east = hours(hour) + minutes(minute);
    return text_[sign_at] == '-' ? -east : east;
  }

  Result<int> number(std::size_t digits, int least, int most, std::string_view what) {
    const std::size_t start = at_;
    int value = 0;
    for (; at_ < start + digits; ++at_) {
      if (at_ >= text_.size() || !is_digit(text_[at_])) return fail(start, what);
      value = value * 10 + (text_[at_] - '0');
    }
    if (value < least || value > most) return fail(start, what);
    return value;
  }

  Status expect_one_of(std::string_view accepted, std::string_view what) {
    if (at_ >= text_.size() || accepted.find(text_[at_]) == std::string_view::npos) return fail(at_, what);
    ++at_;
    return ok_status();
  }

  Status fail(std::size_t at, std::string_view wanted) const {
    std::string message = "time " + quoted(text_) + ": wanted ";
    message.append(wanted).append(" at byte ").append(std::to_string(at));
    message.append(at < text_.size() ? ", found " + quoted(text_.substr(at, 4)) : ", found its end");
    return Status(Code::InvalidArgument, std::move(message));
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

void append_padded(std::string& out, std::int64_t value, std::size_t digits) {
  const std::string text = std::to_string(value);
  if (text.size() < digits) out.append(digits - text.size(), '0');
  out.append(text);
}

struct Date {
  std::int64_t year;
  unsigned month, day;
};

// std::chrono::year ends at ±32767, Timestamp near ±292,000: the calendar repeats every 400 years.
Date date_of(sys_days day) {
  constexpr std::int64_t kDaysPerCycle = 146'097;
  const std::int64_t count = day.time_since_epoch().count();
  const std::int64_t cycle = count >= 0 ? count / kDaysPerCycle : -((-count + kDaysPerCycle - 1) / kDaysPerCycle);
  const year_month_day date{sys_days(days(count - cycle * kDaysPerCycle))};
  return {static_cast<int>(date.year()) + cycle * 400, static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day())};
}

}  // namespace

Result<Timestamp> parse_rfc3339(std::string_view text) { return TimeReader(text).read(); }

std::string format_rfc3339(Timestamp time) {
  // Not floor<days>: midnight before the earliest Timestamp is no Timestamp.
  constexpr microseconds kDay = days(1);
  const microseconds since_epoch = time.time_since_epoch();
  const bool before_midnight = since_epoch % kDay < microseconds(0);
  const Date date = date_of(sys_days(days(since_epoch / kDay - (before_midnight ? 1 : 0))));
  const std::chrono::hh_mm_ss<microseconds> clock(since_epoch % kDay + (before_midnight ? kDay : microseconds(0)));

  std::string out;
  out.reserve(32);
  if (date.year < 0) out.push_back('-');
  if (date.year > 9999) out.push_back('+');
  append_padded(out, date.year < 0 ? -date.year : date.year, 4);
  out.push_back('-');
  append_padded(out, date.month, 2);
  out.push_back('-');
  append_padded(out, date.day, 2);
  out.push_back('T');
  append_padded(out, clock.hours().count(), 2);
  out.push_back(':');
  append_padded(out, clock.minutes().count(), 2);
  out.push_back(':');
  append_padded(out, clock.seconds().count(), 2);
  if (const std::int64_t part = clock.subseconds().count(); part != 0) {
    out.push_back('.');
    append_padded(out, part, 6);
    out.erase(out.find_last_not_of('0') + 1);
  }
  out.push_back('Z');
  return out;
}

}  // namespace mneme
