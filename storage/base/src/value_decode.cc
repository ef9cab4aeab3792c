// Decoding checks the bytes in place first and builds the tree from checked bytes after, so that damaged
// input allocates nothing but the names of the object at hand.
#include <bit>
#include <limits>

#include "mneme/base/json.h"
#include "mneme/base/limits.h"
#include "mneme/base/value.h"
#include "number.h"
#include "quote.h"
#include "unique_keys.h"
#include "varint.h"

namespace mneme {

namespace {

class Checker {
 public:
  explicit Checker(ByteView bytes) : bytes_(bytes) {}

  Status run() {
    if (bytes_.size() > limits::kValueBytesMax)
      return fail(
          0, std::to_string(bytes_.size()) + " bytes, above the limit of " + std::to_string(limits::kValueBytesMax));
    MNEME_TRY(value(bytes_.size(), 0));
    if (at_ != bytes_.size()) return fail(at_, "bytes behind the value");
    return ok_status();
  }

 private:
  Status value(std::size_t end, std::size_t depth) {
    if (at_ == end) return fail(at_, "wanted a value, found the end");
    const std::size_t start = at_;
    const auto kind = static_cast<std::uint8_t>(bytes_[at_++]);
    std::uint64_t number = 0;
    std::string_view text;
    switch (static_cast<ValueKind>(kind)) {
      case ValueKind::Null:
      case ValueKind::False:
      case ValueKind::True:
        return ok_status();
      case ValueKind::Int:
        return varint(end, number);
      case ValueKind::Uint:
        MNEME_TRY(varint(end, number));
        if (number <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
          return fail(start, "an unsigned integer that int64 holds");
        return ok_status();
      case ValueKind::Double:
        if (end - at_ < 8) return fail(start, "a double cut short");
        at_ += 8;
        return ok_status();
      case ValueKind::Big:
        MNEME_TRY(sized(end, text));
        if (!detail::is_big_number(text)) return fail(start, quoted(text) + " is no big number");
        return ok_status();
      case ValueKind::Text:
        return utf8(end, text);
      case ValueKind::Array:
      case ValueKind::Object:
        return container(static_cast<ValueKind>(kind), end, depth);
    }
    return fail(start, "unknown kind " + std::to_string(kind));
  }

  Status container(ValueKind kind, std::size_t end, std::size_t depth) {
    const std::size_t start = at_ - 1;
    if (depth == limits::kValueDepthMax)
      return fail(start, "nested deeper than " + std::to_string(limits::kValueDepthMax));
    std::uint64_t length = 0, count = 0;
    MNEME_TRY(varint(end, length));
    if (length > end - at_) return fail(start, "length " + std::to_string(length) + " runs past the end");
    const std::size_t content_end = at_ + length;
    MNEME_TRY(varint(content_end, count));
    if (count > content_end - at_)
      return fail(start, "count " + std::to_string(count) + " in " + std::to_string(length) + " bytes");
    MNEME_TRY(kind == ValueKind::Array ? elements(count, content_end, depth) : members(count, content_end, depth));
    if (at_ != content_end) return fail(start, "length " + std::to_string(length) + " is not that of its content");
    return ok_status();
  }

  Status elements(std::uint64_t count, std::size_t end, std::size_t depth) {
    for (; count > 0; --count) MNEME_TRY(value(end, depth + 1));
    return ok_status();
  }

  Status members(std::uint64_t count, std::size_t end, std::size_t depth) {
    const std::size_t start = at_;
    std::vector<std::string_view> keys;
    for (; count > 0; --count) {
      std::string_view key;
      MNEME_TRY(utf8(end, key));
      keys.push_back(key);
      MNEME_TRY(value(end, depth + 1));
    }
    if (const auto twice = detail::repeated_key(keys))
      return fail(start, "member " + quoted(*twice) + " appears twice");
    return ok_status();
  }

  Status varint(std::size_t end, std::uint64_t& number) {
    if (detail::read_varint(bytes_.first(end), at_, number) == detail::VarintRead::Ok) return ok_status();
    return fail(at_, "a varint that is cut short, too large or not in its shortest form");
  }

  Status sized(std::size_t end, std::string_view& text) {
    const std::size_t start = at_;
    std::uint64_t length = 0;
    MNEME_TRY(varint(end, length));
    if (length > end - at_) return fail(start, "length " + std::to_string(length) + " runs past the end");
    text = as_text(bytes_.subspan(at_, length));
    at_ += length;
    return ok_status();
  }

  Status utf8(std::size_t end, std::string_view& text) {
    const std::size_t start = at_;
    MNEME_TRY(sized(end, text));
    return is_valid_utf8(text) ? ok_status() : fail(start, "text " + quoted(text) + " is not UTF-8");
  }

  Status fail(std::size_t at, const std::string& found) const {
    return Status(Code::Corruption, "encoded value: byte " + std::to_string(at) + ": " + found);
  }

  ByteView bytes_;
  std::size_t at_ = 0;
};

// Reads bytes that Checker has accepted.
class Builder {
 public:
  explicit Builder(ByteView bytes) : bytes_(bytes) {}

  Value value() {
    const auto kind = static_cast<ValueKind>(bytes_[at_++]);
    switch (kind) {
      case ValueKind::Null:
        return {};
      case ValueKind::False:
        return Value(false);
      case ValueKind::True:
        return Value(true);
      case ValueKind::Int:
        return Value(detail::unzigzag(varint()));
      case ValueKind::Uint:
        return Value(varint());
      case ValueKind::Double: {
        const auto bits = load_le<std::uint64_t>(bytes_.data() + at_);
        at_ += sizeof bits;
        return Value(std::bit_cast<double>(bits));
      }
      case ValueKind::Big:
        return Value(BigNumber{text()});
      case ValueKind::Text:
        return Value(text());
      case ValueKind::Array:
        return array();
      case ValueKind::Object:
        return object();
    }
    return {};
  }

 private:
  Value array() {
    varint();  // the length, for those who skip
    Value::Array elements;
    const std::uint64_t count = varint();
    elements.reserve(count);  // at most one per byte of input
    for (std::uint64_t i = 0; i < count; ++i) elements.push_back(value());
    return Value(std::move(elements));
  }

  Value object() {
    varint();
    Value::Object members;
    const std::uint64_t count = varint();
    members.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      std::string key = text();
      members.emplace_back(std::move(key), value());
    }
    return Value(std::move(members));
  }

  std::uint64_t varint() {
    std::uint64_t number = 0;
    const auto read = detail::read_varint(bytes_, at_, number);
    assert(read == detail::VarintRead::Ok);
    static_cast<void>(read);
    return number;
  }

  std::string text() {
    const std::uint64_t length = varint();
    std::string result(as_text(bytes_.subspan(at_, length)));
    at_ += length;
    return result;
  }

  ByteView bytes_;
  std::size_t at_ = 0;
};

}  // namespace

Status check_value(ByteView encoded) { return Checker(encoded).run(); }

Result<Value> decode_value(ByteView bytes) {
  MNEME_TRY(check_value(bytes));
  return Builder(bytes).value();
}

}  // namespace mneme
