// The engine's figures; each function runs its pairs and returns them with their limits.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "report.h"

namespace mneme::bench {

std::vector<Figure> bench_puts(const Settings& settings);
std::vector<Figure> bench_reads(const Settings& settings);
std::vector<Figure> bench_migration(const Settings& settings);
std::vector<Figure> bench_reopen(const Settings& settings);

/// The writer's side of bench_reopen, in a process of its own: `bench_core write-and-die PATH BEFORE LOG`. Writes
/// `before` MiB that are flushed, then `log` MiB that are not, and kills itself.
inline constexpr std::string_view kWriteAndDie = "write-and-die";
void write_and_die(const std::string& path, std::uint64_t before, std::uint64_t log);

}  // namespace mneme::bench
