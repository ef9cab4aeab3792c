#include "link_keys.h"

#include <bit>
#include <cmath>

#include "mneme/base/json.h"
#include "mneme/base/limits.h"

namespace mneme {
namespace {

constexpr std::size_t kHeadBytes = 4 + 1 + 16 + 2;

void append_id(std::string& key, const NodeId& id) { key.append(as_text(id.view())); }

std::string make_key(SpaceId space, std::uint8_t way, const NodeId& near, std::string_view type, const NodeId& far) {
  std::string key;
  key.reserve(kHeadBytes + type.size() + 16);
  append_be(key, space.value);
  append_be(key, way);
  append_id(key, near);
  append_be(key, static_cast<std::uint16_t>(type.size()));
  key.append(type);
  append_id(key, far);
  return key;
}

NodeId id_at(std::string_view key, std::size_t offset) {
  NodeId id;
  std::memcpy(id.bytes.data(), key.data() + offset, id.bytes.size());
  return id;
}

}  // namespace

std::string link_out_key(SpaceId space, const NodeId& from, std::string_view type, const NodeId& to) {
  return make_key(space, 0, from, type, to);
}

std::string link_back_key(SpaceId space, const NodeId& from, std::string_view type, const NodeId& to) {
  return make_key(space, 1, to, type, from);
}

std::string link_prefix(SpaceId space, LinkDirection direction, const NodeId& node, std::string_view type) {
  std::string key;
  append_be(key, space.value);
  append_be(key, static_cast<std::uint8_t>(direction == LinkDirection::In ? 1 : 0));
  append_id(key, node);
  if (!type.empty()) {
    append_be(key, static_cast<std::uint16_t>(type.size()));
    key.append(type);
  }
  return key;
}

void encode_link_value(const Link& link, Bytes& out) {
  ByteWriter writer(out);
  writer.fixed(std::bit_cast<std::uint64_t>(link.weight));
  writer.fixed(
      static_cast<std::uint8_t>((link.created_at ? 1 : 0) | (link.valid_from ? 2 : 0) | (link.valid_until ? 4 : 0)));
  for (const auto& time : {link.created_at, link.valid_from, link.valid_until})
    if (time) writer.fixed(static_cast<std::int64_t>(time->time_since_epoch().count()));
}

Status decode_link_value(ByteView value, Link& link) {
  ByteReader reader(value);
  MNEME_ASSIGN(const auto weight, reader.fixed<std::uint64_t>());
  link.weight = std::bit_cast<double>(weight);
  MNEME_ASSIGN(const auto flags, reader.fixed<std::uint8_t>());
  if (flags > 7) return {Code::Corruption, "link value: flags " + std::to_string(flags)};
  int bit = 1;
  for (auto* time : {&link.created_at, &link.valid_from, &link.valid_until}) {
    time->reset();
    if ((flags & bit) != 0) {
      MNEME_ASSIGN(const auto us, reader.fixed<std::int64_t>());
      *time = Timestamp(std::chrono::microseconds(us));
    }
    bit <<= 1;
  }
  if (!reader.at_end()) return {Code::Corruption, "link value: bytes behind its end"};
  return {};
}

Status decode_link_key(std::string_view key, Link& link) {
  if (key.size() < kHeadBytes + 16) return {Code::Corruption, "link key: " + std::to_string(key.size()) + " bytes"};
  const auto type_bytes = load_be<std::uint16_t>(key.data() + 21);
  if (key.size() != kHeadBytes + type_bytes + 16)
    return {Code::Corruption,
            "link key: " + std::to_string(key.size()) + " bytes with a type of " + std::to_string(type_bytes)};
  link.type = key.substr(kHeadBytes, type_bytes);
  link.from = id_at(key, 5);
  link.to = id_at(key, kHeadBytes + type_bytes);
  if (is_back_key(key)) std::swap(link.from, link.to);
  return {};
}

bool is_back_key(std::string_view key) { return key.size() > 4 && key[4] == 1; }

Status validate_link(const Link& link) {
  if (link.type.empty() || link.type.size() > limits::kLabelBytesMax)
    return {Code::InvalidArgument, "link type: " + std::to_string(link.type.size()) + " bytes, 1 to " +
                                       std::to_string(limits::kLabelBytesMax) + " are allowed"};
  if (!is_valid_utf8(link.type)) return {Code::InvalidArgument, "link type: not UTF-8"};
  if (!std::isfinite(link.weight)) return {Code::InvalidArgument, "link weight: not finite"};
  if (link.valid_from && link.valid_until && *link.valid_until < *link.valid_from)
    return {Code::InvalidArgument, "link: valid_until " + format_rfc3339(*link.valid_until) + " is before valid_from " +
                                       format_rfc3339(*link.valid_from)};
  return {};
}

}  // namespace mneme
