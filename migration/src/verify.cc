#include "verify.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "convert.h"
#include "mneme/base/mutex.h"

namespace mneme::migration {

namespace {

// Rows of the target that one worker reads at a stretch.
constexpr std::uint64_t kRowsPerPiece = 16'384;
// To name what differs, ids of a range are held in memory; a larger range is reported by its counts alone.
constexpr std::uint64_t kNamedRecordsMax = 1'000'000;
constexpr std::size_t kExamplesMax = 8;

/// Sums per partition. Workers keep one each and add it up at the end of an item.
struct Tally {
  explicit Tally(std::size_t partitions) : digests(partitions) {}
  std::vector<SetDigest> digests;
  std::uint64_t bytes = 0;
  std::uint64_t not_memories = 0;
  std::vector<std::string> not_memory_examples;

  void merge(const Tally& other) {
    for (std::size_t i = 0; i < digests.size(); ++i) digests[i].merge(other.digests[i]);
    bytes += other.bytes;
    not_memories += other.not_memories;
    for (const std::string& example : other.not_memory_examples)
      if (not_memory_examples.size() < kExamplesMax) not_memory_examples.push_back(example);
  }
};

/// A Tally that many workers add to.
class SharedTally {
 public:
  explicit SharedTally(std::size_t partitions) : tally_(partitions) {}
  void merge(const Tally& part) {
    MutexLock lock(mutex_);
    tally_.merge(part);
  }
  Tally take() {
    MutexLock lock(mutex_);
    return std::move(tally_);
  }

 private:
  Mutex mutex_;
  Tally tally_ MNEME_GUARDED_BY(mutex_);
};

/// A node of the target as the verifier sees it.
struct TargetNode {
  const NodeView& view;
  Status memory;         ///< why it is none
  std::string_view id;   ///< the legacy id
  const Bytes& encoded;  ///< the memory's bytes
};

/// Nodes with row in [first, end); `end` 0 means all that follow.
Status scan_rows(const VerifyJob& job, std::uint64_t first, std::uint64_t end, const StopFlag& stop,
                 const std::function<void(const TargetNode&)>& visit) {
  ScanQuery query;
  query.first = RowId{first};
  query.view = job.target_view;
  Bytes encoded;
  bool stopped = false;
  MNEME_TRY(job.space.scan(query, [&](const NodeView& node) {
    if (end != 0 && node.row().value >= end) return false;
    stopped = stop.is_set();
    if (stopped) return false;
    encoded.clear();
    Status memory = append_memory_encoding(*node, encoded);
    visit({node, std::move(memory), node->external_id().value_or(std::string_view()), encoded});
    return true;
  }));
  return stopped ? stopped_early() : Status();
}

Status tally_source(const VerifyJob& job, std::size_t partition, const StopFlag& stop, SharedTally& shared,
                    ProgressMeter& meter) {
  constexpr std::uint64_t kReportEvery = 1'024;
  Tally tally(job.partitions.size());
  SetDigest& digest = tally.digests[partition];
  const storage::PartitionBounds& bounds = job.partitions[partition];
  WorkAmount unreported;
  bool stopped = false;
  MNEME_TRY(job.source.scan(job.source_view, bounds.begin, bounds.end, [&](const LegacyStore::RawRecord& record) {
    digest.add(sha256(record.encoded));
    tally.bytes += record.encoded.size();
    unreported.bytes += record.encoded.size();
    if (++unreported.records == kReportEvery) meter.add(std::exchange(unreported, {}));
    stopped = stop.is_set();
    return !stopped;
  }));
  if (stopped) return stopped_early();
  meter.add(unreported);
  shared.merge(tally);
  return {};
}

Status tally_target(const VerifyJob& job, std::uint64_t first, std::uint64_t end, const StopFlag& stop,
                    SharedTally& shared, ProgressMeter& meter) {
  Tally tally(job.partitions.size());
  WorkAmount done;
  MNEME_TRY(scan_rows(job, first, end, stop, [&](const TargetNode& node) {
    ++done.records;
    done.bytes += node.encoded.size();
    if (node.memory) {
      tally.digests[partition_of(job.partitions, node.id)].add(sha256(node.encoded));
    } else {
      ++tally.not_memories;
      if (tally.not_memory_examples.size() < kExamplesMax)
        tally.not_memory_examples.push_back("node " + node.view.id().to_string() + ": " + node.memory.message());
    }
  }));
  meter.add(done);
  shared.merge(tally);
  return {};
}

Result<Tally> tally_quarantine(const VerifyJob& job) {
  Tally tally(job.partitions.size());
  if (!job.migration) return tally;
  MNEME_TRY(scan_quarantine(job.target, {job.space.id(), *job.migration}, [&](const QuarantineEntry& entry) {
    // By its id, not by the partition that wrote it: an entry in the wrong place shows as a difference.
    tally.digests[partition_of(job.partitions, entry.id)].add(sha256(entry.encoded));
    tally.bytes += entry.encoded.size();
    return Status();
  }));
  return tally;
}

SetDigest total(const Tally& tally) {
  SetDigest sum;
  for (const SetDigest& digest : tally.digests) sum.merge(digest);
  return sum;
}

/// What the source should have left over after the records set aside are taken out.
void leave_out(Tally& source, const Tally& set_aside) {
  for (std::size_t i = 0; i < source.digests.size(); ++i) {
    SetDigest& digest = source.digests[i];
    for (std::size_t lane = 0; lane < digest.lanes.size(); ++lane)
      digest.lanes[lane] -= set_aside.digests[i].lanes[lane];
    digest.count -= set_aside.digests[i].count;
  }
}

/// Names ids in ranges that differ, where the ranges are small enough to hold.
class DifferenceNames {
 public:
  DifferenceNames(const VerifyJob& job, std::map<std::size_t, PartitionDifference*> ranges)
      : job_(job), ranges_(std::move(ranges)) {}

