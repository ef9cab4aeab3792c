// Progress of long work on standard error: a bar on a terminal, a plain line every two seconds elsewhere.
#pragma once

#include <chrono>
#include <string>

#include "mneme/migration/import_export.h"

namespace mneme::tools {

/// How progress is shown.
enum class ProgressStyle { Silent, Lines, Bar };

/// Bar when standard error is a terminal that can move its cursor, else Lines; Silent when `quiet`.
ProgressStyle progress_style(bool quiet);

/// One line as a bar: phase, bar, share, count, rate and time left, at most `columns` wide.
/// `unicode`: block characters; else '#' and '.'. `colour`: ANSI colours.
std::string bar_line(const migration::Progress& progress, std::size_t columns, bool unicode, bool colour);

/// The same facts without a bar: "backfill: 40,000 of 117,659 (34 %), 61,234/s, 1.3 s left".
std::string plain_line(const migration::Progress& progress);

/// Shows a run of phases and carries the wish to stop back: the callback answers false after SIGINT or SIGTERM.
/// Threads: one.
class ProgressView {
 public:
  explicit ProgressView(ProgressStyle style);
  ~ProgressView();  ///< leaves the last state of a bar on a line of its own
  ProgressView(const ProgressView&) = delete;
  ProgressView& operator=(const ProgressView&) = delete;

  /// To be handed to import, export and migration. Must not outlive this object.
  migration::ProgressFn callback();

 private:
  using Clock = std::chrono::steady_clock;
  void show(const migration::Progress& progress);
  void finish_phase();

  ProgressStyle style_;
  bool unicode_ = false, colour_ = false;
  bool drawn_ = false;  // a bar stands on the current line
  migration::Progress last_;
  bool has_last_ = false;
  Clock::time_point next_{};
};

}  // namespace mneme::tools
