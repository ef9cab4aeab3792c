// Lines for the round trip.
#include "memories.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>

#include "cli_fixture.h"
#include "mneme/base/time.h"

namespace mneme::tools {

namespace {

std::string with_id(std::string_view id, std::string_view rest) {
  std::string line = "{\"id\": ";
  append_json_string(id, line);
  return line + (rest.empty() ? "" : ", ") + std::string(rest) + "}";
}

std::vector<std::uint32_t> bits(const Value& array) {
  std::vector<std::uint32_t> result;
  for (const Value& element : *array.get_if<Value::Array>()) {
    double number = 0;
    if (const auto* real = element.get_if<double>()) number = *real;
    if (const auto* whole = element.get_if<std::int64_t>()) number = static_cast<double>(*whole);
    result.push_back(std::bit_cast<std::uint32_t>(static_cast<float>(number)));
  }
  return result;
}

bool equal_member(const std::string& name, const Value& a, const Value& b) {
  const bool arrays = a.get_if<Value::Array>() != nullptr && b.get_if<Value::Array>() != nullptr;
  if (name == "embedding" && arrays) return bits(a) == bits(b);
  const auto *left = a.get_if<std::string>(), *right = b.get_if<std::string>();
  if ((name == "created_at" || name == "last_access") && left != nullptr && right != nullptr) {
    const auto left_time = parse_rfc3339(*left), right_time = parse_rfc3339(*right);
    return left_time && right_time && *left_time == *right_time;
  }
  // A number may come back in another form of the same value: 1 as 1.0 where the field is a double.
  if (a.is_number() && b.is_number()) {
    const auto real = [](const Value& value) {
      if (const auto* whole = value.get_if<std::int64_t>()) return static_cast<double>(*whole);
      const auto* number = value.get_if<double>();
      return number != nullptr ? *number : 0.0;
    };
    return a == b || (real(a) == real(b) && name != "metadata");
  }
  return a == b;
}

}  // namespace

std::vector<std::string> tricky_lines() {
  std::vector<std::string> lines = {
      with_id("floats", R"("content": "edges", "embedding": [-0.0, 1e-45, 3.4028235e38, -3.4028235e38])"),
      with_id("denormal", R"("content": "small", "embedding": [1.1754942e-38, -1e-45, 1.1754944e-38, 0.1])"),
      with_id("halves", R"("content": "between floats", "embedding": [16777217, 0.30000001192092896, 1e-46, 1])"),
      with_id("empty content", R"("content": "", "embedding": [1, 2, 3, 4])"),
      with_id("null embedding", R"("content": "x", "embedding": null)"),
      with_id("no embedding", R"("content": "x")"),
      with_id("no content", R"("embedding": [1, 2, 3, 4])"),
      with_id("null content", R"("content": null, "metadata": null, "created_at": null)"),
      with_id("nothing", ""),
      with_id("times", R"("content": "t", "created_at": "2024-02-29T23:59:59.123456+05:30",
              "last_access": "1969-12-31T23:59:59.999999Z")"),
      with_id("old", R"("content": "t", "created_at": "0001-01-01T00:00:00Z", "last_access": "9999-12-31T23:59:59Z")"),
      with_id("numbers",
              R"("activation": 0.1, "confidence": 1, "decay_rate": 5e-324, "access_count": 18446744073709551615)"),
      with_id("nested", R"("content": "n", "metadata": {"a": [1, {"b": [[], {}, null, true, -0.0, 1e300]}], "": "e",
              "big": 123456789012345678901234567890, "u": 18446744073709551615, "ü": "\u0000\ud83d\ude00"})"),
      with_id("unknown",
              R"("content": "u", "zeta": 1, "alpha": {"x": [null, 2.50]}, "beta": null, "tags": ["a", "b"])"),
      with_id("scalar metadata", R"("content": "s", "metadata": "just text", "embedding_provenance": {"model": "m"})"),
  };
  for (const std::string_view id : {"a/b", "../../etc/passwd", "[x,y]", "-dash", " space ", "ünïcødé", "茶", "😀",
                                    "tab\there", "line\nbreak", "quote\"back\\slash", "e\xcc\x81", "\xc3\xa9"})
    lines.push_back(with_id(id, R"("content": "odd id", "embedding": [0.5, 0.5, 0.5, 0.5])"));
  lines.push_back(with_id(std::string("nul\0inside", 10), R"("content": "odd id")"));
  lines.push_back(with_id(std::string(5'000, 'L'), R"("content": "long id")"));
  lines.push_back(with_id("megabyte", "\"content\": \"" + std::string(1'000'000, 'm') + "\\u00e9\""));
  for (std::string& line : lines)
    for (char& c : line)
      if (c == '\n') c = ' ';
  return lines;
}

std::string many_lines(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string n = std::to_string(i);
    for (const std::string_view part :
         {std::string_view(R"({"id": "m)"), std::string_view(n), std::string_view(R"(", "content": "memory number )"),
          std::string_view(n), std::string_view(R"(", "metadata": {"n": )"), std::string_view(n),
          std::string_view(R"(}, "embedding": [)"), std::string_view(n),
          std::string_view(", 1, 2, 3, 4, 5, 6, 0.125]}\n")})
      text += part;
  }
  return text;
}

std::map<std::string, Value> by_id(std::string_view text) {
  std::map<std::string, Value> result;
  for (Value& object : objects_of(text)) {
    const std::string id = member(object, "id");
    EXPECT_TRUE(result.emplace(id, std::move(object)).second) << "twice: " << id.substr(0, 100);
  }
  return result;
}

std::string difference(const Value& imported, const Value& exported) {
  for (const auto& [name, value] : *imported.get_if<Value::Object>()) {
    const Value* found = exported.find(name);
    if (found == nullptr) return name + " is gone";
    if (!equal_member(name, value, *found))
      return name + " was " + to_json(value).substr(0, 200) + " and is " + to_json(*found).substr(0, 200);
  }
  for (const auto& [name, value] : *exported.get_if<Value::Object>())
    if (name != "mneme" && imported.find(name) == nullptr) return name + " is new: " + to_json(value).substr(0, 200);
  return {};
}

}  // namespace mneme::tools
