// Nodes to store, each a function of a number.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "mneme/base/node.h"
#include "mneme/base/node_record.h"

namespace mneme::storage {

inline NodeId sample_id(std::uint64_t n) {
  NodeId id;
  for (std::size_t i = 0; i < 8; ++i) id.bytes[15 - i] = static_cast<std::uint8_t>(n >> (8 * i));
  id.bytes[0] = 1;
  return id;
}

inline std::vector<float> sample_vector(std::uint64_t n, std::size_t dimension) {
  std::mt19937_64 random(n);
  std::vector<float> values(dimension);
  for (float& value : values)
    value = static_cast<float>(static_cast<std::int64_t>(random() >> 40) - (1 << 23)) * 0x1p-23f;
  return values;
}

/// An Episode with a short text and no vectors.
inline Node sample_node(std::uint64_t n) {
  Node node;
  node.id = sample_id(n);
  node.content = "what happened in episode " + std::to_string(n);
  node.tags = {"sample", std::to_string(n % 7)};
  node.activation = static_cast<double>(n % 100) / 100;
  node.created_at = Timestamp(std::chrono::microseconds(1'700'000'000'000'000 + static_cast<std::int64_t>(n)));
  return node;
}

}  // namespace mneme::storage
