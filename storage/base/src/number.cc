#include "number.h"

#include <charconv>
#include <cstdint>
#include <limits>

namespace mneme::detail {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::size_t skip_digits(std::string_view text, std::size_t at) {
  while (at < text.size() && is_digit(text[at])) ++at;
  return at;
}

NumberToken problem(std::string_view what, std::size_t at) { return {0, false, what, at}; }

// std::from_chars says result_out_of_range for numbers too large and too small alike. Which of the two a
// token is shows in the decimal exponent of its first digit that is not zero.
bool is_below_one(std::string_view token) {
  std::size_t at = token[0] == '-' ? 1 : 0;
  std::int64_t exponent = 0;  // of the first digit that is not zero
  bool found = false, behind_point = false;
  for (; at < token.size() && token[at] != 'e' && token[at] != 'E'; ++at) {
    if (token[at] == '.') {
      behind_point = true;
    } else if (!found) {
      if (behind_point) --exponent;
      found = token[at] != '0';
    } else if (!behind_point) {
      ++exponent;
    }
  }
  if (at < token.size()) {
    const bool negative = token[at + 1] == '-';
    const std::size_t digits = at + (negative || token[at + 1] == '+' ? 2 : 1);
    std::int64_t written = 0;
    for (const char c : token.substr(digits))  // beyond any text's length, more digits change nothing
      if (written < std::numeric_limits<std::int64_t>::max() / 100) written = written * 10 + (c - '0');
    exponent += negative ? -written : written;
  }
  return exponent < 0;
}

template <class Real>
Rounding nearest_real(std::string_view token, Real& value) {
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), value);
  if (error == std::errc())
    return value > std::numeric_limits<Real>::max() || value < std::numeric_limits<Real>::lowest() ? Rounding::Overflow
                                                                                                   : Rounding::Ok;
  if (!is_below_one(token)) return Rounding::Overflow;
  value = token[0] == '-' ? -Real{0} : Real{0};
  return Rounding::Ok;
}

}  // namespace

NumberToken scan_number(std::string_view text) {
  std::size_t at = !text.empty() && text[0] == '-' ? 1 : 0;
  if (at == text.size() || !is_digit(text[at])) return problem("a digit", at);
  if (text[at] == '0') {
    ++at;
    if (at < text.size() && is_digit(text[at])) return problem("no digit behind a leading zero", at);
  } else {
    at = skip_digits(text, at);
  }
  bool is_integer = true;
  if (at < text.size() && text[at] == '.') {
    is_integer = false;
    const std::size_t digits = at + 1;
    at = skip_digits(text, digits);
    if (at == digits) return problem("a digit behind the point", at);
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    is_integer = false;
    std::size_t digits = at + 1;
    if (digits < text.size() && (text[digits] == '+' || text[digits] == '-')) ++digits;
    at = skip_digits(text, digits);
    if (at == digits) return problem("a digit in the exponent", at);
  }
  return {at, is_integer, {}, 0};
}

Rounding nearest(std::string_view token, float& value) { return nearest_real(token, value); }
Rounding nearest(std::string_view token, double& value) { return nearest_real(token, value); }

Value number_value(std::string_view token, bool is_integer) {
  const char* const end = token.data() + token.size();
  if (is_integer) {
    if (token == "-0") return Value(-0.0);  // no integer holds the sign
    std::int64_t integer = 0;
    if (std::from_chars(token.data(), end, integer).ec == std::errc()) return Value(integer);
    std::uint64_t large = 0;
    if (token[0] != '-' && std::from_chars(token.data(), end, large).ec == std::errc()) return Value(large);
    return Value(BigNumber{std::string(token)});
  }
  double real = 0;
  if (nearest(token, real) == Rounding::Overflow) return Value(BigNumber{std::string(token)});
  return Value(real);
}

bool is_big_number(std::string_view text) {
  const NumberToken token = scan_number(text);
  if (token.bytes == 0 || token.bytes != text.size()) return false;
  if (token.is_integer) {
    std::int64_t integer = 0;
    std::uint64_t large = 0;
    const char* const end = text.data() + text.size();
    return text != "-0" && std::from_chars(text.data(), end, integer).ec != std::errc() &&
           (text[0] == '-' || std::from_chars(text.data(), end, large).ec != std::errc());
  }
  double real = 0;
  return nearest(text, real) == Rounding::Overflow;
}

}  // namespace mneme::detail
