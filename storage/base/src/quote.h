// Foreign text inside an error message: short, printable, on one line.
#pragma once

#include <string>
#include <string_view>

namespace mneme {

inline constexpr std::size_t kQuotedBytesMax = 40;

/// `text` in double quotes: at most kQuotedBytesMax bytes of it, with "..." where it was cut, and \xNN for
/// everything that is not printable ASCII.
std::string quoted(std::string_view text);

}  // namespace mneme
