// Text for people: numbers with units, what may be shown on a terminal, and how wide it is there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mneme::tools {

std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

/// 'text', with what cannot be printed escaped; cut to 60 columns.
std::string in_quotes(std::string_view text);

/// Valid UTF-8: every byte that is none becomes U+FFFD.
std::string as_utf8(std::string_view bytes);

/// One line that is safe on a terminal: as_utf8, and control characters as \n, \t or \x1b.
std::string printable(std::string_view text);

/// Columns on a terminal. `text` is printable().
std::size_t display_width(std::string_view text);

/// `text` cut to at most `columns`, its end then "…".
std::string fitted(std::string_view text, std::size_t columns);

/// 117659 → "117,659".
std::string grouped(std::uint64_t number);
/// "512 B", "3.4 KiB", "1.2 GiB".
std::string human_bytes(std::uint64_t bytes);
/// "0.012 s", "4.1 s", "3:07", "1:02:07".
std::string human_seconds(double seconds);
/// "61,234/s"; "-" when it is not known.
std::string human_rate(double per_second);

}  // namespace mneme::tools
