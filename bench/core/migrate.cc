// Offline migration against a raw scan + SHA-256 + write of sorted files over as many bytes.

#include <chrono>
#include <filesystem>

#include "calibrate.h"
#include "engine_benches.h"
#include "mneme/migration/migrator.h"
#include "workload.h"

namespace mneme::bench {
namespace {

std::unique_ptr<migration::LegacyStore> make_source(const std::string& path, std::uint64_t nodes, double* bytes_each) {
  std::filesystem::remove_all(path);
  migration::LegacyOptions options;
  options.create_if_missing = true;
  auto opened = migration::LegacyStore::open(path, options);
  require(opened.ok(), opened.status().to_string());
  std::mt19937_64 random(6);
  std::vector<migration::Memory> batch;
  for (std::uint64_t i = 0; i < nodes; ++i) {
    batch.push_back(random_memory(random, i));
    if (batch.size() < 1000 && i + 1 < nodes) continue;
    const Status put = (*opened)->put_unsynced(batch);
    require(put.ok(), put.to_string());
    if (i + 1 == nodes) {
      Bytes encoded;
      migration::encode_memory(batch.back(), encoded);
      *bytes_each = static_cast<double>(encoded.size());
    }
    batch.clear();
  }
  require((*opened)->flush().ok(), "flush of the source");
  return std::move(*opened);
}

migration::MigrationResult migrate_once(migration::LegacyStore& source, const std::string& path) {
  std::filesystem::remove_all(path);
  DatabaseOptions options;
  options.create_if_missing = true;
  options.default_dimension = kDimension;
  auto target = Database::open(path, options);
  require(target.ok(), target.status().to_string());
  const Result<Space> space = (*target)->create_space("bench");
  require(space.ok(), space.status().to_string());
  auto result = migration::migrate_offline(source, **target, *space, path, {});
  require(result.ok(), result.status().to_string());
  require(result->verified && result->migrated == result->source_records, "the migration is not verified");
  require((*target)->close().ok(), "close of the target");
  std::filesystem::remove_all(path);
  return std::move(*result);
}

}  // namespace

std::vector<Figure> bench_migration(const Settings& settings) {
  if (!settings.wants("migrate_offline_500k")) return {};
  double bytes_each = 0;
  say("  migration: making the source");
  const auto source = make_source(settings.directory + "/legacy", settings.migrate_nodes, &bytes_each);
  const RawMigration raw(settings.directory, settings.migrate_nodes, static_cast<std::uint64_t>(bytes_each));
  std::vector<double> copies, wholes, limits, ratios, copy_ratios;
  for (unsigned round = 0; round < settings.rounds; ++round) {
    limits.push_back(raw.records_per_second());
    const migration::MigrationResult result = migrate_once(*source, settings.directory + "/dual");
    const auto nodes = static_cast<double>(result.migrated);
    copies.push_back(nodes / result.copy_seconds);
    wholes.push_back(nodes / (result.copy_seconds + result.verify_seconds));
    copy_ratios.push_back(copies.back() / limits.back());
    ratios.push_back(wholes.back() / limits.back());
    say("  migration: " + std::to_string(copies.back()) + "/s copied, " + std::to_string(wholes.back()) +
        "/s with the verification, limit " + std::to_string(limits.back()));
  }
  char note[240];
  std::snprintf(note, sizeof note,
                "%llu nodes of %.0f bytes, %u dimensions, 2 workers; copied and verified by a scan of both sides; pair "
                "by pair %.2f",
                static_cast<unsigned long long>(settings.migrate_nodes), bytes_each, kDimension, median(ratios));
  char copy_note[120];
  std::snprintf(copy_note, sizeof copy_note, "the copy alone, durable and visible; pair by pair %.2f",
                median(copy_ratios));
  return {{.name = "migrate_offline_500k",
           .value = median(wholes),
           .unit = "nodes/s",
           .limit = median(limits),
           .limit_name = "raw scan + SHA-256 + sorted files",
           .note = note},
          {.name = "migrate_offline_500k_copy",
           .value = median(copies),
           .unit = "nodes/s",
           .limit = median(limits),
           .limit_name = "raw scan + SHA-256 + sorted files",
           .note = copy_note}};
}

}  // namespace mneme::bench
