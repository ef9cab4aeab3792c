#include "search/points.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <tuple>

#include "core/report.h"
#include "mneme/base/json.h"

namespace mneme::bench {
namespace {

void write_json(const std::string& path, const Value& value) {
  std::ofstream file(path);
  file << to_json(value) << '\n';
  file.flush();
  require(static_cast<bool>(file), path + " could not be written");
}

Value list_of(const std::vector<Point>& points) {
  Value::Array list;
  for (const Point& point : points) list.push_back(point.to_value());
  return list;
}

}  // namespace

Value Point::to_value() const {
  return Value::Object{{"system", system},
                       {"dataset", dataset},
                       {"mode", mode},
                       {"k", static_cast<std::int64_t>(k)},
                       {"target", target},
                       {"recall", recall},
                       {"qps", timing.qps},
                       {"p50_us", timing.p50_us},
                       {"p99_us", timing.p99_us},
                       {"build_s", built.seconds},
                       {"bytes_per_vector", built.bytes_per_vector},
                       {"threads", static_cast<std::int64_t>(threads)},
                       {"filter", filter},
                       {"setting", setting}};
}

void print(const Findings& findings) {
  std::printf("\n%-18s %-6s %4s %6s | %-6s %9s %8s %8s | %6s  %s\n", "data set", "mode", "k", "target", "recall",
              "ours/s", "p50 us", "p99 us", "ratio", "best peer: recall, queries/s, setting");
  std::map<std::tuple<std::string, std::string, std::size_t, double>, const Pair*> best;
  for (const Pair& pair : findings.pairs) {
    const Pair*& kept = best[{pair.ours.dataset, pair.ours.mode, pair.ours.k, pair.ours.target}];
    if (kept == nullptr || pair.ratio < kept->ratio) kept = &pair;
  }
  for (const Point& point : findings.points) {
    if (!point.system.starts_with("mneme") || !point.filter.empty()) continue;
    std::printf("%-18s %-6s %4zu %6.2f | %6.4f %9.0f %8.0f %8.0f | ", point.dataset.c_str(), point.mode.c_str(),
                point.k, point.target, point.recall, point.timing.qps, point.timing.p50_us, point.timing.p99_us);
    const auto found = best.find({point.dataset, point.mode, point.k, point.target});
    if (found == best.end()) {
      std::printf("%6s  no peer\n", "-");
      continue;
    }
    const Point& peer = found->second->peer;
    std::printf("%6.2f  %s: %.4f, %.0f, %s\n", found->second->ratio, peer.system.c_str(), peer.recall, peer.timing.qps,
                peer.setting.c_str());
  }
  for (const std::string& line : findings.lines) std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

void write_files(const Findings& findings, const std::string& out) {
  const std::filesystem::path path(out);
  const std::string stem = (path.parent_path() / path.stem()).string();
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);
  write_json(out, list_of(findings.points));
  write_json(stem + "-sweep.json", list_of(findings.sweep));
  Value notes = Value::Object{{"machine", findings.machine}};
  Value::Array lines;
  for (const std::string& line : findings.lines) lines.emplace_back(line);
  notes.set("notes", Value(std::move(lines)));
  write_json(stem + "-notes.json", notes);
  write_json(stem + "-writes.json", Value(findings.writes));
}

}  // namespace mneme::bench
