#include "json_equality.h"

#include <cstring>

#include "mneme/base/json.h"
#include "mneme/base/time.h"

namespace mneme::migration::testing {
namespace {

bool same_number(const Value& a, const Value& b) {
  Bytes left, right;
  encode_value(a, left);
  encode_value(b, right);
  return compare_scalars(ValueView(left), ValueView(right)) == std::strong_ordering::equal;
}

bool same_objects(const Value::Object& a, const Value& b) {
  if (b.get_if<Value::Object>()->size() != a.size()) return false;
  for (const auto& [name, value] : a) {
    const Value* other = b.find(name);
    if (other == nullptr || !same_json(value, *other)) return false;
  }
  return true;
}

bool same_instant(const Value& a, const Value& b) {
  const auto* left = a.get_if<std::string>();
  const auto* right = b.get_if<std::string>();
  if (left == nullptr || right == nullptr) return a.is_null() && b.is_null();
  const auto left_time = parse_rfc3339(*left), right_time = parse_rfc3339(*right);
  return left_time && right_time && *left_time == *right_time;
}

float float_of(const Value& value) {
  const auto* real = value.get_if<double>();
  const auto* integer = value.get_if<std::int64_t>();
  return real != nullptr ? static_cast<float>(*real) : integer != nullptr ? static_cast<float>(*integer) : 0.0F;
}

bool same_floats(const Value& a, const Value& b) {
  const auto* left = a.get_if<Value::Array>();
  const auto* right = b.get_if<Value::Array>();
  if (left == nullptr || right == nullptr) return a.is_null() && b.is_null();
  if (left->size() != right->size()) return false;
  for (std::size_t i = 0; i < left->size(); ++i) {
    const float l = float_of((*left)[i]), r = float_of((*right)[i]);
    if (std::memcmp(&l, &r, sizeof l) != 0) return false;
  }
  return true;
}

}  // namespace

bool same_json(const Value& a, const Value& b) {
  if (a.is_number()) return b.is_number() && (a == b || same_number(a, b));
  if (const auto* members = a.get_if<Value::Object>()) return b.is_object() && same_objects(*members, b);
  if (const auto* elements = a.get_if<Value::Array>()) {
    const auto* others = b.get_if<Value::Array>();
    return others != nullptr &&
           std::equal(elements->begin(), elements->end(), others->begin(), others->end(), same_json);
  }
  return a == b;
}

::testing::AssertionResult same_line(std::string_view imported, std::string_view exported) {
  const auto before = parse_json(imported), after = parse_json(exported);
  const auto differ = [&](const std::string& what) {
    return ::testing::AssertionFailure() << what << "\n  imported " << imported << "\n  exported " << exported;
  };
  if (!before || !after || !before->is_object() || !after->is_object()) return differ("not two objects");
  for (const auto& [name, value] : *after->get_if<Value::Object>())
    if (name != "mneme" && before->find(name) == nullptr) return differ("made up: " + name);
  for (const auto& [name, value] : *before->get_if<Value::Object>()) {
    if (name == "mneme") continue;
    const Value* other = after->find(name);
    if (other == nullptr) return differ("lost: " + name);
    const bool same = name == "embedding"                             ? same_floats(value, *other)
                      : name == "created_at" || name == "last_access" ? same_instant(value, *other)
                                                                      : same_json(value, *other);
    if (!same) return differ("changed: " + name);
  }
  return ::testing::AssertionSuccess();
}

}  // namespace mneme::migration::testing
