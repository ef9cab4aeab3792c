// A strict reader of RFC 8259 with the errors, limits and number rules of json.h. UTF-8 is checked up front
// for the whole text, vectorised; what follows may then copy bytes without looking at them.
#include "mneme/base/json.h"

#include <simdjson.h>

#include <array>
#include <cstdint>

#include "mneme/base/limits.h"
#include "number.h"
#include "quote.h"
#include "unique_keys.h"

namespace mneme {

namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// Bytes of the UTF-8 character at `at`; 0 when there is none. Table 3-7 of the Unicode standard.
std::size_t character_bytes(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned lead = byte(at);
  if (lead < 0x80) return 1;
  const std::size_t size = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  const unsigned least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const unsigned most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  if (byte(at + 1) < least || byte(at + 1) > most) return 0;
  for (std::size_t i = 2; i < size; ++i)
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
  return size;
}

// Where the first character lies that is not UTF-8; only called when there is one.
std::size_t invalid_utf8_at(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t size = character_bytes(text, at);
    if (size == 0) break;
    at += size;
  }
  return at;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Value> value_alone() {
    Value value;
    if (!begin() || !parse(value, 0) || !end()) return error_;
    return value;
  }

  Result<std::vector<JsonMember>> members_alone() {
    std::vector<JsonMember> members;
    if (!begin() || !parse_members(members) || !end()) return error_;
    return members;
  }

  Result<std::vector<float>> floats_alone() {
    std::vector<float> floats;
    if (!begin() || !parse_floats(floats) || !end()) return error_;
    return floats;
  }

 private:
  bool begin() {
    if (text_.substr(0, 3) == "\xef\xbb\xbf") return fail(0, "a byte order mark, which JSON does not allow");
    if (!is_valid_utf8(text_)) return fail(invalid_utf8_at(text_), "bytes that are not UTF-8");
    skip_space();
    return true;
  }

  bool end() {
    skip_space();
    return at_ == text_.size() || expected("the end of the text");
  }

  bool parse(Value& out, std::size_t depth) {
    if (at_ == text_.size()) return expected("a value");
    switch (text_[at_]) {
      case '{':
        return parse_object(out, depth);
      case '[':
        return parse_array(out, depth);
      case '"': {
        std::string text;
        if (!parse_string(text)) return false;
        out = Value(std::move(text));
        return true;
      }
      case 't':
        return parse_word("true", Value(true), out);
      case 'f':
        return parse_word("false", Value(false), out);
      case 'n':
        return parse_word("null", Value(), out);
      default:
        return parse_number(out);
    }
  }

  bool parse_object(Value& out, std::size_t depth) {
    const std::size_t start = at_;
    if (!enter(depth)) return false;
    Value::Object members;
    if (!close('}')) {
      do {
        auto& [key, member] = members.emplace_back();
        if (!parse_key(key) || !parse(member, depth + 1)) return false;
      } while (comma());
      if (!expect_close('}', "',' or '}'")) return false;
    }
    std::vector<std::string_view> keys;
    keys.reserve(members.size());
    for (const auto& [key, member] : members) keys.push_back(key);
    if (const auto twice = detail::repeated_key(keys)) return fail_repeated(*twice, start);
    out = Value(std::move(members));
    return true;
  }

  bool parse_array(Value& out, std::size_t depth) {
    if (!enter(depth)) return false;
    Value::Array elements;
    if (!close(']')) {
      do {
        skip_space();
        if (!parse(elements.emplace_back(), depth + 1)) return false;
      } while (comma());
      if (!expect_close(']', "',' or ']'")) return false;
    }
    out = Value(std::move(elements));
    return true;
  }

  bool parse_members(std::vector<JsonMember>& members) {
    const std::size_t start = at_;
    if (at_ == text_.size() || text_[at_] != '{') return expected("an object");
    ++at_;
    if (close('}')) return true;
    do {
      JsonMember& member = members.emplace_back();
      if (!parse_key(member.name)) return false;
      const std::size_t value_at = at_;
      if (!skip(0)) return false;
      member.text = text_.substr(value_at, at_ - value_at);
    } while (comma());
    if (!expect_close('}', "',' or '}'")) return false;
    std::vector<std::string_view> keys;
    for (const JsonMember& member : members) keys.push_back(member.name);
    const auto twice = detail::repeated_key(keys);
    return !twice || fail_repeated(*twice, start);
  }

