#include "random_memory.h"

#include <bit>
#include <cmath>

#include "mneme/base/bytes.h"

namespace mneme::migration::testing {
namespace {

bool one_in(Random& random, std::uint64_t n) { return random.below(n) == 0; }

double any_double(Random& random) {
  switch (random.below(4)) {
    case 0:
      return std::bit_cast<double>(random.next());  // NaNs with payloads, infinities, denormals
    case 1:
      return 7.0;
    case 2:
      return -0.0;
    default:
      return static_cast<double>(random.below(1000)) / 999;
  }
}

float any_float(Random& random) { return std::bit_cast<float>(static_cast<std::uint32_t>(random.next())); }

float finite_float(Random& random) {
  constexpr float kEdges[] = {0.0F, -0.0F, 1e-45F, -1e-45F, 1.17549435e-38F, 3.4028235e38F, -3.4028235e38F};
  if (one_in(random, 4)) return kEdges[random.below(std::size(kEdges))];
  const float value = any_float(random);
  return std::isfinite(value) ? value : 0.5F;
}

Timestamp any_time(Random& random) {
  return Timestamp(std::chrono::microseconds(static_cast<std::int64_t>(random.next())));
}

/// In the years that RFC 3339 can say.
Timestamp valid_time(Random& random) {
  constexpr std::int64_t kFirst = -62'167'219'200'000'000, kEnd = 253'402'300'800'000'000;
  const auto offset = random.below(static_cast<std::uint64_t>(kEnd - kFirst));
  return Timestamp(std::chrono::microseconds(kFirst + static_cast<std::int64_t>(offset)));
}

std::vector<float> floats(Random& random, std::size_t count, float (*next)(Random&)) {
  std::vector<float> values(count);
  for (float& value : values) value = next(random);
  return values;
}

Value any_object(Random& random, std::size_t depth) {
  Value::Object members;
  const std::size_t count = random.below(4);
  for (std::size_t i = 0; i < count; ++i)
    members.emplace_back("x" + std::to_string(i) + any_text(random, 6), any_value(random, depth));
  return Value(std::move(members));
}

Bytes any_unknown(Random& random) {
  Bytes unknown;
  ByteWriter writer(unknown);
  std::uint64_t number = 128;
  for (std::size_t left = 1 + random.below(3); left > 0; --left) {
    number += random.below(100);
    const std::uint64_t wire = random.below(3);
    writer.varint(number << 2 | wire);
    if (wire == 0) writer.varint(random.next());
    if (wire == 1) writer.fixed(random.next());
    if (wire == 2) writer.sized(any_text(random, 10));
    ++number;
  }
  return unknown;
}

template <class T, class Make>
void maybe(Random& random, std::optional<T>& field, Make make) {
  if (one_in(random, 2)) field = make();
}

}  // namespace

std::string any_text(Random& random, std::size_t characters_max) {
  static constexpr std::string_view kCharacters[] = {"a",
                                                     "Z",
                                                     "0",
                                                     " ",
                                                     "\"",
                                                     "\\",
                                                     "/",
                                                     "\n",
                                                     "\r",
                                                     "\t",
                                                     "\x01",
                                                     "\x1f",
                                                     "\x7f",
                                                     std::string_view("\0", 1),
                                                     "\xc3\xa9",
                                                     "\xdf\xbf",
                                                     "\xe2\x82\xac",
                                                     "\xef\xbf\xbf",
                                                     "\xe2\x80\xa8",
                                                     "\xf0\x9f\x98\x80",
                                                     "\xf4\x8f\xbf\xbf"};
  std::string text;
  for (std::size_t left = random.below(characters_max + 1); left > 0; --left)
    text += kCharacters[random.below(std::size(kCharacters))];
  return text;
}

Value any_value(Random& random, std::size_t depth) {
  switch (random.below(depth == 0 ? 7 : 9)) {
    case 0:
      return {};
    case 1:
      return Value(one_in(random, 2));
    case 2:
      return Value(static_cast<std::int64_t>(random.next()));
    case 3:
      return Value(random.next() | 0x8000000000000000);
    case 4: {
      const double real = std::bit_cast<double>(random.next());
      return Value(std::isfinite(real) ? real : 0.1);
    }
    case 5:
      return Value(BigNumber{"123456789012345678901234567890"});
    case 6:
      return Value(any_text(random, 12));
    case 7: {
      Value::Array elements;
      for (std::size_t left = random.below(4); left > 0; --left) elements.push_back(any_value(random, depth - 1));
      return Value(std::move(elements));
    }
    default:
      return any_object(random, depth - 1);
  }
}

Memory any_memory(Random& random) {
  Memory memory;
  if (!one_in(random, 20)) memory.id = any_text(random, 20);
  maybe(random, memory.embedding, [&] { return floats(random, random.below(40), any_float); });
  if (one_in(random, 500)) memory.embedding = floats(random, 70'000, any_float);  // beyond limits
  maybe(random, memory.content, [&] { return any_text(random, 60); });
  maybe(random, memory.activation, [&] { return any_double(random); });
  maybe(random, memory.confidence, [&] { return any_double(random); });
  maybe(random, memory.decay_rate, [&] { return any_double(random); });
  maybe(random, memory.access_count, [&] { return random.next() >> random.below(64); });
  maybe(random, memory.created_at, [&] { return any_time(random); });
  maybe(random, memory.last_access, [&] { return any_time(random); });
  maybe(random, memory.embedding_provenance, [&] { return any_value(random, 3); });
  maybe(random, memory.metadata, [&] { return any_value(random, 3); });
  if (one_in(random, 4)) memory.unknown_members = any_value(random, 2);
  if (one_in(random, 3)) memory.null_members = static_cast<std::uint32_t>(random.next());
  if (one_in(random, 8)) memory.embedder = any_text(random, 8);
  if (one_in(random, 8)) memory.unknown = any_unknown(random);
  return memory;
}

Memory valid_memory(Random& random, std::size_t dimension) {
  Memory memory;
  memory.id = "id" + any_text(random, 20);
  if (!one_in(random, 4)) {
    memory.embedding = floats(random, dimension, finite_float);
    if (one_in(random, 4)) memory.embedder = "mneme-hash-1";
  }
  const auto unit = [&] { return static_cast<double>(random.below(1001)) / 1000; };
  maybe(random, memory.content, [&] { return any_text(random, 60); });
  maybe(random, memory.activation, unit);
  maybe(random, memory.confidence, unit);
  maybe(random, memory.decay_rate, [&] { return std::abs(any_value(random, 0).get_if<double>() ? 1e300 : unit()); });
  maybe(random, memory.access_count, [&] { return random.next() >> random.below(64); });
  maybe(random, memory.created_at, [&] { return valid_time(random); });
  maybe(random, memory.last_access, [&] { return valid_time(random); });
  maybe(random, memory.embedding_provenance, [&] { return any_value(random, 3); });
  maybe(random, memory.metadata, [&] { return any_value(random, 3); });
  if (one_in(random, 4))
    if (Value members = any_object(random, 2); !members.get_if<Value::Object>()->empty())
      memory.unknown_members = std::move(members);
  const auto null_where_absent = [&](const auto& field, MemoryMember bit) {
    if (!field && one_in(random, 4)) memory.null_members |= static_cast<std::uint32_t>(bit);
  };
  null_where_absent(memory.content, MemoryMember::Content);
  null_where_absent(memory.activation, MemoryMember::Activation);
  null_where_absent(memory.confidence, MemoryMember::Confidence);
  null_where_absent(memory.decay_rate, MemoryMember::DecayRate);
  null_where_absent(memory.access_count, MemoryMember::AccessCount);
  null_where_absent(memory.created_at, MemoryMember::CreatedAt);
  null_where_absent(memory.last_access, MemoryMember::LastAccess);
  if ((!memory.embedding || memory.embedder) && one_in(random, 4))
    memory.null_members |= static_cast<std::uint32_t>(MemoryMember::Embedding);
  return memory;
}

}  // namespace mneme::migration::testing
