// Values that come as text: vectors, files, standard input.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mneme/base/result.h"
#include "mneme/stats.h"

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

/// What --also names: another generation, perhaps a weight, perhaps a vector of it.
struct AlsoArgument {
  GenerationId generation;
  std::optional<float> weight;
  std::optional<std::string> vector;  ///< for parse_vector()
};

/// "G", "G:VECTOR", "G*WEIGHT" or "G*WEIGHT:VECTOR". @error InvalidArgument
Result<AlsoArgument> parse_also(const std::string& argument);
/// In the order given. @error InvalidArgument
Result<std::vector<AlsoArgument>> parse_also(const std::vector<std::string>& arguments);

/// The dimension of a generation's vectors. @error NotFound
Result<std::uint32_t> dimension_of(const SpaceInfo& info, GenerationId generation);
/// `given`, or the first generation that the space has: 0 until it was dropped.
GenerationId generation_or_first(const SpaceInfo& info, std::optional<std::uint16_t> given);

}  // namespace mneme::tools
