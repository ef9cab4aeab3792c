#include "mneme/migration/migrator.h"

#include <algorithm>
#include <utility>

#include "backfill.h"
#include "mneme/base/clock.h"
#include "mneme/base/limits.h"
#include "mneme/storage/failpoint.h"
#include "plan.h"
#include "side_entries.h"
#include "verify.h"
#include "workers.h"

namespace mneme::migration {

namespace {

constexpr std::size_t kPartitionsMax = 4'096;
constexpr std::size_t kDifferencesTold = 3;

Status check_options(const MigrationOptions& options) {
  const auto refuse = [](std::string_view field, std::uint64_t found, std::string_view allowed) {
    return Status(Code::InvalidArgument, "migration option " + std::string(field) + " is " + std::to_string(found) +
                                             ", it must be " + std::string(allowed));
  };
  if (options.parallel_workers > 256) return refuse("parallel_workers", options.parallel_workers, "at most 256");
  if (options.batch_size == 0 || options.batch_size > limits::kBatchOperationsMax)
    return refuse("batch_size", options.batch_size, "1 to " + std::to_string(limits::kBatchOperationsMax));
  if (options.chunk_bytes_max < kMiB || options.chunk_bytes_max > limits::kBatchBytesMax)
    return refuse("chunk_bytes_max", options.chunk_bytes_max, "1 MiB to 256 MiB");
  if (options.partitions > kPartitionsMax)
    return refuse("partitions", options.partitions, "at most " + std::to_string(kPartitionsMax));
  return {};
}

PartitionCursor sum_of(const std::vector<PartitionCursor>& cursors) {
  PartitionCursor sum;
  for (const PartitionCursor& cursor : cursors) {
    sum.seen += cursor.seen;
    sum.migrated += cursor.migrated;
    sum.skipped += cursor.skipped;
    sum.quarantined += cursor.quarantined;
    sum.bytes += cursor.bytes;
    sum.digest.merge(cursor.digest);
  }
  return sum;
}

SetDigest digest_from(const std::array<std::uint8_t, 32>& bytes, std::uint64_t count) {
  SetDigest digest;
  for (std::size_t lane = 0; lane < digest.lanes.size(); ++lane)
    digest.lanes[lane] = load_le<std::uint64_t>(std::as_bytes(std::span(bytes)).data() + 8 * lane);
  digest.count = count;
  return digest;
}

std::string describe(const PartitionDifference& difference) {
  std::string out = printable_range(difference.begin, difference.end) + ": source " +
                    std::to_string(difference.source_count) + ", target " + std::to_string(difference.target_count);
  if (!difference.examples.empty()) out += " (" + difference.examples.front() + ")";
  return out;
}

Status mismatch(const std::vector<PartitionDifference>& differences) {
  std::string told;
  for (std::size_t i = 0; i < std::min(kDifferencesTold, differences.size()); ++i)
    told += (i == 0 ? "" : "; ") + describe(differences[i]);
  return Status(Code::Mismatch, "source and target differ in " + std::to_string(differences.size()) +
                                    " ranges: " + told + "; verify lists all");
}

/// One call of migrate_offline: PREFLIGHT → BACKFILL → VERIFY → FINALIZED.
class OfflineMigration {
 public:
  OfflineMigration(LegacyStore& source, Database& target, const Space& space, MigrationFiles files,
                   const std::filesystem::path& directory, const MigrationOptions& options)
      : source_(source),
        target_(target),
        space_(space),
        files_(std::move(files)),
        directory_(directory),
        options_(options),
        workers_(worker_count(options.parallel_workers)),
        meter_(options.progress, system_clock()) {}

  Result<MigrationResult> run() {
    // An empty batch writes nothing and is refused where nothing can be written.
    MNEME_TRY(target_.write(Batch()).status().with_context("migrate"));
    MNEME_ASSIGN(const std::unique_ptr<storage::FileLock> lock, files_.lock());
    MNEME_TRY(preflight());
    if (finished_) return from_report();
    MNEME_TRY(copy());
    return verify_and_finish();
  }

 private:
  // ---- PREFLIGHT ----

