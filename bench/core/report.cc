#include "report.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "mneme/base/json.h"

namespace mneme::bench {

double Figure::ratio() const {
  if (limit <= 0 || value <= 0) return 0;
  return less_is_better ? limit / value : value / limit;
}

bool Settings::wants(const std::string& name) const {
  return only.empty() || std::find(only.begin(), only.end(), name) != only.end();
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

bool report(const std::vector<Figure>& figures, const std::string& out) {
  std::printf("\n%-28s %14s %-10s %14s  %-34s %6s\n", "name", "value", "unit", "limit", "limit is", "ratio");
  Value::Array list;
  for (const Figure& figure : figures) {
    std::printf("%-28s %14.6g %-10s %14.6g  %-34s %6.2f\n", figure.name.c_str(), figure.value, figure.unit.c_str(),
                figure.limit, figure.limit_name.c_str(), figure.ratio());
    if (!figure.note.empty()) std::printf("  %s\n", figure.note.c_str());
    list.emplace_back(Value::Object{{"name", figure.name},
                                    {"value", figure.value},
                                    {"unit", figure.unit},
                                    {"limit", figure.limit},
                                    {"limit_name", figure.limit_name},
                                    {"ratio", figure.ratio()},
                                    {"note", figure.note}});
  }
  if (out.empty()) return true;
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(out).parent_path(), ignored);
  std::ofstream file(out);
  file << to_json(Value(std::move(list))) << '\n';
  file.flush();
  if (!file) std::fprintf(stderr, "bench: %s could not be written\n", out.c_str());
  return static_cast<bool>(file);
}

void say(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

void require(bool ok, const std::string& what) {
  if (ok) return;
  std::fprintf(stderr, "bench: %s\n", what.c_str());
  std::exit(1);
}

}  // namespace mneme::bench
