// ValueView trusts nothing: every step checks its bounds, and what does not parse reads as Null.
#include <bit>
#include <cmath>
#include <limits>

#include "mneme/base/value.h"
#include "number.h"
#include "varint.h"

namespace mneme {

namespace {

bool read(ByteView bytes, std::size_t& at, std::uint64_t& number) {
  return detail::read_varint(bytes, at, number) == detail::VarintRead::Ok;
}

std::optional<ByteView> read_sized(ByteView bytes, std::size_t& at) {
  std::uint64_t length = 0;
  if (!read(bytes, at, length) || length > bytes.size() - at) return std::nullopt;
  const ByteView content = bytes.subspan(at, length);
  at += length;
  return content;
}

}  // namespace

ValueKind ValueView::kind() const {
  if (bytes_.empty() || static_cast<std::uint8_t>(bytes_[0]) > static_cast<std::uint8_t>(ValueKind::Object))
    return ValueKind::Null;
  return static_cast<ValueKind>(bytes_[0]);
}

std::size_t ValueView::element_count(std::size_t& cursor) const {
  std::uint64_t length = 0, count = 0;
  if (!read(bytes_, cursor, length) || length > bytes_.size() - cursor) return 0;
  return read(bytes_, cursor, count) ? count : 0;
}

ByteView ValueView::take(std::size_t& cursor) const {
  if (cursor >= bytes_.size()) return {};
  const std::size_t start = cursor;
  std::size_t at = cursor + 1;
  std::uint64_t number = 0;
  switch (static_cast<ValueKind>(bytes_[start])) {
    case ValueKind::Null:
    case ValueKind::False:
    case ValueKind::True:
      break;
    case ValueKind::Int:
    case ValueKind::Uint:
      if (!read(bytes_, at, number)) return {};
      break;
    case ValueKind::Double:
      if (bytes_.size() - at < 8) return {};
      at += 8;
      break;
    case ValueKind::Big:
    case ValueKind::Text:
    case ValueKind::Array:
    case ValueKind::Object:
      if (!read_sized(bytes_, at)) return {};
      break;
    default:
      return {};
  }
  cursor = at;
  return bytes_.subspan(start, at - start);
}

std::optional<ValueView> ValueView::find(std::string_view key) const {
  if (kind() != ValueKind::Object) return std::nullopt;
  std::size_t cursor = 1;
  for (std::size_t left = element_count(cursor); left > 0; --left) {
    const auto name = read_sized(bytes_, cursor);
    if (!name) return std::nullopt;
    const ByteView member = take(cursor);
    if (member.empty()) return std::nullopt;
    if (as_text(*name) == key) return ValueView(member);
  }
  return std::nullopt;
}

std::optional<std::int64_t> ValueView::integer() const {
  std::size_t at = 1;
  std::uint64_t number = 0;
  if (kind() != ValueKind::Int || !read(bytes_, at, number)) return std::nullopt;
  return detail::unzigzag(number);
}

std::optional<std::uint64_t> ValueView::unsigned_integer() const {
  std::size_t at = 1;
  std::uint64_t number = 0;
  if (kind() != ValueKind::Uint || !read(bytes_, at, number)) return std::nullopt;
  return number;
}

std::optional<double> ValueView::number() const {
  if (const auto v = integer()) return static_cast<double>(*v);
  if (const auto v = unsigned_integer()) return static_cast<double>(*v);
  if (kind() == ValueKind::Double && bytes_.size() >= 9)
    return std::bit_cast<double>(load_le<std::uint64_t>(bytes_.data() + 1));
  if (const auto token = big()) {
    double value = 0;
    if (detail::scan_number(*token).bytes != token->size()) return std::nullopt;
    if (detail::nearest(*token, value) == detail::Rounding::Ok) return value;
    return (*token)[0] == '-' ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  }
  return std::nullopt;
}

std::optional<std::string_view> ValueView::big() const {
  std::size_t at = 1;
  if (kind() != ValueKind::Big) return std::nullopt;
  const auto content = read_sized(bytes_, at);
  if (!content || content->empty()) return std::nullopt;
  return as_text(*content);
}

std::optional<std::string_view> ValueView::text() const {
  std::size_t at = 1;
  if (kind() != ValueKind::Text) return std::nullopt;
  const auto content = read_sized(bytes_, at);
  if (!content) return std::nullopt;
  return as_text(*content);
}

std::optional<bool> ValueView::boolean() const {
  if (bytes_.empty()) return std::nullopt;
  if (kind() == ValueKind::True) return true;
  if (kind() == ValueKind::False) return false;
  return std::nullopt;
}

}  // namespace mneme
