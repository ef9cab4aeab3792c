// Progress of an import or export, told from the one stage of its pipeline that runs in order.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "mneme/base/clock.h"
#include "mneme/migration/import_export.h"

namespace mneme::migration {

/// Threads: one at a time.
class TransferMeter {
 public:
  TransferMeter(std::string phase, std::uint64_t records_total, std::uint64_t bytes_total, const ProgressFn& progress)
      : progress_(progress), started_(system_clock().monotonic()), told_(started_) {
    now_.phase = std::move(phase);
    now_.total = records_total;
    now_.bytes_total = bytes_total;
  }

  void add(std::uint64_t records, std::uint64_t bytes) {
    now_.done += records;
    now_.bytes_done += bytes;
  }

  /// Tells the receiver, at most ten times a second. @error Cancelled  the receiver wants no more
  Status tell() {
    constexpr std::chrono::milliseconds kInterval{100};
    if (!progress_ || system_clock().monotonic() - told_ < kInterval) return {};
    return tell_now();
  }
  /// Tells it regardless: once at the end.
  Status tell_now() {
    if (!progress_) return {};
    told_ = system_clock().monotonic();
    now_.seconds = seconds();
    if (now_.seconds > 0) now_.records_per_second = static_cast<double>(now_.done) / now_.seconds;
    now_.eta_seconds = eta();
    return progress_(now_) ? Status() : Status(Code::Cancelled, now_.phase + ": stopped on request");
  }

  double seconds() const { return std::chrono::duration<double>(system_clock().monotonic() - started_).count(); }
  std::uint64_t records() const { return now_.done; }
  std::uint64_t bytes() const { return now_.bytes_done; }

 private:
  /// By bytes where their total is known, else by records.
  std::optional<double> eta() const {
    const auto by = [&](std::uint64_t done, std::uint64_t total) -> std::optional<double> {
      if (done == 0 || total < done) return std::nullopt;
      return now_.seconds * static_cast<double>(total - done) / static_cast<double>(done);
    };
    if (now_.bytes_total != 0) return by(now_.bytes_done, now_.bytes_total);
    return now_.total != 0 ? by(now_.done, now_.total) : std::nullopt;
  }

  const ProgressFn& progress_;
  const std::chrono::nanoseconds started_;
  std::chrono::nanoseconds told_;
  Progress now_;
};

}  // namespace mneme::migration
