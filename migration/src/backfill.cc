#include "backfill.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "convert.h"
#include "mneme/migration/memory.h"
#include "mneme/storage/failpoint.h"

namespace mneme::migration {

namespace {

/// One partition on its way: gathers a chunk, writes it, goes on.
class PartitionCopy {
 public:
  PartitionCopy(const BackfillJob& job, std::size_t partition, PartitionCursor& cursor, ProgressMeter& meter)
      : job_(job), partition_(static_cast<std::uint32_t>(partition)), cursor_(cursor), ahead_(cursor), meter_(meter) {}

  Status run(const StopFlag& stop) {
    const storage::PartitionBounds& bounds = job_.plan.partitions[partition_];
    Status taken;
    MNEME_TRY(
        job_.source.scan(job_.view, first_key(bounds.begin), bounds.end, [&](const LegacyStore::RawRecord& record) {
          taken = stop.is_set() ? stopped_early() : take(record);
          return taken.ok();
        }));
    MNEME_TRY(std::move(taken));
    return write_chunk(/*last=*/true);
  }

 private:
  // The least key behind the last one seen, in byte order.
  std::string first_key(const std::string& begin) const { return cursor_.seen == 0 ? begin : cursor_.last_key + '\0'; }

  Status take(const LegacyStore::RawRecord& record) {
    // A full chunk waits for the next record, so that the last chunk of a partition is always the one that ends it.
    if (is_full(record.encoded.size())) MNEME_TRY(write_chunk(/*last=*/false));
    ++ahead_.seen;
    ahead_.bytes += record.encoded.size();
    ahead_.digest.add(sha256(record.encoded));
    ahead_.last_key = record.id;
    chunk_bytes_ += record.encoded.size();

    Result<NodeRecordPtr> node = convert(record);
    if (node) {
      ++ahead_.migrated;
      nodes_.push_back(std::move(*node));
    } else {
      ++ahead_.quarantined;
      set_aside(record, node.status().message());
    }
    return {};
  }

  bool is_full(std::size_t next_bytes) const {
    const std::size_t records = nodes_.size() + side_.size();
    return records > 0 && (records >= job_.chunk_records_max || chunk_bytes_ + next_bytes > job_.chunk_bytes_max);
  }

  Result<NodeRecordPtr> convert(const LegacyStore::RawRecord& record) const {
    // A store of an earlier release may hold what today's rules refuse; what enters is checked on every path.
    MNEME_ASSIGN(const Memory memory, decode_memory(record.encoded));
    MNEME_TRY(validate_memory(memory));
    MNEME_ASSIGN(NodeRecordPtr node, record_from_memory_encoding(record.encoded, job_.space.name()));
    // The node's id comes from the id inside the record; under another key it would be counted in another partition.
    if (memory.id != record.id)
      return Status(Code::Corruption, "stored under this id, but holds the id " + printable(memory.id));
    for (std::size_t i = 0; i < node->vector_count(); ++i)
      if (node->shape(i).dimension != job_.dimension)
        return Status(Code::InvalidArgument, "embedding has " + std::to_string(node->shape(i).dimension) +
                                                 " dimensions, the space takes " + std::to_string(job_.dimension));
    return node;
  }

  void set_aside(const LegacyStore::RawRecord& record, const std::string& reason) {
    const SideKey key{owner(), SideKind::Quarantine, partition_, cursor_.next_chunk,
                      static_cast<std::uint32_t>(side_.size())};
    side_.push_back(encode_quarantine(
        key, {partition_, std::string(record.id), reason, Bytes(record.encoded.begin(), record.encoded.end())}));
  }

  Status write_chunk(bool last) {
    ahead_.done = last;
    ahead_.next_chunk = cursor_.next_chunk + 1;
    side_.push_back(encode_cursor({owner(), SideKind::Cursor, partition_, cursor_.next_chunk}, ahead_));
    MNEME_FAILPOINT("migration.before_insert");
    const Result<Lsn> written = job_.target.bulk_insert(job_.space, nodes_, side_, {.ids_are_new = true});
    if (!written) {
      const storage::PartitionBounds& bounds = job_.plan.partitions[partition_];
      return written.status().with_context("migrate " + printable_range(bounds.begin, bounds.end) + ", chunk " +
                                           std::to_string(cursor_.next_chunk));
    }
    MNEME_FAILPOINT("migration.after_insert");
    meter_.add({ahead_.seen - cursor_.seen, ahead_.bytes - cursor_.bytes});
    cursor_ = ahead_;
    nodes_.clear();
    side_.clear();
    chunk_bytes_ = 0;
    return {};
  }

  SideOwner owner() const { return {job_.space.id(), job_.plan.migration_id}; }

  const BackfillJob& job_;
  const std::uint32_t partition_;
  PartitionCursor& cursor_;  // what is durable
  PartitionCursor ahead_;    // what will be durable with the chunk at hand
  ProgressMeter& meter_;
  std::vector<NodeRecordPtr> nodes_;
  std::vector<SideEntry> side_;  // records set aside; the cursor comes last
  std::uint64_t chunk_bytes_ = 0;
};

/// Partitions that are not done, the largest rest first.
std::vector<std::size_t> order_of_work(const BackfillJob& job, const std::vector<PartitionCursor>& cursors) {
  std::vector<std::uint64_t> left(cursors.size());
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < cursors.size(); ++i) {
    if (cursors[i].done) continue;
    const storage::PartitionBounds& bounds = job.plan.partitions[i];
    const std::uint64_t whole = job.source.approximate_bytes(bounds.begin, bounds.end);
    left[i] = whole - std::min(whole, cursors[i].bytes);
    order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return left[a] > left[b]; });
  return order;
}

}  // namespace

Status backfill(const BackfillJob& job, std::vector<PartitionCursor>& cursors, ProgressMeter& meter) {
  const std::vector<std::size_t> order = order_of_work(job, cursors);
  return run_workers(
      job.workers, order.size(),
      [&](std::size_t item, const StopFlag& stop) {
        return PartitionCopy(job, order[item], cursors[order[item]], meter).run(stop);
      },
      [&] { return meter.report(); });
}

}  // namespace mneme::migration
