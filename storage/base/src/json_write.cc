#include <charconv>
#include <cmath>

#include "mneme/base/json.h"

namespace mneme {

namespace {

template <class Real>
void append_real(Real value, std::string& out) {
  if (!std::isfinite(value)) {
    out.append("null");
    return;
  }
  char buffer[32];  // the longest shortest double, -2.2250738585072014e-308, has 24 characters
  const auto written = std::to_chars(buffer, buffer + sizeof buffer, value);
  const std::string_view text(buffer, static_cast<std::size_t>(written.ptr - buffer));
  out.append(text);
  if (text.find_first_of(".e") == std::string_view::npos) out.append(".0");
}

template <class Integer>
void append_integer(Integer value, std::string& out) {
  char buffer[24];
  const auto written = std::to_chars(buffer, buffer + sizeof buffer, value);
  out.append(buffer, written.ptr);
}

// Short names where JSON has one, \u00XX for the other control characters; nothing else needs an escape.
void append_escaped(char c, std::string& out) {
  constexpr std::string_view kCharacters = "\"\\\b\f\n\r\t", kNames = "\"\\bfnrt", kDigits = "0123456789abcdef";
  out.push_back('\\');
  if (const std::size_t known = kCharacters.find(c); known != std::string_view::npos) {
    out.push_back(kNames[known]);
    return;
  }
  out.append("u00").append({kDigits[static_cast<unsigned char>(c) >> 4], kDigits[static_cast<unsigned char>(c) & 0xf]});
}

template <class Items, class Append>
void append_list(char open, const Items& items, char close, std::string& out, Append&& append) {
  out.push_back(open);
  bool first = true;
  for (const auto& item : items) {
    if (!first) out.push_back(',');
    first = false;
    append(item);
  }
  out.push_back(close);
}

}  // namespace

void append_json_float(float value, std::string& out) { append_real(value, out); }

void append_json_double(double value, std::string& out) { append_real(value, out); }

void append_json_string(std::string_view text, std::string& out) {
  out.push_back('"');
  std::size_t plain = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text.substr(plain, at - plain));
    append_escaped(text[at], out);
    plain = at + 1;
  }
  out.append(text.substr(plain));
  out.push_back('"');
}

void append_json(const Value& value, std::string& out) {
  if (const auto* v = value.get_if<bool>()) {
    out.append(*v ? "true" : "false");
  } else if (const auto* i = value.get_if<std::int64_t>()) {
    append_integer(*i, out);
  } else if (const auto* u = value.get_if<std::uint64_t>()) {
    append_integer(*u, out);
  } else if (const auto* d = value.get_if<double>()) {
    append_json_double(*d, out);
  } else if (const auto* big = value.get_if<BigNumber>()) {
    out.append(big->text);
  } else if (const auto* text = value.get_if<std::string>()) {
    append_json_string(*text, out);
  } else if (const auto* array = value.get_if<Value::Array>()) {
    append_list('[', *array, ']', out, [&](const Value& element) { append_json(element, out); });
  } else if (const auto* object = value.get_if<Value::Object>()) {
    append_list('{', *object, '}', out, [&](const Value::Member& member) {
      append_json_string(member.first, out);
      out.push_back(':');
      append_json(member.second, out);
    });
  } else {
    out.append("null");
  }
}

std::string to_json(const Value& value) {
  std::string out;
  append_json(value, out);
  return out;
}

}  // namespace mneme
