// Reading what a command line points at.
#include "input.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "mneme/base/json.h"
#include "mneme/base/limits.h"
#include "signals.h"
#include "text.h"

namespace mneme::tools {

namespace {

// A number in text takes at most about 17 digits, a sign, an exponent and its neighbours' white space.
constexpr std::size_t kVectorTextBytesMax = limits::kDimensionsMax * 64;

Status invalid(std::string message) { return {Code::InvalidArgument, std::move(message)}; }

Status failed(const std::string& path, const char* call, int error) {
  return {error == ENOENT ? Code::NotFound : Code::IoError, path + ": " + call + ": " + std::strerror(error)};
}

Status stopped(const std::string& name) { return {Code::Cancelled, name + ": stopped on request"}; }

Result<std::string> read_descriptor(int descriptor, const std::string& name, std::size_t bytes_max) {
  std::string text;
  std::string chunk(64 * 1024, '\0');
  for (;;) {
    if (!wait_readable(descriptor)) return stopped(name);
    const ssize_t got = ::read(descriptor, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed(name, "read", errno);
    if (got == 0) return text;
    text.append(chunk, 0, static_cast<std::size_t>(got));
    if (text.size() > bytes_max) return invalid(name + " is larger than " + grouped(bytes_max) + " bytes");
  }
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

Result<std::string> read_text(const std::string& path, std::size_t bytes_max) {
  if (path == "-") return read_descriptor(STDIN_FILENO, "standard input", bytes_max);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return failed(path, "open", errno);
  auto text = read_descriptor(descriptor, path, bytes_max);
  ::close(descriptor);
  return text;
}

Result<std::string> read_answer() {
  constexpr std::size_t kAnswerBytesMax = 4'096;
  std::string answer;
  for (char next = 0; answer.size() < kAnswerBytesMax;) {
    if (!wait_readable(STDIN_FILENO)) return stopped("standard input");
    const ssize_t got = ::read(STDIN_FILENO, &next, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("standard input", "read", errno);
    if (got == 0 || next == '\n') break;
    answer.push_back(next);
  }
  return answer;
}

Result<std::string> text_or_stdin(const std::string& argument, std::size_t bytes_max, std::string_view what) {
  if (argument != "-") return argument;
  MNEME_ASSIGN(std::string text, read_text("-", bytes_max));
  if (!is_valid_utf8(text)) return invalid(std::string(what) + ": standard input is not valid UTF-8");
  return text;
}

Result<std::vector<float>> parse_vector(const std::string& argument) {
  std::string text = argument;
  if (argument.starts_with('@')) {
    MNEME_ASSIGN(text, read_text(argument.substr(1), kVectorTextBytesMax));
  }
  std::string_view inside = trimmed(text);
  if (!inside.starts_with('[') || !inside.ends_with(']') || inside.size() < 2)
    return invalid("vector: expected '[0.1, 0.2, ...]' or @FILE, found " + in_quotes(text));
  inside = trimmed(inside.substr(1, inside.size() - 2));

  std::vector<float> values;
  while (!inside.empty()) {
    const std::size_t comma = inside.find(',');
    const std::string_view token = trimmed(inside.substr(0, comma));
    if (values.size() == limits::kDimensionsMax)
      return invalid("vector: more than " + grouped(limits::kDimensionsMax) + " values");
    const auto value = parse_json_float(token);
    if (!value) return invalid("vector: position " + std::to_string(values.size()) + ": " + value.status().message());
    values.push_back(*value);
    if (comma == std::string_view::npos) break;
    inside = trimmed(inside.substr(comma + 1));
    if (inside.empty()) return invalid("vector: nothing follows the last comma");
  }
  if (values.empty()) return invalid("vector: no values");
  return values;
}

Result<AlsoArgument> parse_also(const std::string& argument) {
  const std::size_t colon = argument.find(':');
  const std::string_view head = std::string_view(argument).substr(0, colon);
  const std::size_t star = head.find('*');
  const std::string_view number = head.substr(0, star);
  AlsoArgument also;
  const auto [end, failed] = std::from_chars(number.data(), number.data() + number.size(), also.generation.value);
  if (failed != std::errc() || end != number.data() + number.size())
    return invalid("--also: expected G, G:VECTOR or G*WEIGHT:VECTOR with the number of a generation, found " +
                   in_quotes(argument));
  if (star != std::string_view::npos) {
    const auto weight = parse_json_float(head.substr(star + 1));
    if (!weight) return weight.status().with_context("--also: weight");
    also.weight = *weight;
  }
  if (colon != std::string::npos) also.vector = argument.substr(colon + 1);
  return also;
}

Result<std::vector<AlsoArgument>> parse_also(const std::vector<std::string>& arguments) {
  std::vector<AlsoArgument> all;
  for (const std::string& argument : arguments) {
    MNEME_ASSIGN(all.emplace_back(), parse_also(argument));
  }
  return all;
}

Result<std::uint32_t> dimension_of(const SpaceInfo& info, GenerationId generation) {
  for (const GenerationInfo& known : info.generations)
    if (known.id == generation) return known.dimension;
  return Status(Code::NotFound, "space " + in_quotes(info.name) + " has no generation " +
                                    std::to_string(generation.value) + " of vectors" +
                                    (generation < info.next_generation ? ": it was dropped" : ""));
}

GenerationId generation_or_first(const SpaceInfo& info, std::optional<std::uint16_t> given) {
  if (given) return GenerationId{*given};
  return info.generations.empty() ? GenerationId{0} : info.generations.front().id;
}

}  // namespace mneme::tools
