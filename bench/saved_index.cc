// How long does a database of many vectors take to open and answer an approximate search, and what does it keep in
// memory? Loads a database once, then opens it in processes of their own.
//
//   bench_saved_index [--rows N] [--dimension N] [--dir DIR] [--rounds N] [--cold] [--keep]

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "mneme/mneme.h"

using namespace mneme;

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

void require(const Status& status, const char* what) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s: %s\n", what, status.to_string().c_str());
  std::exit(1);
}

// Points around 500 centres; the same for the same number.
std::vector<float> point(std::uint64_t number, std::uint32_t dimension) {
  std::minstd_rand centre(static_cast<unsigned>(number % 500 + 1)), own(static_cast<unsigned>(number + 1'000'003));
  std::vector<float> values(dimension);
  constexpr float kUnit = 1.0F / 2147483647.0F;
  for (float& value : values)
    value = static_cast<float>(centre()) * kUnit - 0.5F + 0.8F * (static_cast<float>(own()) * kUnit - 0.5F);
  return values;
}

// In bytes, from /proc.
double resident(const char* field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind(field, 0) == 0) return std::strtod(line.c_str() + std::string(field).size() + 1, nullptr) * 1024;
  return 0;
}

bool cold = false;

DatabaseOptions options(std::uint32_t dimension) {
  DatabaseOptions options;
  options.cold_indexes = cold;
  options.create_if_missing = true;
  options.default_dimension = dimension;
  options.default_metric = Metric::Cosine;
  options.log = [](std::string_view line) {
    std::fprintf(stderr, "  log: %.*s\n", static_cast<int>(line.size()), line.data());
  };
  return options;
}

void load(const std::string& path, std::uint64_t rows, std::uint32_t dimension) {
  auto database = Database::open(path, options(dimension));
  require(database.status(), "open");
  auto space = (*database)->create_space("bench");
  require(space.status(), "create space");
  auto begin = Clock::now();
  constexpr std::uint64_t kPiece = 20'000;
  for (std::uint64_t first = 0; first < rows; first += kPiece) {
    std::vector<NodeRecordPtr> nodes;
    for (std::uint64_t i = first; i < std::min(rows, first + kPiece); ++i) {
      Node node;
      node.content = "memory " + std::to_string(i);
      node.tags = {i % 2 == 0 ? "even" : "odd"};
      node.created_at = Timestamp(std::chrono::microseconds(i));
      node.vectors = {{GenerationId{0}, point(i, dimension)}};
      for (std::size_t b = 0; b < 8; ++b) {
        node.id.bytes[b] = static_cast<std::uint8_t>((i * 0x9E3779B97F4A7C15ULL) >> (8 * b));
        node.id.bytes[8 + b] = static_cast<std::uint8_t>(i >> (8 * b));
      }
      nodes.push_back(NodeRecord::from_node(node));
    }
    require((*database)->bulk_insert(*space, nodes, {}, {.ids_are_new = true}).status(), "load");
  }
  std::printf("loaded %llu vectors of %u dimensions in %.1f s\n", static_cast<unsigned long long>(rows), dimension,
              since(begin));
  begin = Clock::now();
  Query query;
  query.vector = point(rows + 7, dimension);
  query.recall_target = 0.95F;
  require(space->nearest(query).status(), "search");
  std::printf("first search, which reads the database: %.2f s\n", since(begin));
  while ((*database)->stats().indexes_saved == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  std::printf("compressed and saved %.1f s later; in memory then: RssAnon %.0f, RssFile %.0f bytes a vector\n",
              since(begin), resident("RssAnon") / static_cast<double>(rows),
              resident("RssFile") / static_cast<double>(rows));
  begin = Clock::now();
  require((*database)->close(), "close");
  std::printf("closed in %.2f s\n", since(begin));
}

void open_and_search(const std::string& path, std::uint64_t rows, std::uint32_t dimension) {
  const double before = resident("RssAnon");
  const auto begin = Clock::now();
  auto database = Database::open(path, options(dimension));
  require(database.status(), "open");
  const double opened = since(begin);
  auto space = (*database)->space("bench");
  require(space.status(), "space");
  Query query;
  query.recall_target = 0.95F;
  query.vector = point(rows + 11, dimension);
  require(space->nearest(query).status(), "search");
  const double answered = since(begin);
  const double anonymous = resident("RssAnon") - before;
  const DatabaseStats stats = (*database)->stats();
  const auto each = static_cast<double>(rows);
  std::vector<double> times;
  for (std::uint64_t i = 0; i < 100; ++i) {
    query.vector = point(rows + 100 + i, dimension);
    const auto start = Clock::now();
    require(space->nearest(query).status(), "search");
    times.push_back(since(start) * 1e3);
  }
  std::sort(times.begin(), times.end());
  std::printf(
      "open %.3f s, with first approximate search %.3f s; restored %llu, loaded %llu; bytes a vector: RssAnon %.0f, "
      "index_bytes %.0f, index_file_bytes %.0f; next 100 searches: median %.2f ms, worst %.2f ms\n",
      opened, answered, static_cast<unsigned long long>(stats.indexes_restored),
      static_cast<unsigned long long>(stats.indexes_loaded), anonymous / each,
      static_cast<double>(stats.index_bytes) / each, static_cast<double>(stats.index_file_bytes) / each,
      times[times.size() / 2], times.back());
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t rows = 200'000;
  std::uint32_t dimension = 768;
  int rounds = 3;
  std::string path = "build/bench/saved_index", mode;
  bool keep = false;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto value = [&] { return ++i < argc ? argv[i] : ""; };
    if (name == "--rows") rows = std::strtoull(value(), nullptr, 10);
    if (name == "--dimension") dimension = static_cast<std::uint32_t>(std::strtoul(value(), nullptr, 10));
    if (name == "--rounds") rounds = std::atoi(value());
    if (name == "--dir") path = value();
    if (name == "--cold") cold = true;
    if (name == "--keep") keep = true;
    if (name == "--open") mode = "open";
  }
  if (mode == "open") {
    open_and_search(path, rows, dimension);
    return 0;
  }
  if (!std::filesystem::exists(path)) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    load(path, rows, dimension);
  }
  std::fflush(stdout);
  for (int round = 0; round < rounds; ++round) {
    std::string self = std::filesystem::read_symlink("/proc/self/exe").string(), open = "--open", rows_name = "--rows",
                count = std::to_string(rows), dimension_name = "--dimension", width = std::to_string(dimension),
                dir_name = "--dir", cold_name = "--cold";
    char* const arguments[] = {self.data(),     open.data(),           rows_name.data(),
                               count.data(),    dimension_name.data(), width.data(),
                               dir_name.data(), path.data(),           cold ? cold_name.data() : nullptr,
                               nullptr};
    pid_t child = 0;
    int status = 0;
    if (posix_spawn(&child, self.c_str(), nullptr, nullptr, arguments, environ) != 0 ||
        waitpid(child, &status, 0) != child || status != 0)
      return 1;
  }
  if (!keep) std::filesystem::remove_all(path);
  return 0;
}
