// JSON text to Value and back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mneme/base/result.h"
#include "mneme/base/value.h"

namespace mneme {

/// One JSON value and nothing behind it. Refuses invalid UTF-8, duplicate member names, depth beyond
/// limits::kValueDepthMax and anything RFC 8259 does not allow.
/// Numbers: integers become int64 or uint64 where they fit; others become the nearest double; integers
/// beyond uint64 and numbers that overflow a double become BigNumber. "-0" becomes the double -0.0.
/// @error InvalidArgument  what was found, and at which byte
/// Cost: one pass over `text`, and the tree. Threads: any.
Result<Value> parse_json(std::string_view text);

/// One member of a JSON object: its name without escapes, and its value's text as it stands in the input.
struct JsonMember {
  std::string name;
  std::string_view text;
};

/// The members of one JSON object and nothing behind it, every value checked as parse_json checks it (to
/// depth limits::kValueDepthMax of its own) but not built. For records with large arrays of numbers.
/// @error InvalidArgument  what was found, and at which byte
Result<std::vector<JsonMember>> parse_json_members(std::string_view text);

/// One JSON array of numbers, each rounded once to float32 as parse_json_float does.
/// @error InvalidArgument  what was found, and at which byte
Result<std::vector<float>> parse_json_floats(std::string_view text);

/// Compact JSON. Doubles are the shortest text that reads back to the same bits and always look like
/// a float ("1.0", "1e+300"); non-finite doubles become null. Text is escaped only where JSON demands it.
std::string to_json(const Value& value);
void append_json(const Value& value, std::string& out);
void append_json_string(std::string_view text, std::string& out);
/// Shortest text that reads back to the same float ("0.1", "-0.0", "1e-45"); non-finite becomes null.
void append_json_float(float value, std::string& out);
void append_json_double(double value, std::string& out);

/// Parses one JSON number token to the nearest float32, correctly rounded once; -0 keeps its sign.
/// Numbers below half the smallest denormal become zero.
/// @error InvalidArgument  not a number, or beyond the largest float32
Result<float> parse_json_float(std::string_view token);

/// Whether `text` is valid UTF-8 (no overlong forms, no surrogates).
bool is_valid_utf8(std::string_view text);

}  // namespace mneme