  Status preflight() {
    meter_.begin("preflight", {});
    if (!meter_.report()) return Status(Code::Cancelled, "stopped on request before anything was written");
    MNEME_ASSIGN(info_, space_.info());
    MNEME_TRY(check_dimension(source_.stats(), info_));
    view_ = source_.view();

    MNEME_ASSIGN(std::optional<MigrationPlan> plan, read_plan());
    if (!plan) {
      MNEME_TRY(check_started());
      return start_new();
    }
    plan_ = std::move(*plan);
    MNEME_TRY(check_plan(plan_, source_, target_, info_));
    MNEME_TRY(check_source_unchanged(plan_, source_.lsn(*view_)));
    MNEME_TRY(read_report());
    if (finished_) return {};
    MNEME_TRY(check_started());
    return take_up();
  }

  Status check_started() const {
    if (info_.state == SpaceState::Started) return {};
    return Status(Code::FailedPrecondition, "space " + printable(space_.name()) + " is stopped; start it to migrate");
  }

  /// The plan that is there; none when there is none, or when it is damaged and nothing was done by it yet.
  Result<std::optional<MigrationPlan>> read_plan() {
    MNEME_ASSIGN(const bool written, has_side_entries(target_, space_.id()));
    Result<std::optional<MigrationPlan>> plan = files_.read_plan();
    if (!plan && plan.status().code() == Code::Corruption && !written) return std::optional<MigrationPlan>();
    if (!plan)
      return plan.status().with_context(
          "this migration cannot be resumed; restore its plan from a copy, or drop the "
          "space and migrate into a new one");
    if (!*plan && written)
      return Status(Code::FailedPrecondition,
                    files_.plan_path().string() + ": there is no plan, but a migration has written into space " +
                        printable(space_.name()) +
                        "; restore the plan from a copy, or drop the space and migrate into a new one");
    return plan;
  }

  /// A report that is damaged says nothing: the comparison is made again and the report with it.
  Status read_report() {
    Result<std::optional<MigrationReport>> report = files_.read_report();
    if (!report) return report.status().code() == Code::Corruption ? Status() : report.status();
    if (!*report) return {};
    if ((*report)->migration_id != plan_.migration_id)
      return Status(Code::FailedPrecondition, files_.report_path().string() + ": is of migration " +
                                                  (*report)->migration_id.to_string() + ", the plan beside it of " +
                                                  plan_.migration_id.to_string());
    report_ = **report;
    finished_ = report_.verified;
    return {};
  }

  Status start_new() {
    MNEME_ASSIGN(const SpaceStats stats, space_.stats());
    if (stats.nodes != 0)
      return Status(Code::FailedPrecondition, "space " + printable(space_.name()) + " holds " +
                                                  std::to_string(stats.nodes) +
                                                  " nodes that no migration has written; migrate into an empty space");
    MNEME_TRY(check_room(source_.approximate_bytes({}, {})));
    MNEME_ASSIGN(plan_, make_plan(source_, source_.lsn(*view_), target_, info_, options_.partitions));
    MNEME_FAILPOINT("migration.before_plan");
    MNEME_TRY(files_.publish(plan_));
    MNEME_FAILPOINT("migration.after_plan");
    cursors_.resize(plan_.partitions.size());
    return {};
  }

  Status take_up() {
    MNEME_ASSIGN(cursors_, load_cursors(target_, {space_.id(), plan_.migration_id}, plan_.partitions.size()));
    const PartitionCursor sum = sum_of(cursors_);
    MNEME_ASSIGN(const SpaceStats stats, space_.stats());
    if (stats.nodes != sum.migrated)
      return Status(Code::FailedPrecondition, "space " + printable(space_.name()) + " holds " +
                                                  std::to_string(stats.nodes) + " nodes, this migration has written " +
                                                  std::to_string(sum.migrated) +
                                                  "; drop the space and migrate into a new one");
    if (!options_.resume)
      return Status(Code::FailedPrecondition, "a migration into space " + printable(space_.name()) +
                                                  " was begun and has copied " + std::to_string(sum.seen) + " of " +
                                                  std::to_string(plan_.source_records) + " records; resume it");
    const std::uint64_t whole = source_.approximate_bytes({}, {});
    return check_room(whole - std::min(whole, sum.bytes));
  }

  Status check_room(std::uint64_t needed) const {
    MNEME_ASSIGN(const std::uint64_t room, storage::posix_file_system().available_bytes(directory_));
    if (room >= needed) return {};
    return Status(Code::NoSpace, directory_.string() + ": what is to be copied takes about " + std::to_string(needed) +
                                     " bytes, " + std::to_string(room) + " are free");
  }

