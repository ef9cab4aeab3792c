// Opening after a kill with a long log: once over little data, once over much.

#include <spawn.h>
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

DatabaseOptions options_for(std::uint64_t log_mib) {
  DatabaseOptions options;
  options.create_if_missing = true;
  options.default_dimension = kDimension;
  options.log_bytes_max = 4 * log_mib * kMiB;  // nothing is flushed before the kill
  options.unapplied_bytes_max = 2 * log_mib * kMiB;
  return options;
}

// Runs this program again as the writer: a forked child would lack RocksDB's background threads.
void run_writer(const std::string& path, std::uint64_t before, std::uint64_t log) {
  std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  std::string mode(kWriteAndDie), target = path, mib_before = std::to_string(before), mib_log = std::to_string(log);
  char* const arguments[] = {self.data(), mode.data(), target.data(), mib_before.data(), mib_log.data(), nullptr};
  pid_t child = 0;
  require(posix_spawn(&child, self.c_str(), nullptr, nullptr, arguments, environ) == 0, "start the writer");
  int status = 0;
  require(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
          "the writer did not end as it should");
}

// The log is written out first: a crash is followed by a start-up, and what is measured is the opening.
double reopen_once(const Settings& settings, std::uint64_t before, RecoveryInfo* found) {
  const std::string path = settings.directory + "/reopen";
  std::filesystem::remove_all(path);
  run_writer(path, before, settings.reopen_mib);
  sync();
  const auto begin = Clock::now();
  auto db = Database::open(path, options_for(settings.reopen_mib));
  const double seconds = since(begin);
  require(db.ok(), db.status().to_string());
  *found = (*db)->recovery();
  db->reset();
  std::filesystem::remove_all(path);
  return seconds;
}

}  // namespace

void write_and_die(const std::string& path, std::uint64_t before, std::uint64_t log) {
  auto db = Database::open(path, options_for(log));
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
