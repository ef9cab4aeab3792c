// bench_core: how close the engine comes to what the machine can do.
//
//   bench_core [--out FILE] [--dir DIR] [--seconds S] [--rounds N] [--nodes N] [--only NAME]…

#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "calibrate.h"
#include "engine_benches.h"

namespace {

using namespace mneme::bench;

Settings parse(int argc, char** argv, std::string& out) {
  Settings settings;
  settings.directory = (std::filesystem::current_path() / "build" / "bench" / "data").string();
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    require(i + 1 < argc, option + " needs a value; options: --out --dir --seconds --rounds --nodes --only");
    const std::string value = argv[i + 1];
    if (option == "--out")
      out = value;
    else if (option == "--dir")
      settings.directory = value;
    else if (option == "--seconds")
      settings.seconds = std::strtod(value.c_str(), nullptr);
    else if (option == "--rounds")
      settings.rounds = static_cast<unsigned>(std::strtoul(value.c_str(), nullptr, 10));
    else if (option == "--nodes")
      settings.migrate_nodes = std::strtoull(value.c_str(), nullptr, 10);
    else if (option == "--only")
      settings.only.push_back(value);
    else
      require(false, "no option " + option);
  }
  require(settings.seconds > 0 && settings.rounds > 0 && settings.migrate_nodes > 0, "a number is out of range");
  return settings;
}

std::vector<Figure> calibration(const Settings& settings) {
  std::vector<Figure> figures;
  const double sync = synced_appends_per_second(settings.directory, 4096, settings.seconds);
  figures.push_back(
      {.name = "machine_fdatasync_4k", .value = 1e6 / sync, .unit = "us", .note = "append to blocks written before"});
  const double megabyte = synced_appends_per_second(settings.directory, 1 << 20, settings.seconds);
  figures.push_back({.name = "machine_append_fdatasync_1m", .value = megabyte * 1.048576, .unit = "MB/s", .note = {}});
  figures.push_back({.name = "machine_read_1_thread", .value = read_bandwidth(1) / 1e9, .unit = "GB/s", .note = {}});
  const unsigned threads = std::max(1U, std::thread::hardware_concurrency());
  figures.push_back({.name = "machine_read_all_threads",
                     .value = read_bandwidth(threads) / 1e9,
                     .unit = "GB/s",
                     .note = std::to_string(threads) + " threads"});
  return figures;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5 && std::string_view(argv[1]) == kWriteAndDie) {
    write_and_die(argv[2], std::strtoull(argv[3], nullptr, 10), std::strtoull(argv[4], nullptr, 10));
    return 1;  // it lived
  }
  std::string out;
  const Settings settings = parse(argc, argv, out);
  std::filesystem::create_directories(settings.directory);
  say("calibrating");
  std::vector<Figure> figures = calibration(settings);
  for (const auto bench : {bench_puts, bench_reads, bench_migration, bench_reopen})
    for (Figure& figure : bench(settings)) figures.push_back(std::move(figure));
  std::filesystem::remove_all(settings.directory);
  return report(figures, out) ? 0 : 1;
}
