// Where the chosen lanes of a vector of eight, or of four, come from: by the bits of a mask.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mneme::index {

// Entry m lists the bits that are set in m, the lowest first; what follows them is 0.
template <std::size_t Lanes>
constexpr auto set_bits_of_masks() {
  std::array<std::array<std::uint8_t, Lanes>, std::size_t{1} << Lanes> table{};
  for (std::size_t mask = 0; mask < table.size(); ++mask)
    for (std::size_t lane = 0, at = 0; lane < Lanes; ++lane)
      if ((mask >> lane & 1) != 0) table[mask][at++] = static_cast<std::uint8_t>(lane);
  return table;
}

/// Of eight lanes.
inline constexpr auto kCompressOrder = set_bits_of_masks<8>();

/// The same of four lanes, as the bytes of which each has four.
inline constexpr auto kCompressBytes = [] {
  constexpr auto lanes = set_bits_of_masks<4>();
  std::array<std::array<std::uint8_t, 16>, 16> table{};
  for (std::size_t mask = 0; mask < table.size(); ++mask)
    for (std::size_t byte = 0; byte < 16; ++byte)
      table[mask][byte] = static_cast<std::uint8_t>(lanes[mask][byte / 4] * 4 + byte % 4);
  return table;
}();

}  // namespace mneme::index
