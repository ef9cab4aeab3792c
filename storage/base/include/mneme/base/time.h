// Time as Mneme stores it: UTC microseconds since 1970, and its RFC 3339 text.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "mneme/base/result.h"

namespace mneme {

using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;

/// "2026-01-31T09:15:00.25+02:00", "…Z", lower-case t/z and a space for T are accepted, as RFC 3339
/// allows. Digits beyond microseconds are cut off. Years 0000 to 9999; second 60 is refused.
/// @error InvalidArgument  says what was found and where
Result<Timestamp> parse_rfc3339(std::string_view text);

/// Always UTC with Z; the fraction has no trailing zeros and is absent when zero.
/// Times outside years 0000 to 9999 are printed with a sign and more digits and do not parse back.
std::string format_rfc3339(Timestamp time);

}  // namespace mneme