  // ---- BACKFILL ----

  Status copy() {
    const PartitionCursor before = sum_of(cursors_);
    meter_.begin("backfill", {plan_.source_records, source_.approximate_bytes({}, {})}, {before.seen, before.bytes});
    const Status copied = backfill({.source = source_,
                                    .view = view_,
                                    .target = target_,
                                    .space = space_,
                                    .dimension = info_.generations.front().dimension,
                                    .plan = plan_,
                                    .chunk_records_max = options_.batch_size,
                                    .chunk_bytes_max = options_.chunk_bytes_max,
                                    .workers = workers_},
                                   cursors_, meter_);
    const PartitionCursor after = sum_of(cursors_);
    result_.migrated_now = after.migrated - before.migrated;
    result_.copy_seconds = meter_.phase_seconds();
    view_.reset();
    if (copied.ok() || copied.code() != Code::Cancelled) return copied;
    return Status(Code::Cancelled, "stopped on request after " + std::to_string(after.seen) + " of " +
                                       std::to_string(plan_.source_records) + " records; resume goes on from there");
  }

  // ---- VERIFY ----

  Result<MigrationResult> verify_and_finish() {
    const std::shared_ptr<const LegacyStore::View> view = source_.view();
    MNEME_TRY(check_source_unchanged(plan_, source_.lsn(*view)));
    MNEME_ASSIGN(ReadView target_view, target_.read_view());
    const Lsn target_lsn = target_view.lsn();
    MNEME_ASSIGN(const Comparison comparison, compare({.source = source_,
                                                       .source_view = view,
                                                       .target = target_,
                                                       .space = space_,
                                                       .target_view = std::move(target_view),
                                                       .partitions = plan_.partitions,
                                                       .migration = plan_.migration_id,
                                                       .workers = workers_},
                                                      meter_));
    result_.verify_seconds = meter_.phase_seconds();
    if (!comparison.equal()) return mismatch(comparison.differences);
    MNEME_TRY(take_census(comparison));
    MNEME_TRY(finish(target_lsn));
    return result_;
  }

  /// Every source record is migrated, skipped or quarantined, as the scan just found them and as the cursors say.
  Status take_census(const Comparison& comparison) {
    const PartitionCursor sum = sum_of(cursors_);
    result_.source_records = comparison.source.count + comparison.quarantined.count;
    result_.migrated = sum.migrated;
    result_.skipped = sum.skipped;
    result_.quarantined = sum.quarantined;
    result_.bytes = comparison.source_bytes;
    result_.source = comparison.source;
    result_.target = comparison.target;

    SetDigest scanned = comparison.source;
    scanned.merge(comparison.quarantined);
    const bool adds_up = sum.migrated + sum.skipped + sum.quarantined == result_.source_records &&
                         sum.migrated + sum.skipped == comparison.target.count &&
                         sum.quarantined == comparison.quarantined.count && sum.bytes == comparison.source_bytes;
    if (!adds_up || sum.digest != scanned)
      return Status(Code::Internal, "the scan found " + std::to_string(result_.source_records) + " records, digest " +
                                        scanned.to_hex() + "; the cursors have " + std::to_string(sum.migrated) +
                                        " migrated + " + std::to_string(sum.skipped) + " skipped + " +
                                        std::to_string(sum.quarantined) + " quarantined, digest " +
                                        sum.digest.to_hex());
    if (result_.source_records != plan_.source_records)
      return Status(Code::Mismatch, "the source counts " + std::to_string(plan_.source_records) +
                                        " memories, its scan found " + std::to_string(result_.source_records));
    result_.verified = true;
    return {};
  }

  // ---- FINALIZED ----

  Status finish(Lsn target_lsn) {
    MigrationReport report;
    report.migration_id = plan_.migration_id;
    report.source_records = result_.source_records;
    report.migrated = result_.migrated;
    report.skipped = result_.skipped;
    report.quarantined = result_.quarantined;
    report.bytes = result_.bytes;
    report.source_digest = result_.source.bytes();
    report.target_digest = result_.target.bytes();
    report.target_lsn = target_lsn.value;
    report.finished_at_us = system_clock().now().time_since_epoch().count();
    report.copy_seconds = result_.copy_seconds;
    report.verify_seconds = result_.verify_seconds;
    report.verified = true;
    MNEME_FAILPOINT("migration.before_report");
    MNEME_TRY(files_.publish(report));
    MNEME_FAILPOINT("migration.after_report");
    return {};
  }

