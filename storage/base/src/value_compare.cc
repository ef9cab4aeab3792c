// Comparing numbers exactly. No step rounds: an int64 near 2^63 has no double of its own, and a filter that
// said 9007199254740993 == 9007199254740992.0 would return the wrong nodes.
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>

#include "mneme/base/value.h"
#include "number.h"

namespace mneme {

namespace {

using Order = std::optional<std::strong_ordering>;

std::strong_ordering reversed(std::strong_ordering order) { return 0 <=> order; }

template <class Integer>
std::strong_ordering compare_integer(Integer integer, double real) {
  // Both bounds are exact doubles; between them truncation to Integer is exact too.
  constexpr double kBehindLast = std::is_signed_v<Integer> ? 0x1p63 : 0x1p64;
  constexpr double kFirst = std::is_signed_v<Integer> ? -0x1p63 : 0.0;
  if (real >= kBehindLast) return std::strong_ordering::less;
  if (real < kFirst) return std::strong_ordering::greater;
  const double whole = std::trunc(real);
  if (const auto order = integer <=> static_cast<Integer>(whole); order != 0) return order;
  return real > whole ? std::strong_ordering::less
                      : (real < whole ? std::strong_ordering::greater : std::strong_ordering::equal);
}

std::strong_ordering compare_real(double a, double b) {
  return a < b ? std::strong_ordering::less : (a > b ? std::strong_ordering::greater : std::strong_ordering::equal);
}

// A decimal number as sign, digits and the exponent of its first digit that is not zero.
class Decimal {
 public:
  // `token` is a whole JSON number and outlives this. Exponents beyond 10^15 are not taken.
  static std::optional<Decimal> of(std::string_view token) {
    Decimal decimal;
    decimal.negative_ = token[0] == '-';
    if (decimal.negative_) token.remove_prefix(1);
    const std::size_t mark = token.find_first_of("eE");
    decimal.digits_ = token.substr(0, mark);
    if (mark != std::string_view::npos) {
      std::string_view text = token.substr(mark + 1);
      if (text[0] == '+') text.remove_prefix(1);
      constexpr std::int64_t kExponentMax = 1'000'000'000'000'000;
      const auto read = std::from_chars(text.data(), text.data() + text.size(), decimal.exponent_);
      if (read.ec != std::errc() || decimal.exponent_ > kExponentMax || decimal.exponent_ < -kExponentMax)
        return std::nullopt;
    }
    decimal.normalise();
    return decimal;
  }

  static std::strong_ordering compare(const Decimal& a, const Decimal& b) {
    if (a.is_zero() || b.is_zero() || a.negative_ != b.negative_) return a.sign() <=> b.sign();
    const auto order = compare_magnitude(a, b);
    return a.negative_ ? reversed(order) : order;
  }

 private:
  bool is_zero() const { return digits_.empty(); }
  int sign() const { return is_zero() ? 0 : (negative_ ? -1 : 1); }

  void normalise() {
    const std::size_t point = std::min(digits_.find('.'), digits_.size());
    const std::size_t first = digits_.find_first_of("123456789");
    if (first == std::string_view::npos) {
      digits_ = {};
      return;
    }
    exponent_ += static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first) - (first < point ? 1 : 0);
    digits_ = digits_.substr(first, digits_.find_last_of("123456789") - first + 1);
  }

  static char next_digit(std::string_view digits, std::size_t& at) {
    if (at < digits.size() && digits[at] == '.') ++at;
    return at < digits.size() ? digits[at++] : '0';
  }

  static std::strong_ordering compare_magnitude(const Decimal& a, const Decimal& b) {
    if (a.exponent_ != b.exponent_) return a.exponent_ <=> b.exponent_;
    std::size_t at_a = 0, at_b = 0;
    while (at_a < a.digits_.size() || at_b < b.digits_.size()) {
      const char digit_a = next_digit(a.digits_, at_a), digit_b = next_digit(b.digits_, at_b);
      if (digit_a != digit_b) return digit_a <=> digit_b;
    }
    return std::strong_ordering::equal;
  }

