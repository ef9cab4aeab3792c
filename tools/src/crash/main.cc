// mneme-crash: kills writers and migrations at random moments, reopens, and counts what is lost; damages the files of
// saved indexes, and counts wrong answers.
//
// Exit codes: 0 nothing was lost; 1 it could not run; 2 the command line; 4 a promise was broken (details on standard
// error, the directory is kept).
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <random>
#include <string>

#include "cycles.h"

namespace mneme::crash {

void say_progress(const char* what, std::uint64_t done, std::uint64_t total, const Outcome& so_far) {
  const std::uint64_t step = total < 20 ? 1 : total / 20;
  if (done % step != 0 && done != total) return;
  std::fprintf(stderr, "%s %lu/%lu  acked=%lu lost=%lu torn=%lu duplicates=%lu\n", what, done, total,
               so_far.acknowledged, so_far.lost, so_far.torn, so_far.duplicates);
}

namespace {

std::filesystem::path fresh_directory() {
  std::string name = (std::filesystem::temp_directory_path() / "mneme-crash-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name + " failed");
  return name;
}

int run(const Settings& settings) {
  std::fprintf(stderr, "mneme-crash: seed %lu, directory %s\n", settings.seed, settings.directory.c_str());
  const std::unique_ptr<Random> random = seeded_random(settings.seed);
  const Outcome writes = run_write_cycles(settings, *random);
  Outcome all = writes;
  std::uint64_t migration_cycles = 0;
  if (all.sound() && settings.migration_cycles > 0) {
    const Outcome migrations = run_migration_cycles(settings, *random);
    migration_cycles = migrations.cycles;
    all.add(migrations);
  }
  std::printf(
      "cycles=%lu migration_cycles=%lu acked_ops=%lu indeterminate_ops=%lu acked_lost=%lu atomicity_violations=%lu "
      "duplicates=%lu seed=%lu\n",
      writes.cycles, migration_cycles, all.acknowledged, all.indeterminate, all.lost, all.torn, all.duplicates,
      settings.seed);
  if (all.sound() && (settings.index_cycles == 0 || run_index_cycles(settings, *random)) &&
      (settings.index_flips == 0 || run_index_flips(settings, *random)))
    return 0;
  std::fprintf(stderr, "mneme-crash: a promise was broken; what is left lies in %s\n", settings.directory.c_str());
  return 4;
}

}  // namespace

}  // namespace mneme::crash

int main(int argc, char** argv) {
  mneme::crash::Settings settings;
  settings.seed = std::random_device{}();
  bool keep = false;
  CLI::App app{"Kills writers and migrations at random moments, damages indexes, and counts what is lost."};
  app.add_option("--cycles", settings.cycles, "Kills of a database under mixed writes")->capture_default_str();
  app.add_option("--migration-cycles", settings.migration_cycles, "Kills of a running migration")
      ->capture_default_str();
  app.add_option("--seed", settings.seed, "Of the contents and of the choices; not of the threads' timing");
  app.add_option("--dir", settings.directory, "Where to work (default: a fresh directory in TMPDIR)");
  app.add_option("--memories", settings.memories, "In the legacy store that is migrated")->capture_default_str();
  app.add_option("--index-cycles", settings.index_cycles, "Kills of a database that saves and restores an index")
      ->capture_default_str();
  app.add_option("--index-flips", settings.index_flips, "Bits, pages and files of a saved index that are damaged")
      ->capture_default_str();
  app.add_flag("--lose-last-cycle", settings.lose_last_cycle,
               "A test of this program: lose the writes of the last cycle, which it must find");
  app.add_flag("--keep", keep, "Keep the directory even when all is well");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    if (settings.directory.empty())
      settings.directory = mneme::crash::fresh_directory();
    else
      std::filesystem::create_directories(settings.directory);
    if (!std::filesystem::is_empty(settings.directory)) {
      std::fprintf(stderr, "mneme-crash: %s is not empty\n", settings.directory.c_str());
      return 2;
    }
    const int code = mneme::crash::run(settings);
    if ((code == 0 || settings.lose_last_cycle) && !keep) std::filesystem::remove_all(settings.directory);
    return code;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mneme-crash: %s\n", error.what());
    return 1;
  }
}
