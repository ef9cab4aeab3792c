// Values that come as text: vectors, files, standard input.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "mneme/base/result.h"

namespace mneme::tools {

/// The whole file; "-" is standard input.
/// @error InvalidArgument  larger than `bytes_max`; NotFound, IoError; Cancelled  SIGINT or SIGTERM while waiting
Result<std::string> read_text(const std::string& path, std::size_t bytes_max);

/// One line of standard input, without its end; what a terminal's user answers.
/// @error Cancelled  SIGINT or SIGTERM came first
Result<std::string> read_answer();

/// `argument`, or standard input where it is "-". @error InvalidArgument  too large, not UTF-8
Result<std::string> text_or_stdin(const std::string& argument, std::size_t bytes_max, std::string_view what);

/// "[0.1, -2e3]", or "@FILE" with such a text in FILE ("@-": standard input). Every number is rounded once, to the
/// nearest float; at most limits::kDimensionsMax of them.
/// @error InvalidArgument  not an array of numbers, or beyond the largest float; says at which position
Result<std::vector<float>> parse_vector(const std::string& argument);

}  // namespace mneme::tools