  // Passes over one value, checked in full. Only objects cost memory, for their keys; nothing else is built.
  bool skip(std::size_t depth) {
    if (at_ < text_.size() && text_[at_] == '[') {
      if (!enter(depth)) return false;
      if (close(']')) return true;
      do {
        skip_space();
        if (!skip(depth + 1)) return false;
      } while (comma());
      return expect_close(']', "',' or ']'");
    }
    if (at_ < text_.size() && (text_[at_] == '-' || (text_[at_] >= '0' && text_[at_] <= '9'))) {
      std::string_view token;
      bool is_integer = false;
      return take_number(token, is_integer);
    }
    if (at_ < text_.size() && text_[at_] == '"') return skip_string();
    Value unused;  // an object, or a word
    return parse(unused, depth);
  }

  bool parse_floats(std::vector<float>& floats) {
    if (at_ == text_.size() || text_[at_] != '[') return expected("an array of numbers");
    ++at_;
    if (close(']')) return true;
    do {
      skip_space();
      const std::size_t start = at_;
      std::string_view token;
      bool is_integer = false;
      if (!take_number(token, is_integer)) return false;
      if (detail::nearest(token, floats.emplace_back()) == detail::Rounding::Overflow)
        return fail(start, "number " + quoted(token) + ", beyond the largest float32");
    } while (comma());
    return expect_close(']', "',' or ']'");
  }

  bool parse_number(Value& out) {
    std::string_view token;
    bool is_integer = false;
    if (!take_number(token, is_integer)) return false;
    out = detail::number_value(token, is_integer);
    return true;
  }

  bool take_number(std::string_view& token, bool& is_integer) {
    const std::string_view rest = text_.substr(at_);
    const char first = rest.empty() ? '\0' : rest[0];
    if (first != '-' && (first < '0' || first > '9')) return expected("a value");
    const detail::NumberToken number = detail::scan_number(rest);
    if (number.bytes == 0) {
      at_ += number.problem_at;
      return expected(number.problem);
    }
    token = rest.substr(0, number.bytes);
    is_integer = number.is_integer;
    at_ += number.bytes;
    return true;
  }

  bool parse_word(std::string_view word, Value value, Value& out) {
    if (text_.substr(at_, word.size()) != word) return expected("a value");
    at_ += word.size();
    out = std::move(value);
    return true;
  }

