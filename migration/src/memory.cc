#include "mneme/migration/memory.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "memory_fields.h"
#include "memory_members.h"
#include "mneme/base/json.h"
#include "mneme/base/limits.h"

namespace mneme::migration {
namespace {

bool same_bits(const std::optional<double>& a, const std::optional<double>& b) {
  if (!a || !b) return a.has_value() == b.has_value();
  return std::bit_cast<std::uint64_t>(*a) == std::bit_cast<std::uint64_t>(*b);
}

bool same_bits(const std::optional<std::vector<float>>& a, const std::optional<std::vector<float>>& b) {
  if (!a || !b) return a.has_value() == b.has_value();
  return a->size() == b->size() && (a->empty() || std::memcmp(a->data(), b->data(), a->size() * sizeof(float)) == 0);
}

Status invalid(std::string_view member, const std::string& found) {
  return Status(Code::InvalidArgument, std::string(member) + ": " + found);
}

Status check_text(std::string_view member, std::string_view text, std::size_t bytes_max) {
  if (text.size() > bytes_max)
    return invalid(member, std::to_string(text.size()) + " bytes, at most " + std::to_string(bytes_max));
  if (!is_valid_utf8(text)) return invalid(member, "not valid UTF-8");
  return {};
}

Status check_real(std::string_view member, const std::optional<double>& real, double upper) {
  if (!real) return {};
  if (!std::isfinite(*real) || *real < 0 || *real > upper)
    return invalid(member,
                   std::to_string(*real) + (upper == 1 ? ", wanted 0 to 1" : ", wanted a finite number from 0"));
  return {};
}

// What RFC 3339 can say: years 0000 to 9999.
constexpr Timestamp kFirstTime{std::chrono::seconds(-62'167'219'200)};
constexpr Timestamp kEndOfTime{std::chrono::seconds(253'402'300'800)};

Status check_time(std::string_view member, const std::optional<Timestamp>& time) {
  if (time && (*time < kFirstTime || *time >= kEndOfTime))
    return invalid(member, format_rfc3339(*time) + ", wanted a year from 0000 to 9999");
  return {};
}

Status check_value(std::string_view member, const std::optional<Value>& value) {
  return value ? validate_value(*value).with_context(member) : Status();
}

Status check_embedding(const Memory& memory) {
  if (memory.embedding) {
    const std::size_t dimension = memory.embedding->size();
    if (dimension == 0 || dimension > limits::kDimensionsMax)
      return invalid("embedding",
                     std::to_string(dimension) + " values, wanted 1 to " + std::to_string(limits::kDimensionsMax));
    MNEME_TRY(validate_vector(*memory.embedding).with_context("embedding"));
  }
  if (!memory.embedder) return {};
  if (memory.embedder->empty()) return invalid("embedder", "an empty name");
  if (!memory.embedding) return invalid("embedder", "named, but there is no embedding");
  return check_text("embedder", *memory.embedder, limits::kLabelBytesMax);
}

Status check_nulls(const Memory& memory) {
  if ((memory.null_members & ~kNullableBits) != 0)
    return invalid("null_members", std::to_string(memory.null_members) + " has bits that name no member");
  // An embedding may be null in the source and made by an embedder here.
  const bool is_set[] = {memory.embedding.has_value() && !memory.embedder,
                         memory.content.has_value(),
                         memory.activation.has_value(),
                         memory.confidence.has_value(),
                         memory.decay_rate.has_value(),
                         memory.access_count.has_value(),
                         memory.created_at.has_value(),
                         memory.last_access.has_value()};
  static_assert(std::size(is_set) == kNullableMembers.size());
  for (std::size_t i = 0; i < kNullableMembers.size(); ++i)
    if (is_set[i] && is_null(memory.null_members, kNullableMembers[i].bit))
      return invalid(kNullableMembers[i].name, "has a value and is null in null_members");
  return {};
}

Status check_unknown_members(const Memory& memory) {
  if (!memory.unknown_members) return {};
  const auto* members = memory.unknown_members->get_if<Value::Object>();
  if (members == nullptr) return invalid("unknown_members", "not an object");
  for (const auto& [name, value] : *members)
    if (is_known_member(name)) return invalid("unknown_members", "holds " + in_quotes(name) + ", which has a field");
  return check_value("unknown_members", memory.unknown_members);
}

Status check_unknown_fields(const Bytes& unknown) {
  Bytes framed{std::byte{kMemoryEncodingVersion}};
  framed.insert(framed.end(), unknown.begin(), unknown.end());
  const auto fields = read_memory_fields(framed);
  if (!fields || fields->unknown.size() != unknown.size())
    return invalid("unknown", std::to_string(unknown.size()) + " bytes that are not fields 128 to 511");
  return {};
}

}  // namespace

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kShownBytes = 64;
  const auto is_inside = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  std::size_t end = std::min(text.size(), kShownBytes);
  while (end > 0 && end < text.size() && is_inside(text[end])) --end;  // do not cut a character in two
  const bool is_text = is_valid_utf8(text.substr(0, end));
  std::string quoted = "\"";
  for (const char c : text.substr(0, end)) {
    const auto byte = static_cast<unsigned char>(c);
    quoted += byte < ' ' || byte == 0x7f || (byte >= 0x80 && !is_text) ? '?' : c;
  }
  return quoted + (end < text.size() ? "...\"" : "\"");
}

bool operator==(const Memory& a, const Memory& b) {
  return a.id == b.id && same_bits(a.embedding, b.embedding) && a.content == b.content &&
         same_bits(a.activation, b.activation) && same_bits(a.confidence, b.confidence) &&
         same_bits(a.decay_rate, b.decay_rate) && a.access_count == b.access_count && a.created_at == b.created_at &&
         a.last_access == b.last_access && a.embedding_provenance == b.embedding_provenance &&
         a.metadata == b.metadata && a.unknown_members == b.unknown_members && a.null_members == b.null_members &&
         a.embedder == b.embedder && a.unknown == b.unknown;
}

Status validate_memory(const Memory& memory) {
  if (memory.id.empty()) return invalid("id", "empty");
  MNEME_TRY(check_text("id", memory.id, limits::kExternalIdBytesMax));
  if (memory.content) MNEME_TRY(check_text("content", *memory.content, limits::kContentBytesMax));
  MNEME_TRY(check_embedding(memory));
  MNEME_TRY(check_real("activation", memory.activation, 1));
  MNEME_TRY(check_real("confidence", memory.confidence, 1));
  MNEME_TRY(check_real("decay_rate", memory.decay_rate, std::numeric_limits<double>::max()));
  MNEME_TRY(check_time("created_at", memory.created_at));
  MNEME_TRY(check_time("last_access", memory.last_access));
  MNEME_TRY(check_value("embedding_provenance", memory.embedding_provenance));
  MNEME_TRY(check_value("metadata", memory.metadata));
  MNEME_TRY(check_unknown_members(memory));
  MNEME_TRY(check_nulls(memory));
  return memory.unknown.empty() ? Status() : check_unknown_fields(memory.unknown);
}

}  // namespace mneme::migration
