// The middle between two byte strings, as if each were a fraction in base 256.
#pragma once

#include <string>
#include <string_view>

namespace mneme::storage {

/// A string m with low <= m <= high, half-way in value by the 64 bits behind their common prefix: a long common
/// prefix costs no precision. Needs low < high.
std::string byte_midpoint(std::string_view low, std::string_view high);

}  // namespace mneme::storage
