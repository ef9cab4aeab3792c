// Finding a member name that an object holds twice, without quadratic cost on hostile input.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

namespace mneme::detail {

/// A key that occurs more than once. Reorders `keys`. Cost: n² / 2 short compares up to 12 keys, else a sort.
inline std::optional<std::string_view> repeated_key(std::vector<std::string_view>& keys) {
  constexpr std::size_t kFewKeys = 12;
  if (keys.size() <= kFewKeys) {
    for (std::size_t i = 1; i < keys.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (keys[i] == keys[j]) return keys[i];
    return std::nullopt;
  }
  std::sort(keys.begin(), keys.end());
  const auto twice = std::adjacent_find(keys.begin(), keys.end());
  if (twice == keys.end()) return std::nullopt;
  return *twice;
}

}  // namespace mneme::detail
