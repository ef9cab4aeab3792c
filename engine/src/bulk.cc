// Bulk loading: sorted files, one log record, one atomic step.

#include <algorithm>
#include <numeric>

#include "database_impl.h"
#include "mneme/base/limits.h"
#include "write_plan.h"

namespace mneme {
namespace {

// Removes the files of a load that did not reach the log.
class FileGuard {
 public:
  FileGuard(storage::FileSystem& fs, std::filesystem::path directory) : fs_(fs), directory_(std::move(directory)) {}
  ~FileGuard() {
    for (const std::string& name : names_) {
      // Best effort: what stays behind is removed by the next open.
      const Status removed = fs_.remove(directory_ / name);
      static_cast<void>(removed.ok());
    }
  }
  FileGuard(const FileGuard&) = delete;
  FileGuard& operator=(const FileGuard&) = delete;
  void add(std::string name) { names_.push_back(std::move(name)); }
  void keep() { names_.clear(); }

 private:
  storage::FileSystem& fs_;
  std::filesystem::path directory_;
  std::vector<std::string> names_;
};

class BulkFiles {
 public:
  BulkFiles(storage::OrderedStore& store, storage::FileSystem& fs, std::filesystem::path directory, BulkLoad& bulk)
      : store_(store), fs_(fs), directory_(std::move(directory)), guard_(fs, directory_), bulk_(bulk) {}

  /// Writes one sorted file; `fill` puts its entries in key order. A file without entries is left out.
  Status write(storage::Family family, std::string_view suffix,
               const std::function<Status(storage::SortedFileWriter&)>& fill) {
    BulkFile file{.family = family, .name = bulk_.id.to_string() + "-" + std::string(suffix) + ".sst"};
    guard_.add(file.name);
    MNEME_ASSIGN(const auto writer, store_.new_sorted_file(family, directory_ / file.name));
    MNEME_TRY(fill(*writer));
    MNEME_ASSIGN(file.bytes, writer->finish());
    MNEME_ASSIGN(file.xxh3, hash_file(fs_, directory_ / file.name));
    bulk_.files.push_back(std::move(file));
    return {};
  }
  /// The names are durable before the log speaks of them.
  Status publish() { return fs_.sync_directory(directory_); }
  void keep() { guard_.keep(); }

 private:
  storage::OrderedStore& store_;
  storage::FileSystem& fs_;
  std::filesystem::path directory_;
  FileGuard guard_;
  BulkLoad& bulk_;
};

struct NewId {
  NodeId id;
  std::size_t at;
};

Result<std::vector<NewId>> sorted_ids(std::span<const NodeRecordPtr> nodes) {
  std::vector<NewId> ids;
  ids.reserve(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) ids.push_back({nodes[i]->id(), i});
  std::sort(ids.begin(), ids.end(), [](const NewId& a, const NewId& b) { return a.id < b.id; });
  for (std::size_t i = 1; i < ids.size(); ++i)
    if (ids[i].id == ids[i - 1].id)
      return Status(Code::AlreadyExists, "bulk load: node " + ids[i].id.to_string() + " is there twice");
  return ids;
}

Status check_records(const SpaceEntry& space, std::span<const NodeRecordPtr> nodes) {
  for (const NodeRecordPtr& node : nodes) {
    for (std::size_t i = 0; i < node->vector_count(); ++i) {
      const VectorShape shape = node->shape(i);
      const std::string where = "bulk load: node " + node->id().to_string();
      MNEME_TRY(space.check_vector(shape.generation, shape.dimension).with_context(where));
      MNEME_TRY(validate_vector(node->vector_at(i)).with_context(where));
    }
  }
  return {};
}

Status write_vectors(storage::SortedFileWriter& file, SpaceId space, const SpaceEntry& entry, RowId first,
                     std::span<const NodeRecordPtr> nodes) {
  for (const GenerationInfo& generation : entry.info.generations) {  // ascending, as the keys are
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const std::span<const float> vector = nodes[i]->vector(generation.id);
      if (vector.empty()) continue;
      MNEME_TRY(file.put(storage::vector_key(space, generation.id, RowId{first.value + i}), std::as_bytes(vector)));
    }
  }
  return {};
}

Status write_side(storage::SortedFileWriter& file, const Uuid& id, std::span<const SideEntry> side) {
  std::vector<std::pair<std::string, ByteView>> entries{{bulk_marker_key(id), {}}};
  for (const SideEntry& entry : side) entries.emplace_back(side_key(entry.key), entry.value);
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [key, value] : entries) MNEME_TRY(file.put(key, value));
  return {};
}