  Status find(const StopFlag& stop) {
    MNEME_TRY(leave_out_quarantine());
    for (const auto& range : ranges_) MNEME_TRY(read_source(range.first));
    MNEME_TRY(scan_rows(job_, 0, 0, stop, [&](const TargetNode& node) {
      if (node.memory) meet(node);
    }));
    for (const auto& [id, source] : expected_)
      if (!source.met) name(id, "is missing from the target");
    return {};
  }

 private:
  struct Expected {
    Sha256Digest digest;
    bool met = false;
  };

  Status leave_out_quarantine() {
    if (!job_.migration) return {};
    return scan_quarantine(job_.target, {job_.space.id(), *job_.migration}, [&](const QuarantineEntry& entry) {
      set_aside_.emplace(entry.id, sha256(entry.encoded));
      return Status();
    });
  }

  Status read_source(std::size_t partition) {
    const storage::PartitionBounds& bounds = job_.partitions[partition];
    return job_.source.scan(job_.source_view, bounds.begin, bounds.end, [&](const LegacyStore::RawRecord& record) {
      const Sha256Digest digest = sha256(record.encoded);
      const auto aside = set_aside_.find(std::string(record.id));
      if (aside == set_aside_.end()) {
        expected_.emplace(record.id, Expected{digest});
      } else if (aside->second != digest) {
        name(std::string(record.id), "is not in the source as it was set aside");
      }
      return true;
    });
  }

  void meet(const TargetNode& node) {
    if (!ranges_.contains(partition_of(job_.partitions, node.id))) return;
    const std::string id(node.id);
    const auto source = expected_.find(id);
    if (source == expected_.end()) return name(id, "is not in the source");
    if (source->second.met) return name(id, "is in the target more than once");
    source->second.met = true;
    if (sha256(node.encoded) != source->second.digest) name(id, "differs");
  }

  void name(const std::string& id, std::string_view what) {
    const auto range = ranges_.find(partition_of(job_.partitions, id));
    if (range == ranges_.end()) return;
    std::vector<std::string>& examples = range->second->examples;
    if (examples.size() < kExamplesMax) examples.push_back(printable(id) + " " + std::string(what));
  }

  const VerifyJob& job_;
  const std::map<std::size_t, PartitionDifference*> ranges_;
  std::unordered_map<std::string, Expected> expected_;
  std::unordered_map<std::string, Sha256Digest> set_aside_;
};

Status add_examples(const VerifyJob& job, const std::vector<std::size_t>& partitions,
                    std::vector<PartitionDifference>& differences, ProgressMeter& meter) {
  std::map<std::size_t, PartitionDifference*> ranges;
  std::uint64_t records = 0;
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    records += differences[i].source_count;
    if (records > kNamedRecordsMax) break;
    ranges.emplace(partitions[i], &differences[i]);
  }
  return run_workers(
      1, ranges.empty() ? 0 : 1,
      [&](std::size_t, const StopFlag& stop) { return DifferenceNames(job, std::move(ranges)).find(stop); },
      [&] { return meter.report(); });
}

}  // namespace

Result<Comparison> compare(const VerifyJob& job, ProgressMeter& meter) {
  const std::size_t partitions = job.partitions.size();
  MNEME_ASSIGN(const SpaceStats stats, job.space.stats());
  meter.begin("verify", {job.source.stats().memories + stats.nodes, 0});

  // The rows of a space that was only migrated into are dense; the last piece has no end, whatever was done to it since.
  const std::size_t pieces = static_cast<std::size_t>(stats.nodes / kRowsPerPiece + 1);
  SharedTally shared_source(partitions), shared_target(partitions);
  MNEME_TRY(run_workers(
      job.workers, partitions + pieces,
      [&](std::size_t item, const StopFlag& stop) {
        if (item < partitions) return tally_source(job, item, stop, shared_source, meter);
        const std::uint64_t piece = item - partitions;
        const std::uint64_t end = piece + 1 == pieces ? 0 : (piece + 1) * kRowsPerPiece;
        return tally_target(job, piece * kRowsPerPiece, end, stop, shared_target, meter);
      },
      [&] { return meter.report(); }));
  MNEME_ASSIGN(const Tally set_aside, tally_quarantine(job));

  Tally source = shared_source.take();
  const Tally target = shared_target.take();
  leave_out(source, set_aside);

  Comparison comparison;
  comparison.source = total(source);
  comparison.target = total(target);
  comparison.quarantined = total(set_aside);
  comparison.source_bytes = source.bytes;
  std::vector<std::size_t> differing;
  for (std::size_t i = 0; i < partitions; ++i) {
    if (source.digests[i] == target.digests[i]) continue;
    differing.push_back(i);
    comparison.differences.push_back(
        {job.partitions[i].begin, job.partitions[i].end, source.digests[i].count, target.digests[i].count, {}});
  }
  MNEME_TRY(add_examples(job, differing, comparison.differences, meter));
  if (target.not_memories > 0)
    comparison.differences.push_back({{}, {}, 0, target.not_memories, target.not_memory_examples});
  return comparison;
}

}  // namespace mneme::migration
