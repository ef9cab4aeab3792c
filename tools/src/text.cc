// How text and numbers look to a person.
#include "text.h"

#include <cmath>
#include <cstdio>
#include <cwchar>

#include "mneme/base/json.h"

namespace mneme::tools {

namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

// Bytes of the UTF-8 sequence that `lead` opens; 1 for anything else.
std::size_t sequence_bytes(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  if (byte >= 0xf0) return 4;
  if (byte >= 0xe0) return 3;
  if (byte >= 0xc0) return 2;
  return 1;
}

// The code point of one valid sequence.
char32_t code_point(std::string_view sequence) {
  const auto lead = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1) return lead;
  char32_t value = lead & (0x7fu >> sequence.size());
  for (const char next : sequence.substr(1)) value = (value << 6) | (static_cast<unsigned char>(next) & 0x3fu);
  return value;
}

// Calls visit(sequence) for each code point of valid UTF-8 until it returns false.
template <class Visit>
void for_each_code_point(std::string_view text, Visit&& visit) {
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view sequence = text.substr(at, sequence_bytes(text[at]));
    if (!visit(sequence)) return;
    at += sequence.size();
  }
}

std::size_t columns_of(std::string_view sequence) {
  const int columns = ::wcwidth(static_cast<wchar_t>(code_point(sequence)));
  return columns < 0 ? 1 : static_cast<std::size_t>(columns);
}

std::string formatted(const char* format, double number) {
  char buffer[64];
  const int length = std::snprintf(buffer, sizeof buffer, format, number);
  return std::string(buffer, static_cast<std::size_t>(length));
}

bool is_control(char32_t c) { return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029; }

// Marks that turn the direction of writing, and so can make a line say what it does not.
bool turns_direction(char32_t c) { return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069); }

}  // namespace

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t at = 0;;) {
    const std::size_t end = text.find(separator, at);
    parts.emplace_back(text.substr(at, end == std::string_view::npos ? end : end - at));
    if (end == std::string_view::npos) return parts;
    at = end + 1;
  }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string joined;
  for (const std::string& part : parts) {
    if (&part != &parts.front()) joined += separator;
    joined += part;
  }
  return joined;
}

std::string in_quotes(std::string_view text) { return "'" + fitted(printable(text.substr(0, 1024)), 60) + "'"; }

std::string as_utf8(std::string_view bytes) {
  if (is_valid_utf8(bytes)) return std::string(bytes);
  std::string text;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::string_view sequence = bytes.substr(at, sequence_bytes(bytes[at]));
    const bool valid = is_valid_utf8(sequence);
    text += valid ? sequence : kReplacement;
    at += valid ? sequence.size() : 1;
  }
  return text;
}

std::string printable(std::string_view text) {
  const std::string valid = as_utf8(text);
  std::string safe;
  safe.reserve(valid.size());
  for_each_code_point(valid, [&](std::string_view sequence) {
    const char32_t c = code_point(sequence);
    char escape[12];
    if (c == '\n') {
      safe += "\\n";
    } else if (c == '\t') {
      safe += "\\t";
    } else if (c == '\r') {
      safe += "\\r";
    } else if (is_control(c) || turns_direction(c)) {
      const int length = std::snprintf(escape, sizeof escape, c < 0x100 ? "\\x%02x" : "\\u%04x", unsigned{c});
      safe.append(escape, static_cast<std::size_t>(length));
    } else {
      safe += sequence;
    }
    return true;
  });
  return safe;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for_each_code_point(text, [&](std::string_view sequence) {
    width += columns_of(sequence);
    return true;
  });
  return width;
}

std::string fitted(std::string_view text, std::size_t columns) {
  // One column is kept for the ellipsis; `cut` is where it would stand.
  std::size_t width = 0, cut = 0, at = 0;
  for_each_code_point(text, [&](std::string_view sequence) {
    width += columns_of(sequence);
    at += sequence.size();
    if (width < columns) cut = at;
    return width <= columns;
  });
  if (width <= columns) return std::string(text);
  return columns == 0 ? std::string() : std::string(text.substr(0, cut)) + "…";
}

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ',');
  return digits;
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  auto amount = static_cast<double>(bytes);
  const char* const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  std::size_t unit = 0;
  for (amount /= 1024; amount >= 1024 && unit + 1 < std::size(units); ++unit) amount /= 1024;
  return formatted("%.1f ", amount) + units[unit];
}

std::string human_seconds(double seconds) {
  // Longer than a century is a guess gone wrong.
  if (!(seconds >= 0 && seconds < 3.2e9)) return "-";
  if (seconds < 0.1) return formatted("%.3f s", seconds);
  if (seconds < 60) return formatted("%.1f s", seconds);
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  char buffer[48];
  if (whole < 3600)
    std::snprintf(buffer, sizeof buffer, "%u:%02u", static_cast<unsigned>(whole / 60),
                  static_cast<unsigned>(whole % 60));
  else
    std::snprintf(buffer, sizeof buffer, "%llu:%02u:%02u", static_cast<unsigned long long>(whole / 3600),
                  static_cast<unsigned>(whole / 60 % 60), static_cast<unsigned>(whole % 60));
  return buffer;
}

std::string human_rate(double per_second) {
  if (!(per_second > 0 && per_second < 1e15)) return "-";
  if (per_second < 10) return formatted("%.1f/s", per_second);
  return grouped(static_cast<std::uint64_t>(std::llround(per_second))) + "/s";
}

}  // namespace mneme::tools
