// Nodes of about 4 KiB: 768 floats and 900 bytes of text and metadata.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "mneme/migration/memory.h"
#include "mneme/mneme.h"

namespace mneme::bench {

inline constexpr std::uint32_t kDimension = 768;

inline std::vector<float> random_vector(std::mt19937_64& random) {
  std::vector<float> values(kDimension);
  for (std::size_t i = 0; i < values.size(); i += 2) {
    const std::uint64_t word = random();
    values[i] = static_cast<float>(static_cast<std::int32_t>(word)) * 0x1p-31F;
    values[i + 1] = static_cast<float>(static_cast<std::int32_t>(word >> 32)) * 0x1p-31F;
  }
  return values;
}

inline std::string random_text(std::mt19937_64& random, std::size_t bytes) {
  static constexpr std::string_view kWords[] = {"tea ", "agent ",   "memory ", "of ",   "the ",  "meeting ",  "with ",
                                                "a ",   "promise ", "to ",     "call ", "back ", "tomorrow ", "kept "};
  std::string text;
  while (text.size() < bytes) text += kWords[random() % std::size(kWords)];
  text.resize(bytes);
  return text;
}

inline Node random_node(std::mt19937_64& random) {
  Node node;
  node.content = random_text(random, 800);
  node.metadata = Value(Value::Object{{"session", Value(static_cast<std::int64_t>(random() % 1000))}});
  node.vectors.push_back({GenerationId{0}, random_vector(random)});
  return node;
}

inline migration::Memory random_memory(std::mt19937_64& random, std::uint64_t number) {
  migration::Memory memory;
  char id[32];
  std::snprintf(id, sizeof id, "memory-%012llu", static_cast<unsigned long long>(number));
  memory.id = id;
  memory.content = random_text(random, 850);
  memory.embedding = random_vector(random);
  memory.created_at = Timestamp(std::chrono::seconds(1'700'000'000 + number));
  memory.activation = 0.5;
  memory.confidence = 0.9;
  memory.access_count = number % 17;
  memory.decay_rate = 0.1;
  memory.metadata = Value(Value::Object{{"session", Value(static_cast<std::int64_t>(number % 1000))}});
  return memory;
}

}  // namespace mneme::bench
