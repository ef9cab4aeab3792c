// Memories as nobody would write them, for property tests.
#pragma once

#include <string>

#include "mneme/base/clock.h"
#include "mneme/migration/memory.h"

namespace mneme::migration::testing {

/// Any memory that can be encoded: NaN bits, times of any year, values out of range, an id with NUL or none, an
/// embedding of any length, fields of a newer release, nulls beside values.
Memory any_memory(Random& random);

/// A memory that validate_memory accepts, with an embedding of `dimension` values, or none in one case of four.
Memory valid_memory(Random& random, std::size_t dimension);

/// Valid UTF-8 of up to `characters_max` characters, some of several bytes, some control characters.
std::string any_text(Random& random, std::size_t characters_max);

/// A JSON value of any kind, nested at most `depth` deep.
Value any_value(Random& random, std::size_t depth);

}  // namespace mneme::migration::testing