  Result<MigrationResult> from_report() const {
    MigrationResult result;
    result.source_records = report_.source_records;
    result.migrated = report_.migrated;
    result.skipped = report_.skipped;
    result.quarantined = report_.quarantined;
    result.bytes = report_.bytes;
    const std::uint64_t held = report_.migrated + report_.skipped;
    result.source = digest_from(report_.source_digest, held);
    result.target = digest_from(report_.target_digest, held);
    result.copy_seconds = report_.copy_seconds;
    result.verify_seconds = report_.verify_seconds;
    result.verified = report_.verified;
    result.was_finished = true;
    return result;
  }

  LegacyStore& source_;
  Database& target_;
  const Space& space_;
  const MigrationFiles files_;
  const std::filesystem::path directory_;
  const MigrationOptions& options_;
  const unsigned workers_;
  ProgressMeter meter_;

  SpaceInfo info_;
  std::shared_ptr<const LegacyStore::View> view_;  // what is copied
  MigrationPlan plan_;
  MigrationReport report_;
  bool finished_ = false;
  std::vector<PartitionCursor> cursors_;
  MigrationResult result_;
};

}  // namespace

Result<MigrationResult> migrate_offline(LegacyStore& source, Database& target, const Space& space,
                                        const std::filesystem::path& target_directory,
                                        const MigrationOptions& options) {
  MNEME_TRY(check_options(options));
  MNEME_ASSIGN(MigrationFiles files, MigrationFiles::locate(target, space, target_directory));
  return OfflineMigration(source, target, space, std::move(files), target_directory, options).run();
}

Result<MigrationResult> verify_migration(LegacyStore& source, Database& target, const Space& space,
                                         const std::filesystem::path& target_directory,
                                         const MigrationOptions& options) {
  MNEME_TRY(check_options(options));
  MNEME_ASSIGN(const MigrationFiles files, MigrationFiles::locate(target, space, target_directory));
  MNEME_ASSIGN(std::optional<MigrationPlan> plan, files.read_plan());
  if (plan && plan->source_id != source.id())
    return Status(Code::FailedPrecondition, "space " + printable(space.name()) + " was migrated from source " +
                                                plan->source_id.to_string() + ", not from " + source.id().to_string());
  MNEME_ASSIGN(ReadView target_view, target.read_view());
  VerifyJob job{.source = source,
                .source_view = source.view(),
                .target = target,
                .space = space,
                .target_view = std::move(target_view),
                .partitions = {},
                .migration = {},
                .workers = worker_count(options.parallel_workers)};
  if (plan) {
    job.partitions = std::move(plan->partitions);
    job.migration = plan->migration_id;
  } else {
    MNEME_ASSIGN(job.partitions, cut_partitions(source, options.partitions));
  }

  ProgressMeter meter(options.progress, system_clock());
  MNEME_ASSIGN(Comparison comparison, compare(job, meter));
  MigrationResult result;
  result.source_records = comparison.source.count + comparison.quarantined.count;
  result.migrated = comparison.target.count;
  result.quarantined = comparison.quarantined.count;
  result.bytes = comparison.source_bytes;
  result.source = comparison.source;
  result.target = comparison.target;
  result.verify_seconds = meter.phase_seconds();
  result.verified = comparison.equal();
  result.differences = std::move(comparison.differences);
  return result;
}

Result<std::vector<Quarantined>> quarantined_records(Database& target, const Space& space,
                                                     const std::filesystem::path& target_directory) {
  MNEME_ASSIGN(const MigrationFiles files, MigrationFiles::locate(target, space, target_directory));
  MNEME_ASSIGN(const std::optional<MigrationPlan> plan, files.read_plan());
  std::vector<Quarantined> records;
  if (!plan) return records;
  MNEME_TRY(scan_quarantine(target, {space.id(), plan->migration_id}, [&](const QuarantineEntry& entry) {
    records.push_back({entry.id, entry.reason});
    return Status();
  }));
  std::sort(records.begin(), records.end(), [](const Quarantined& a, const Quarantined& b) { return a.id < b.id; });
  return records;
}

}  // namespace mneme::migration
