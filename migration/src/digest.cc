#include "mneme/migration/digest.h"

namespace mneme::migration {
namespace {

std::uint64_t lane_of(const Sha256Digest& record, std::size_t lane) {
  std::uint64_t value;
  std::memcpy(&value, record.data() + lane * sizeof value, sizeof value);  // little-endian, as this machine
  return value;
}

}  // namespace

void SetDigest::add(const Sha256Digest& record) {
  for (std::size_t i = 0; i < lanes.size(); ++i) lanes[i] += lane_of(record, i);
  ++count;
}

void SetDigest::subtract(const Sha256Digest& record) {
  for (std::size_t i = 0; i < lanes.size(); ++i) lanes[i] -= lane_of(record, i);
  --count;
}

void SetDigest::merge(const SetDigest& other) {
  for (std::size_t i = 0; i < lanes.size(); ++i) lanes[i] += other.lanes[i];
  count += other.count;
}

std::array<std::uint8_t, 32> SetDigest::bytes() const {
  std::array<std::uint8_t, 32> all;
  std::memcpy(all.data(), lanes.data(), all.size());
  return all;
}

std::string SetDigest::to_hex() const { return mneme::to_hex(bytes()); }

}  // namespace mneme::migration