  bool negative_ = false;
  std::string_view digits_;
  std::int64_t exponent_ = 0;
};

using DecimalText = std::array<char, 800>;  // a double has at most 767 significant digits

std::optional<Decimal> decimal_of(const ValueView& value, DecimalText& buffer) {
  const auto keep = [&](std::to_chars_result written) -> std::optional<Decimal> {
    if (written.ec != std::errc()) return std::nullopt;
    return Decimal::of({buffer.data(), static_cast<std::size_t>(written.ptr - buffer.data())});
  };
  char* const end = buffer.data() + buffer.size();
  if (const auto v = value.integer()) return keep(std::to_chars(buffer.data(), end, *v));
  if (const auto v = value.unsigned_integer()) return keep(std::to_chars(buffer.data(), end, *v));
  if (const auto token = value.big()) {
    if (detail::scan_number(*token).bytes != token->size()) return std::nullopt;
    return Decimal::of(*token);
  }
  const auto real = value.number();
  if (!real || !std::isfinite(*real)) return std::nullopt;
  return keep(std::to_chars(buffer.data(), end, *real, std::chars_format::scientific, 766));
}

Order compare_with_big(const ValueView& a, const ValueView& b) {
  const auto infinity = [](const ValueView& v) { return v.kind() == ValueKind::Double && std::isinf(*v.number()); };
  if (infinity(a)) return *a.number() > 0 ? std::strong_ordering::greater : std::strong_ordering::less;
  if (infinity(b)) return *b.number() > 0 ? std::strong_ordering::less : std::strong_ordering::greater;
  DecimalText buffer_a, buffer_b;
  const auto x = decimal_of(a, buffer_a), y = decimal_of(b, buffer_b);
  if (!x || !y) return std::nullopt;
  return Decimal::compare(*x, *y);
}

Order compare_numbers(const ValueView& a, const ValueView& b) {
  const auto real_of = [](const ValueView& v) {
    return v.kind() == ValueKind::Double ? v.number() : std::optional<double>();
  };
  const auto real_a = real_of(a), real_b = real_of(b);
  if ((real_a && std::isnan(*real_a)) || (real_b && std::isnan(*real_b))) return std::nullopt;
  if (a.kind() == ValueKind::Big || b.kind() == ValueKind::Big) return compare_with_big(a, b);
  if (real_a && real_b) return compare_real(*real_a, *real_b);

  const auto int_a = a.integer(), int_b = b.integer();
  const auto uint_a = a.unsigned_integer(), uint_b = b.unsigned_integer();
  if (int_a && int_b) return *int_a <=> *int_b;
  if (uint_a && uint_b) return *uint_a <=> *uint_b;
  if (int_a && uint_b) return *int_a < 0 ? std::strong_ordering::less : static_cast<std::uint64_t>(*int_a) <=> *uint_b;
  if (uint_a && int_b)
    return *int_b < 0 ? std::strong_ordering::greater : *uint_a <=> static_cast<std::uint64_t>(*int_b);
  if (int_a && real_b) return compare_integer(*int_a, *real_b);
  if (uint_a && real_b) return compare_integer(*uint_a, *real_b);
  if (real_a && int_b) return reversed(compare_integer(*int_b, *real_a));
  if (real_a && uint_b) return reversed(compare_integer(*uint_b, *real_a));
  return std::nullopt;  // bytes that are cut short
}

bool is_number(ValueKind kind) { return kind >= ValueKind::Int && kind <= ValueKind::Big; }

}  // namespace

Order compare_scalars(const ValueView& a, const ValueView& b) {
  if (is_number(a.kind()) && is_number(b.kind())) return compare_numbers(a, b);
  if (const auto x = a.text(), y = b.text(); x && y) {
    const int order = x->compare(*y);
    return order <=> 0;
  }
  if (const auto x = a.boolean(), y = b.boolean(); x && y) return *x <=> *y;
  return std::nullopt;
}

}  // namespace mneme
