// Opening after a kill with a long log: once over little data, once over much.

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>

#include "calibrate.h"
#include "engine_benches.h"
#include "workload.h"

namespace mneme::bench {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

DatabaseOptions options_for(const Settings& settings) {
  DatabaseOptions options;
  options.create_if_missing = true;
  options.default_dimension = kDimension;
  options.log_bytes_max = 4 * settings.reopen_mib * kMiB;  // nothing is flushed before the kill
  options.unapplied_bytes_max = 2 * settings.reopen_mib * kMiB;
  return options;
}

// In a child that kills itself: `before` MiB that are flushed, then `log` MiB that are not.
void write_and_die(const Settings& settings, const std::string& path, std::uint64_t before, std::uint64_t log) {
  const pid_t child = fork();
  require(child >= 0, "fork");
  if (child == 0) {
    auto db = Database::open(path, options_for(settings));
    require(db.ok(), db.status().to_string());
    auto space = (*db)->create_space("bench");
    require(space.ok(), space.status().to_string());
    std::mt19937_64 random(7);
    const auto write_mib = [&](std::uint64_t mib) {
      for (std::uint64_t written = 0; written < mib * kMiB;) {
        Batch batch;
        for (int i = 0; i < 256; ++i) {
          require(batch.put(*space, random_node(random)).ok(), "put");
          written += 4096;
        }
        require((*db)->write(batch, Durability::Memory).ok(), "write");
      }
    };
    write_mib(before);
    require((*db)->flush().ok(), "flush");
    write_mib(log);
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  require(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
          "the writer did not end as it should");
}

// The log is written out first: a crash is followed by a start-up, and what is measured is the opening.
double reopen_once(const Settings& settings, std::uint64_t before, RecoveryInfo* found) {
  const std::string path = settings.directory + "/reopen";
  std::filesystem::remove_all(path);
  write_and_die(settings, path, before, settings.reopen_mib);
  sync();
  const auto begin = Clock::now();
  auto db = Database::open(path, options_for(settings));
  const double seconds = since(begin);
  require(db.ok(), db.status().to_string());
  *found = (*db)->recovery();
  db->reset();
  std::filesystem::remove_all(path);
  return seconds;
}

}  // namespace

std::vector<Figure> bench_reopen(const Settings& settings) {
  if (!settings.wants("reopen_after_kill_256mb")) return {};
  std::vector<double> small, large, limits;
  RecoveryInfo found;
  for (unsigned round = 0; round < settings.rounds; ++round) {
    const double bandwidth = checksummed_read_bandwidth(settings.directory, settings.reopen_mib * kMiB);
    limits.push_back(static_cast<double>(settings.reopen_mib * kMiB) / bandwidth);
    small.push_back(reopen_once(settings, 16, &found));
    large.push_back(reopen_once(settings, 1024, &found));
    say("  reopen: " + std::to_string(small.back()) + " s over 16 MiB of data, " + std::to_string(large.back()) +
        " s over 1 GiB");
  }
  char note[240];
  std::snprintf(note, sizeof note,
                "%llu records, %.0f MB of log replayed; %.3f s over 16 MiB of older data, %.3f s over 1 GiB",
                static_cast<unsigned long long>(found.records), static_cast<double>(found.bytes) / 1e6, median(small),
                median(large));
  return {{.name = "reopen_after_kill_256mb",
           .value = median(large),
           .unit = "s",
           .limit = median(limits),
           .limit_name = "read + CRC-32C of the log",
           .less_is_better = true,
           .note = note}};
}

}  // namespace mneme::bench
