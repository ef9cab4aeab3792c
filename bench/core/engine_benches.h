// The engine's figures; each function runs its pairs and returns them with their limits.
#pragma once

#include <vector>

#include "report.h"

namespace mneme::bench {

std::vector<Figure> bench_puts(const Settings& settings);
std::vector<Figure> bench_reads(const Settings& settings);
std::vector<Figure> bench_migration(const Settings& settings);
std::vector<Figure> bench_reopen(const Settings& settings);

}  // namespace mneme::bench