CounterDelta counted(SpaceId space, RowId first, std::span<const NodeRecordPtr> nodes) {
  CounterDelta delta{.space = space, .next_row = first.value + nodes.size()};
  for (const NodeRecordPtr& node : nodes) {
    (node->kind() == NodeKind::Concept ? delta.concepts : delta.episodes) += 1;
    delta.vectors += static_cast<std::int64_t>(node->vector_count());
  }
  return delta;
}

}  // namespace

Result<Lsn> DatabaseImpl::bulk_insert(SpaceId space, std::span<const NodeRecordPtr> nodes,
                                      std::span<const SideEntry> side, const BulkOptions& options) {
  MNEME_TRY(may_write());
  if (nodes.size() > limits::kBatchOperationsMax)
    return Status(Code::InvalidArgument, "bulk load: " + std::to_string(nodes.size()) + " nodes, at most " +
                                             std::to_string(limits::kBatchOperationsMax));
  MNEME_TRY(applier_->wait_for_room(options_.unapplied_bytes_max, options_.busy_after));
  MNEME_ASSIGN(const std::vector<NewId> ids, sorted_ids(nodes));

  WritePlan plan(*this);
  std::vector<NodeId> locked;
  if (!options.ids_are_new)
    for (const NewId& one : ids) locked.push_back(one.id);
  MNEME_TRY(plan.lock_nodes(space, locked));
  const SpaceEntry& entry = *plan.space(space);
  MNEME_TRY(check_records(entry, nodes));
  for (const NodeId& id : locked) {
    MNEME_ASSIGN(const std::optional<Existing> found, existing(space, id));
    if (found) return Status(Code::AlreadyExists, "bulk load: node " + id.to_string() + " is there already");
  }
  for (const SideEntry& one : side) {
    MNEME_ASSIGN(const auto found, store_->get(storage::kCursor, side_key(one.key)));
    if (found) return Status(Code::AlreadyExists, "bulk load: a side entry of this key is there already");
  }

  Commit commit;
  commit.kind = kBulkRecord;
  commit.bytes = sizeof(Commit);
  BulkLoad& bulk = commit.bulk.emplace();
  bulk.id = uuid_v7(clock_, random_);
  bulk.space = space;
  bulk.first_row = RowId{plan.space(space)->next_row.fetch_add(nodes.size())};
  bulk.count = nodes.size();
  BulkFiles files(*store_, fs_, directory_ / "bulk", bulk);
  if (!nodes.empty()) {
    MNEME_TRY(files.write(storage::kWarmBody, "body", [&](storage::SortedFileWriter& file) -> Status {
      for (std::size_t i = 0; i < nodes.size(); ++i)
        MNEME_TRY(file.put(storage::body_key(space, RowId{bulk.first_row.value + i}), nodes[i]->body()));
      return {};
    }));
    const bool has_vectors = std::any_of(nodes.begin(), nodes.end(), [](const auto& node) {
      for (std::size_t i = 0; i < node->vector_count(); ++i)
        if (!node->vector_at(i).empty()) return true;
      return false;
    });
    if (has_vectors)
      MNEME_TRY(files.write(storage::kWarmVector, "vector", [&](storage::SortedFileWriter& file) {
        return write_vectors(file, space, entry, bulk.first_row, nodes);
      }));
    MNEME_TRY(files.write(storage::kId, "id", [&](storage::SortedFileWriter& file) -> Status {
      for (const NewId& one : ids) {
        const storage::Place place{RowId{bulk.first_row.value + one.at}, TierId::Warm, nodes[one.at]->kind()};
        MNEME_TRY(file.put(storage::id_key(space, one.id), storage::encode_place(place)));
      }
      return {};
    }));
  }
  MNEME_TRY(files.write(storage::kCursor, "cursor",
                        [&](storage::SortedFileWriter& file) { return write_side(file, bulk.id, side); }));
  MNEME_TRY(files.publish());
  bulk.files_are_whole = true;
  bulk.records = nodes;
  commit.deltas.push_back(counted(space, bulk.first_row, nodes));
  MNEME_ASSIGN(const Lsn lsn, log_and_publish(std::move(commit), Durability::Sync));
  files.keep();
  MNEME_TRY(applier_->wait_applied(lsn));
  return lsn;
}

Status DatabaseImpl::scan_side(std::string_view prefix,
                               const std::function<bool(std::string_view, ByteView)>& visit) const {
  if (closed_) return {Code::FailedPrecondition, "scan of side entries: the database is closed"};
  MNEME_TRY(caught_up());
  const std::string begin = side_key(prefix);
  const auto iterator = store_->scan(storage::kCursor, begin, storage::prefix_end(begin));
  for (; iterator->valid(); iterator->next())
    if (!visit(iterator->key().substr(1), iterator->value())) return {};
  return iterator->status();
}

}  // namespace mneme
