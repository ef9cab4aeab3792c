// Random values and nodes that reach every field and the corners of every type.
#pragma once

#include <bit>
#include <string>

#include "mneme/base/clock.h"
#include "mneme/base/node.h"

namespace mneme::testing {

/// Any bits: NaNs with payloads, -0, denormals and infinities come up often.
inline double random_double(Random& random) {
  switch (random.below(6)) {
    case 0:
      return -0.0;
    case 1:
      return std::bit_cast<double>(random.next() | 0x7ff0000000000001);  // NaN
    case 2:
      return std::bit_cast<double>(random.next() & 0x800fffffffffffff);  // denormal
    case 3:
      return static_cast<double>(random.below(1000)) / 8;
    default:
      return std::bit_cast<double>(random.next());
  }
}

inline float random_float(Random& random) {
  switch (random.below(5)) {
    case 0:
      return -0.0F;
    case 1:
      return std::bit_cast<float>(static_cast<std::uint32_t>(random.next()) | 0x7f800001U);
    case 2:
      return std::bit_cast<float>(static_cast<std::uint32_t>(random.next()) & 0x807fffffU);
    default:
      return std::bit_cast<float>(static_cast<std::uint32_t>(random.next()));
  }
}

/// 1, 2 or 4 bytes a character, often empty, sometimes with quotes and control characters.
inline std::string random_text(Random& random, std::uint64_t characters_max = 12) {
  static constexpr const char* kCharacters[] = {"a", "Z", "0", " ", "\"", "\\", "\n", "\x01", "\x7f", "é", "中", "😀"};
  std::string text;
  for (std::uint64_t left = random.below(characters_max + 1); left > 0; --left) text += kCharacters[random.below(12)];
  return text;
}

inline std::uint64_t random_integer(Random& random) { return random.next() >> random.below(64); }

inline Value random_value(Random& random, int depth = 4) {
  switch (random.below(depth > 0 ? 11 : 8)) {
    case 0:
      return Value();
    case 1:
      return Value(random.below(2) == 0);
    case 2:
      return Value(static_cast<std::int64_t>(random_integer(random)));
    case 3:
      return Value(-static_cast<std::int64_t>(random_integer(random) >> 1));
    case 4:
      return Value(random_integer(random));
    case 5:
      return Value(random_double(random));
    case 6:
      return Value(BigNumber{(random.below(2) == 0 ? "-" : "") + std::string("1") + random_text(random, 0) +
                             std::string(20 + random.below(5), '7')});
    case 7:
      return Value(random_text(random));
    case 8: {
      Value::Array array;
      for (std::uint64_t left = random.below(5); left > 0; --left) array.push_back(random_value(random, depth - 1));
      return Value(std::move(array));
    }
    default: {
      Value object{Value::Object{}};
      for (std::uint64_t left = random.below(20); left > 0; --left)
        object.set(random_text(random, 6), random_value(random, depth - 1));
      return object;
    }
  }
}

inline std::vector<std::string> random_labels(Random& random) {
  std::vector<std::string> labels(random.below(4));
  for (std::string& label : labels) label = random_text(random);
  return labels;
}

inline NodeId random_id(Random& random) {
  NodeId id;
  random.fill(id.bytes);
  return id;
}

/// Encoded fields of numbers 128..511, ascending, of all wire types.
Bytes random_unknown_fields(Random& random);

/// Every member set or not by a coin each; vectors of 0 to 3 generations with any bits. The node survives
/// encoding, but its numbers need not be valid.
Node random_node(Random& random);

/// One to three damages: a bit flipped, a byte replaced, inserted or removed, the end cut off.
Bytes damaged(Random& random, Bytes bytes);

}  // namespace mneme::testing
