#include "plan.h"

#include <algorithm>
#include <utility>

#include "mneme/base/clock.h"
#include "mneme/base/json.h"
#include "mneme/migration/memory.h"
#include "mneme/storage/file_system.h"

namespace mneme::migration {

namespace {

using storage::PartitionBounds;

constexpr std::size_t kPartitionsMin = 16, kPartitionsMax = 256;
// So much of the source in one partition: a few chunks, so that the last worker at work does not keep the others waiting.
constexpr std::uint64_t kPartitionBytes = 128 * kMiB;

Status differs(std::string_view what, std::string_view planned, std::string_view found) {
  return Status(Code::FailedPrecondition, "the plan of this migration names the " + std::string(what) + " " +
                                              std::string(planned) + ", this call has " + std::string(found) +
                                              "; a plan serves no other");
}

Status check_cover(const std::vector<PartitionBounds>& partitions) {
  const auto bad = [](std::size_t at, std::string_view what) {
    return Status(Code::Corruption, "migration plan: partition " + std::to_string(at) + " " + std::string(what));
  };
  if (partitions.empty()) return bad(0, "is missing");
  if (!partitions.front().begin.empty()) return bad(0, "does not begin at the first key");
  for (std::size_t i = 0; i + 1 < partitions.size(); ++i) {
    if (partitions[i].end != partitions[i + 1].begin) return bad(i, "does not end where the next one begins");
    if (partitions[i].end <= partitions[i].begin) return bad(i, "is empty or backwards");
  }
  if (!partitions.back().end.empty()) return bad(partitions.size() - 1, "does not reach the last key");
  return {};
}

}  // namespace

Result<MigrationFiles> MigrationFiles::locate(const Database& target, const Space& space,
                                              const std::filesystem::path& target_directory) {
  MNEME_ASSIGN(const auto manifest, storage::read_control<storage::DatabaseManifest>(storage::posix_file_system(),
                                                                                     target_directory / "MANIFEST"));
  if (manifest.database != target.id())
    return Status(Code::InvalidArgument, target_directory.string() + ": holds database " +
                                             manifest.database.to_string() + ", the target is " +
                                             target.id().to_string());
  const std::filesystem::path root = target_directory / "migration";
  return MigrationFiles(target.id(), root, root / std::to_string(space.id().value));
}

Result<std::unique_ptr<storage::FileLock>> MigrationFiles::lock() const {
  storage::FileSystem& files = storage::posix_file_system();
  MNEME_TRY(files.make_directory(root_));
  MNEME_TRY(files.sync_directory(root_.parent_path()));
  MNEME_TRY(files.make_directory(directory_));
  MNEME_TRY(files.sync_directory(root_));
  return files.lock(directory_ / "LOCK");
}

template <class T>
Result<std::optional<T>> MigrationFiles::read(const std::filesystem::path& path) const {
  Result<storage::ControlFile<T>> file = storage::read_control<T>(storage::posix_file_system(), path);
  if (!file && file.status().code() == Code::NotFound) return std::optional<T>();
  if (!file) return file.status();
  if (file->database != database_)
    return Status(Code::FailedPrecondition, path.string() + ": belongs to database " + file->database.to_string() +
                                                ", not to " + database_.to_string());
  return std::optional<T>(std::move(file->record));
}

Result<std::optional<MigrationPlan>> MigrationFiles::read_plan() const { return read<MigrationPlan>(plan_path()); }

Result<std::optional<MigrationReport>> MigrationFiles::read_report() const {
  return read<MigrationReport>(report_path());
}

Status MigrationFiles::publish(const MigrationPlan& plan) const {
  return storage::write_control(storage::posix_file_system(), plan_path(), database_, plan);
}

Status MigrationFiles::publish(const MigrationReport& report) const {
  return storage::write_control(storage::posix_file_system(), report_path(), database_, report);
}

Sha256Digest options_hash(const SpaceInfo& space) {
  Bytes described;
  ByteWriter writer(described);
  writer.sized(std::string_view("mneme offline migration 1"));
  writer.fixed(space.id.value);
  writer.sized(space.name);
  writer.sized(std::string_view());  // external system of every node
  const GenerationInfo& generation = space.generations.at(0);
  writer.fixed(generation.id.value);
  writer.fixed(generation.dimension);
  return sha256(described);
}

Result<std::vector<PartitionBounds>> cut_partitions(const LegacyStore& source, std::size_t wanted) {
  if (wanted == 0)
    wanted =
        std::clamp<std::size_t>(source.approximate_bytes({}, {}) / kPartitionBytes, kPartitionsMin, kPartitionsMax);
  MNEME_ASSIGN(std::vector<std::string> cuts, source.split_points(wanted));
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  std::erase(cuts, std::string());

  std::vector<PartitionBounds> partitions(cuts.size() + 1);
  for (std::size_t i = 0; i < cuts.size(); ++i) partitions[i].end = partitions[i + 1].begin = std::move(cuts[i]);
  return partitions;
}

Result<MigrationPlan> make_plan(const LegacyStore& source, Lsn source_lsn, const Database& target,
                                const SpaceInfo& space, std::size_t partitions) {
  MigrationPlan plan;
  plan.migration_id = uuid_v7(system_clock(), system_random());
  plan.source_id = source.id();
  plan.target_id = target.id();
  plan.space = space.id.value;
  plan.space_name = space.name;
  plan.source_lsn = source_lsn.value;
  plan.source_records = source.stats().memories;
  plan.options_hash = options_hash(space);
  plan.transform_hash = transform_hash();
  plan.created_at_us = system_clock().now().time_since_epoch().count();
  MNEME_ASSIGN(plan.partitions, cut_partitions(source, partitions));
  return plan;
}

Status check_plan(const MigrationPlan& plan, const LegacyStore& source, const Database& target,
                  const SpaceInfo& space) {
  if (plan.source_id != source.id()) return differs("source", plan.source_id.to_string(), source.id().to_string());
  if (plan.target_id != target.id()) return differs("target", plan.target_id.to_string(), target.id().to_string());
  if (plan.space != space.id.value) return differs("space", std::to_string(plan.space), std::to_string(space.id.value));
  if (plan.transform_hash != transform_hash())
    return differs("transform", to_hex(plan.transform_hash), to_hex(transform_hash()));
  if (plan.options_hash != options_hash(space))
    return differs("options", to_hex(plan.options_hash), to_hex(options_hash(space)));
  return check_cover(plan.partitions);
}

Status check_source_unchanged(const MigrationPlan& plan, Lsn source_lsn) {
  if (plan.source_lsn == source_lsn.value) return {};
  return Status(Code::FailedPrecondition, "the source changed since the migration was planned: it was at change " +
                                              std::to_string(plan.source_lsn) + " and is at " +
                                              std::to_string(source_lsn.value) +
                                              "; drop the target space and migrate into a new one");
}

Status check_dimension(const LegacyStats& source, const SpaceInfo& space) {
  if (space.generations.empty() || space.generations.front().id != GenerationId{0})
    return Status(Code::FailedPrecondition, "space " + printable(space.name) +
                                                " has no generation 0, which takes the " +
                                                "source's embeddings; migrate into a space that has it");
  const std::uint32_t dimension = space.generations.front().dimension;
  if (!source.dimension || *source.dimension == dimension) return {};
  return Status(Code::InvalidArgument, "the source's embeddings have " + std::to_string(*source.dimension) +
                                           " dimensions, space " + printable(space.name) + " takes " +
                                           std::to_string(dimension) + "; make a space of the source's dimension");
}

std::size_t partition_of(const std::vector<PartitionBounds>& partitions, std::string_view id) {
  const auto behind = std::upper_bound(partitions.begin() + 1, partitions.end(), id,
                                       [](std::string_view key, const PartitionBounds& p) { return key < p.begin; });
  return static_cast<std::size_t>(behind - partitions.begin()) - 1;
}

std::string printable(std::string_view id) {
  constexpr std::size_t kShown = 60;
  const std::string_view head = id.substr(0, kShown);
  std::string out;
  if (is_valid_utf8(head)) {
    append_json_string(head, out);
  } else {
    out = "0x" + to_hex(as_bytes(head));
  }
  if (id.size() > kShown) out += "… (" + std::to_string(id.size()) + " bytes)";
  return out;
}

std::string printable_range(std::string_view begin, std::string_view end) {
  return "[" + (begin.empty() ? std::string("first") : printable(begin)) + ", " +
         (end.empty() ? std::string("last]") : printable(end) + ")");
}

}  // namespace mneme::migration