  // A member's name and the colon; leaves the position at the member's value.
  bool parse_key(std::string& key) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != '"') return expected("a member name in quotes");
    if (!parse_string(key)) return false;
    skip_space();
    if (at_ == text_.size() || text_[at_] != ':') return expected("':'");
    ++at_;
    skip_space();
    return true;
  }

  // Moves to the next quote, backslash or control character, eight bytes at a time.
  std::size_t plain_end(std::size_t at) const {
    constexpr std::uint64_t kOnes = 0x0101010101010101, kHighs = 0x8080808080808080;
    for (; text_.size() - at >= 8; at += 8) {
      std::uint64_t word;
      std::memcpy(&word, text_.data() + at, sizeof word);
      const std::uint64_t quote = word ^ (kOnes * '"'), slash = word ^ (kOnes * '\\');
      const std::uint64_t below_space = (word - kOnes * 0x20) & ~word;
      if (((((quote - kOnes) & ~quote) | ((slash - kOnes) & ~slash) | below_space) & kHighs) != 0) break;
    }
    for (; at < text_.size(); ++at) {
      const auto c = static_cast<unsigned char>(text_[at]);
      if (c == '"' || c == '\\' || c < 0x20) break;
    }
    return at;
  }

  bool parse_string(std::string& out) { return read_string(&out); }
  bool skip_string() { return read_string(nullptr); }

  bool read_string(std::string* out) {
    const std::size_t quote_at = at_++;
    for (;;) {
      const std::size_t end = plain_end(at_);
      if (out != nullptr) out->append(text_.data() + at_, end - at_);
      at_ = end;
      if (at_ == text_.size()) return fail(quote_at, "a string without its closing quote");
      if (text_[at_] == '"') {
        ++at_;
        return true;
      }
      if (text_[at_] != '\\') return fail(at_, "a control character inside a string");
      if (!read_escape(out)) return false;
    }
  }

  bool read_escape(std::string* out) {
    const std::size_t start = at_++;
    if (at_ == text_.size()) return fail(start, "an escape without its character");
    constexpr std::string_view kNames = "\"\\/bfnrt", kCharacters = "\"\\/\b\f\n\r\t";
    const char name = text_[at_++];
    if (const std::size_t known = kNames.find(name); known != std::string_view::npos) {
      if (out != nullptr) out->push_back(kCharacters[known]);
      return true;
    }
    std::uint32_t code = 0;
    if (name != 'u' || !hex4(code)) return fail(start, "escape " + quoted(text_.substr(start, 6)));
    if (code >= 0xd800 && code <= 0xdfff) {
      std::uint32_t low = 0;
      if (code >= 0xdc00 || text_.substr(at_, 2) != "\\u") return fail(start, "a surrogate escape without its pair");
      at_ += 2;
      if (!hex4(low) || low < 0xdc00 || low > 0xdfff) return fail(start, "a surrogate escape without its pair");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (out != nullptr) append_utf8(code, *out);
    return true;
  }

  bool hex4(std::uint32_t& code) {
    if (text_.size() - at_ < 4) return false;
    for (std::size_t i = 0; i < 4; ++i) {
      const char c = text_[at_ + i];
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return false;
      code = (code << 4) | static_cast<std::uint32_t>(digit);
    }
    at_ += 4;
    return true;
  }

  static void append_utf8(std::uint32_t code, std::string& out) {
    const auto push = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (code < 0x80) return push(code);
    if (code < 0x800) {
      push(0xc0 | (code >> 6));
    } else {
      if (code < 0x10000) {
        push(0xe0 | (code >> 12));
      } else {
        push(0xf0 | (code >> 18));
        push(0x80 | ((code >> 12) & 0x3f));
      }
      push(0x80 | ((code >> 6) & 0x3f));
    }
    push(0x80 | (code & 0x3f));
  }

  void skip_space() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }

  // Steps into the array or object at the position.
  bool enter(std::size_t depth) {
    if (depth == limits::kValueDepthMax)
      return fail(at_, "arrays and objects nested deeper than " + std::to_string(limits::kValueDepthMax));
    ++at_;
    return true;
  }

  bool comma() {
    skip_space();
    if (at_ == text_.size() || text_[at_] != ',') return false;
    ++at_;
    return true;
  }

  bool close(char bracket) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != bracket) return false;
    ++at_;
    return true;
  }

  bool expect_close(char bracket, std::string_view wanted) { return close(bracket) || expected(wanted); }

  bool expected(std::string_view wanted) {
    const std::string found = at_ < text_.size() ? quoted(text_.substr(at_, 8)) : "the end of the text";
    return fail(at_, "wanted " + std::string(wanted) + ", found " + found, "");
  }

  bool fail_repeated(std::string_view name, std::size_t object_at) {
    return fail(object_at, "an object with two members named " + quoted(name));
  }

  bool fail(std::size_t at, const std::string& what, std::string_view verb = "found ") {
    error_ = Status(Code::InvalidArgument, "JSON: byte " + std::to_string(at) + ": " + std::string(verb) + what);
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Status error_;
};

}  // namespace

Result<Value> parse_json(std::string_view text) { return Parser(text).value_alone(); }

Result<std::vector<JsonMember>> parse_json_members(std::string_view text) { return Parser(text).members_alone(); }

Result<std::vector<float>> parse_json_floats(std::string_view text) { return Parser(text).floats_alone(); }

Result<float> parse_json_float(std::string_view token) {
  const detail::NumberToken number = detail::scan_number(token);
  if (number.bytes == 0 || number.bytes != token.size())
    return Status(Code::InvalidArgument, "JSON: " + quoted(token) + " is not a number");
  float value = 0;
  if (detail::nearest(token, value) == detail::Rounding::Overflow)
    return Status(Code::InvalidArgument, "JSON: number " + quoted(token) + " is beyond the largest float32");
  return value;
}

bool is_valid_utf8(std::string_view text) { return text.empty() || simdjson::validate_utf8(text.data(), text.size()); }

}  // namespace mneme
