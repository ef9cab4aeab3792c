// The release this library is.
#pragma once

#include <string_view>

namespace mneme {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace mneme
