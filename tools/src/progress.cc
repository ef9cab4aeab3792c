// Bars and lines.
#include "progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "output.h"
#include "signals.h"
#include "text.h"

namespace mneme::tools {

namespace {

constexpr std::chrono::milliseconds kBarEvery{100};
constexpr std::chrono::seconds kLineEvery{2};
constexpr std::size_t kBarCellsMax = 30;
constexpr std::size_t kBarCellsMin = 8;
constexpr std::size_t kPhaseColumns = 8;

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : value;
}

bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string_view value = environment(name);
    if (value.empty()) continue;
    return value.find("UTF-8") != std::string_view::npos || value.find("utf8") != std::string_view::npos;
  }
  return false;
}

std::size_t error_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

double share(const migration::Progress& progress) {
  if (progress.total > 0)
    return std::min(1.0, static_cast<double>(progress.done) / static_cast<double>(progress.total));
  if (progress.bytes_total > 0)
    return std::min(1.0, static_cast<double>(progress.bytes_done) / static_cast<double>(progress.bytes_total));
  return -1;
}

std::string percent(double share) { return std::to_string(static_cast<int>(share * 100)) + " %"; }

std::string count(const migration::Progress& progress) {
  return progress.total > 0 ? grouped(progress.done) + "/" + grouped(progress.total) : grouped(progress.done);
}

// `cells` characters of bar, filled to `share`, in eighths of a cell where the terminal can show them.
std::string bar(double share, std::size_t cells, bool unicode) {
  const char* const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(cells) * 8);
  const std::size_t whole = filled / 8, part = unicode ? filled % 8 : 0;
  std::string drawn;
  for (std::size_t i = 0; i < whole; ++i) drawn += unicode ? "█" : "#";
  drawn += eighths[part];
  for (std::size_t i = whole + (part > 0 ? 1 : 0); i < cells; ++i) drawn += unicode ? "░" : ".";
  return drawn;
}

std::string padded_left(std::string text, std::size_t width) {
  const std::size_t columns = display_width(text);
  return columns < width ? std::string(width - columns, ' ') + text : text;
}

}  // namespace

ProgressStyle progress_style(bool quiet) {
  if (quiet) return ProgressStyle::Silent;
  const std::string_view term = environment("TERM");
  const bool movable = ::isatty(STDERR_FILENO) == 1 && !term.empty() && term != "dumb";
  return movable ? ProgressStyle::Bar : ProgressStyle::Lines;
}

std::string bar_line(const migration::Progress& progress, std::size_t columns, bool unicode, bool colour) {
  std::string phase = printable(progress.phase);
  phase.resize(std::max(phase.size(), kPhaseColumns), ' ');
  const double done = share(progress);
  std::string tail = count(progress);
  if (done >= 0) tail = padded_left(percent(done), 5) + "  " + tail;
  if (progress.records_per_second > 0) tail += "  " + human_rate(progress.records_per_second);
  if (progress.eta_seconds) tail += "  " + human_seconds(*progress.eta_seconds) + " left";

  // The last column stays free: writing it makes some terminals wrap.
  const std::size_t room = columns > 1 ? columns - 1 : 0;
  const std::size_t taken = display_width(phase) + 1 + display_width(tail) + 1;
  if (done < 0 || room < taken + kBarCellsMin) return fitted(phase + " " + tail, room);
  const std::string drawn = bar(done, std::min(kBarCellsMax, room - taken), unicode);
  return phase + " " + (colour ? "\x1b[36m" + drawn + "\x1b[0m" : drawn) + " " + tail;
}

std::string plain_line(const migration::Progress& progress) {
  std::string line = printable(progress.phase) + ": " + grouped(progress.done);
  if (progress.total > 0) line += " of " + grouped(progress.total);
  if (const double done = share(progress); done >= 0) line += " (" + percent(done) + ")";
  if (progress.records_per_second > 0) line += ", " + human_rate(progress.records_per_second);
  if (progress.eta_seconds) line += ", " + human_seconds(*progress.eta_seconds) + " left";
  return line;
}

ProgressView::ProgressView(ProgressStyle style)
    : style_(style), unicode_(locale_is_utf8()), colour_(environment("NO_COLOR").empty()) {
  // The first plain line waits its turn, so that short work prints none.
  if (style_ == ProgressStyle::Lines) next_ = Clock::now() + kLineEvery;
}

ProgressView::~ProgressView() { finish_phase(); }

migration::ProgressFn ProgressView::callback() {
  return [this](const migration::Progress& progress) {
    if (style_ != ProgressStyle::Silent) show(progress);
    return !interrupted();
  };
}

void ProgressView::show(const migration::Progress& progress) {
  if (has_last_ && progress.phase != last_.phase) finish_phase();
  last_ = progress;
  has_last_ = true;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  if (style_ == ProgressStyle::Lines) {
    next_ = now + kLineEvery;
    print_error_line(plain_line(progress));
    return;
  }
  next_ = now + kBarEvery;
  const std::string line = "\r\x1b[K" + bar_line(progress, error_columns(), unicode_, colour_);
  drawn_ = ::write(STDERR_FILENO, line.data(), line.size()) > 0 || drawn_;
}

void ProgressView::finish_phase() {
  if (!drawn_) return;
  drawn_ = false;
  last_.eta_seconds.reset();
  print_error_line("\r\x1b[K" + bar_line(last_, error_columns(), unicode_, colour_));
  next_ = {};
}

}  // namespace mneme::tools
