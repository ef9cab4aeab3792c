// Number tokens of JSON (RFC 8259, section 6): their grammar and what they become.
#pragma once

#include <cstddef>
#include <string_view>

#include "mneme/base/value.h"

namespace mneme::detail {

/// A number at the front of a text. `bytes` == 0: there is none, and `problem` says why at `problem_at`.
struct NumberToken {
  std::size_t bytes = 0;
  bool is_integer = false;  ///< no point and no exponent
  std::string_view problem;
  std::size_t problem_at = 0;
};
NumberToken scan_number(std::string_view text);

enum class Rounding : std::uint8_t { Ok, Overflow };

/// The nearest float or double of a whole number token; zero with the token's sign below the smallest.
Rounding nearest(std::string_view token, float& value);
Rounding nearest(std::string_view token, double& value);

/// int64, uint64, double or BigNumber, as json.h says.
Value number_value(std::string_view token, bool is_integer);

/// Whether `text` is a number that becomes a BigNumber: the only texts a BigNumber may hold.
bool is_big_number(std::string_view text);

}  // namespace mneme::detail
