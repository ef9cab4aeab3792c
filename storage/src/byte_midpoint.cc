#include "byte_midpoint.h"

#include <algorithm>
#include <cstdint>

namespace mneme::storage {
namespace {

// The eight bytes of `text` from `at` on as a big-endian number, zeros where it ends.
std::uint64_t number_at(std::string_view text, std::size_t at) {
  std::uint64_t number = 0;
  for (std::size_t i = at; i < at + 8; ++i)
    number = number << 8 | (i < text.size() ? static_cast<unsigned char>(text[i]) : 0u);
  return number;
}

}  // namespace

std::string byte_midpoint(std::string_view low, std::string_view high) {
  const auto differ = std::mismatch(low.begin(), low.end(), high.begin(), high.end()).first;
  const auto common = static_cast<std::size_t>(differ - low.begin());
  const std::uint64_t from = number_at(low, common), to = number_at(high, common);
  const std::uint64_t middle = from + (to - from) / 2;
  std::string result(high.substr(0, common));
  for (int shift = 56; shift >= 0; shift -= 8) result.push_back(static_cast<char>(middle >> shift & 0xff));
  // Bytes cut off or zeros put on may lead just outside where the two are that close.
  return result >= low && result <= high ? result : std::string(high);
}

}  // namespace mneme::storage
