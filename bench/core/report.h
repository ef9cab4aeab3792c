// What a benchmark found: a figure, the limit it is held against, and their ratio.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mneme::bench {

struct Figure {
  std::string name;
  double value = 0;
  std::string unit;
  double limit = 0;  // 0 = none
  std::string limit_name;
  bool less_is_better = false;
  std::string note;
  double ratio() const;  // of the limit that was reached: above 1 is better than it
};

struct Settings {
  std::string directory;  // on the disk that is measured
  double seconds = 2;     // of each timed loop
  unsigned rounds = 3;    // of each pair; medians are reported
  std::uint64_t migrate_nodes = 500'000;
  std::uint64_t reopen_mib = 256;
  std::vector<std::string> only;  // empty = all
  bool wants(const std::string& name) const;
};

double median(std::vector<double> values);
/// Prints the table to standard output and writes the JSON list.
bool report(const std::vector<Figure>& figures, const std::string& out);
void say(const std::string& line);  // progress, to standard error
/// Ends the program with a message when `ok` is false.
void require(bool ok, const std::string& what);

}  // namespace mneme::bench
