// Names of a Memory's members in JSON and in messages.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "mneme/migration/memory.h"

namespace mneme::migration {

/// Members whose null is a bit of Memory::null_members.
struct NullableMember {
  std::string_view name;
  MemoryMember bit;
};
inline constexpr std::array kNullableMembers = {
    NullableMember{"embedding", MemoryMember::Embedding},   NullableMember{"content", MemoryMember::Content},
    NullableMember{"activation", MemoryMember::Activation}, NullableMember{"confidence", MemoryMember::Confidence},
    NullableMember{"decay_rate", MemoryMember::DecayRate},  NullableMember{"access_count", MemoryMember::AccessCount},
    NullableMember{"created_at", MemoryMember::CreatedAt},  NullableMember{"last_access", MemoryMember::LastAccess},
};
inline constexpr std::uint32_t kNullableBits = (1 << kNullableMembers.size()) - 1;

/// Foreign text inside a message: in double quotes, at most 64 bytes of it, always printable UTF-8 on one line.
std::string in_quotes(std::string_view text);

/// The member of our own exports.
inline constexpr std::string_view kOwnMember = "mneme";

/// Members that never stand among Memory::unknown_members.
inline bool is_known_member(std::string_view name) {
  return name == "id" || name == "embedding_provenance" || name == "metadata" || name == kOwnMember ||
         std::any_of(kNullableMembers.begin(), kNullableMembers.end(),
                     [&](const NullableMember& member) { return member.name == name; });
}

constexpr bool is_null(std::uint32_t null_members, MemoryMember member) {
  return (null_members & static_cast<std::uint32_t>(member)) != 0;
}

}  // namespace mneme::migration
