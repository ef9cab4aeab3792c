#include "applier.h"

#include <algorithm>
#include <limits>

#include "index_record.h"
#include "link_keys.h"
#include "mneme/base/checksum.h"

namespace mneme {
namespace {

// One set of about this size keeps RocksDB's per-write cost small and the lag short.
constexpr std::uint64_t kSetBytes = 2 * kMiB;
constexpr std::chrono::milliseconds kRetryEvery{200};

bool may_pass(const Status& status) { return status.code() == Code::NoSpace; }

void add(std::uint64_t& counter, std::int64_t change) { counter += static_cast<std::uint64_t>(change); }

}  // namespace

std::string bulk_marker_key(const Uuid& id) {
  std::string key("b", 1);
  key.append(as_text(id.view()));
  return key;
}

std::string side_key(std::string_view key) { return "s" + std::string(key); }

Applier::Applier(Context context, std::map<SpaceId, SpaceCounters> counters)
    : context_(std::move(context)),
      map_(context_.store),
      warm_(context_.store, TierId::Warm, &context_.dropped),
      cold_(context_.store, TierId::Cold, &context_.dropped),
      staged_lsn_(context_.store.applied_lsn()),
      counters_(std::move(counters)),
      applied_(context_.store.applied_lsn().value) {}

Applier::~Applier() {
  {
    MutexLock lock(mutex_);
    stop_ = true;
    work_.notify_all();
    progress_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Applier::start() {
  thread_ = std::thread([this] { run(); });
}

void Applier::push(Commit commit) {
  unapplied_bytes_.fetch_add(commit.bytes, std::memory_order_relaxed);
  MutexLock lock(mutex_);
  queue_.push_back(std::move(commit));
  if (queue_.size() == 1) work_.notify_one();
}

Status Applier::health() const {
  MutexLock lock(mutex_);
  return health_;
}

Status Applier::wait_applied(Lsn lsn) {
  if (applied() >= lsn) return {};
  MutexLock lock(mutex_);
  while (applied() < lsn) {
    if (!health_.ok()) return health_;
    if (stop_) return {Code::FailedPrecondition, "the database is closed"};
    progress_.wait(mutex_);
  }
  return {};
}

Status Applier::wait_for_room(std::uint64_t bytes_max, std::chrono::milliseconds limit) {
  if (unapplied_bytes() < bytes_max) return {};
  const auto deadline = std::chrono::steady_clock::now() + limit;
  MutexLock lock(mutex_);
  while (unapplied_bytes() >= bytes_max) {
    if (!health_.ok()) return health_;
    if (stop_) return {Code::FailedPrecondition, "the database is closed"};
    const auto left = deadline - std::chrono::steady_clock::now();
    if (left <= std::chrono::nanoseconds::zero())
      return {Code::Busy, "write: " + std::to_string(unapplied_bytes()) + " bytes wait to be applied, at most " +
                              std::to_string(bytes_max) + " may; waited " + std::to_string(limit.count()) + " ms"};
    progress_.wait_for(mutex_, left);
  }
  return {};
}

void Applier::run() {
  std::deque<Commit> commits;
  std::deque<Beside*> beside;
  for (;;) {
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && beside_.empty() && !stop_) work_.wait(mutex_);
      if (stop_) return;
      commits.swap(queue_);
    }
    const Status done = apply_all(commits);
    commits.clear();
    if (!done.ok()) {
      MutexLock lock(mutex_);
      if (stop_) return;
      health_ = done;
      progress_.notify_all();
      if (context_.log) context_.log("applying the log stopped: " + done.to_string());
      return;
    }
    {
      MutexLock lock(mutex_);
      beside.swap(beside_);
    }
    finish(beside);
    beside.clear();
    evict();
  }
}

// One waits in write_beside(): it sees its own status, and goes.
void Applier::finish(const std::deque<Beside*>& all) {
  for (Beside* one : all) {
    storage::WriteSet set;
    one->fill(set, applied());
    Status done = set.count() == 0 ? ok_status() : context_.store.apply(set, applied());
    MutexLock lock(mutex_);
    one->done = std::move(done);
    one->is_done = true;
    progress_.notify_all();
  }
}

Status Applier::write_beside(const std::function<void(storage::WriteSet&, Lsn applied)>& fill) {
  Beside one{fill, {}};
  MutexLock lock(mutex_);
  beside_.push_back(&one);
  work_.notify_one();
  while (!one.is_done) {
    // What has left the queue is under way and will be done; what waits there is taken back when nothing goes on.
    const auto queued = std::find(beside_.begin(), beside_.end(), &one);
    if (queued != beside_.end() && (stop_ || !health_.ok())) {
      beside_.erase(queued);
      return health_.ok() ? Status(Code::FailedPrecondition, "the database is closed") : health_;
    }
    progress_.wait(mutex_);
  }
  return one.done;
}

// Rows of a space whose index is in files: what is restored later reads them again.
void Applier::note_change(SpaceId space, RowId row, std::uint32_t rows) {
  if (!context_.notes_change || !context_.notes_change(space, rows)) return;
  Bytes value;
  ByteWriter(value).fixed(rows);
  set_.put(storage::kMeta, change_key(space, staging_, row), value);
}

Status Applier::apply_all(const std::deque<Commit>& commits) {
  for (const Commit& commit : commits) {
    // What a commit does may depend on the stored state of its nodes; that state must not sit in the open set. A commit
    // is never split over two sets.
    if (commit.kind != kBatchRecord || touches_staged(commit)) MNEME_TRY(settle());
    Status staged = commit.kind == kBulkRecord ? ingest(commit) : stage(commit);
    if (!staged) return staged.with_context("applying log record " + std::to_string(commit.lsn.value));
    staged_lsn_ = commit.lsn;
    staged_bytes_ += commit.bytes;
    if (commit.kind != kBatchRecord || set_.bytes() >= kSetBytes) MNEME_TRY(settle());
  }
  return settle();
}

bool Applier::touches_staged(const Commit& commit) const {
  if (touched_.empty()) return false;
  return std::any_of(commit.ops.begin(), commit.ops.end(), [&](const LogOp& op) {
    return (op.kind == LogOp::Kind::Put && !op.fresh && touched_.contains({op.space, op.node})) ||
           (op.kind == LogOp::Kind::Erase && touched_.contains({op.space, op.node}));
  });
}

Status Applier::stage(const Commit& commit) {
  staging_ = commit.lsn;
  if (commit.change) MNEME_TRY(stage_change(*commit.change));
  if (commit.move) return stage_move(*commit.move);
  for (const LogOp& op : commit.ops) MNEME_TRY(stage_op(op));
  count(commit.deltas);
  return {};
}

Status Applier::stage_op(const LogOp& op) {
  switch (op.kind) {
    case LogOp::Kind::Put:
      return stage_put(op);
    case LogOp::Kind::Erase:
      note_change(op.space, op.row, 1);
      return stage_erase(op.space, op.node);
    case LogOp::Kind::Link:
    case LogOp::Kind::Unlink:
      return stage_link(op);
  }
  return {Code::Internal, "operation " + std::to_string(static_cast<int>(op.kind))};
}

Status Applier::stage_put(const LogOp& op) {
  note_change(op.space, op.row, 1);
  if (!op.fresh) {
    MNEME_ASSIGN(const std::optional<storage::Place> place, map_.find(op.space, op.node));
    if (place) {
      std::vector<VectorShape> keep;
      if (place->tier == TierId::Warm && place->row == op.row)
        for (std::size_t i = 0; i < op.record->vector_count(); ++i) keep.push_back(op.record->shape(i));
      MNEME_TRY(remove_home(op.space, *place, keep));
    }
  }
  warm_.put(set_, op.space, op.row, *op.record);
  storage::TierMap::put(set_, op.space, op.node, {op.row, TierId::Warm, op.record->kind()});
  touched_.insert({op.space, op.node});
  return {};
}

// Erases what the new version of a node will not overwrite: its cold copy, or vectors of generations it lost.
Status Applier::remove_home(SpaceId space, const storage::Place& place, const std::vector<VectorShape>& keep) {
  const storage::TierStore& tier = place.tier == TierId::Cold ? cold_ : warm_;
  MNEME_ASSIGN(const std::optional<storage::PinnedValue> body, tier.get_body(space, place.row));
  if (!body)
    return {Code::Corruption, "row " + std::to_string(place.row.value) + ": the map has it, its tier does not"};
  MNEME_ASSIGN(std::vector<VectorShape> shapes, vector_shapes(body->bytes()));
  if (keep.empty()) {
    tier.erase(set_, space, place.row, shapes);
    if (place.tier == TierId::Cold) {
      --counters_[space].cold_nodes;
      counters_changed_.insert(space);
    }
    return {};
  }
  for (const VectorShape& shape : shapes) {
    const bool stays = std::any_of(keep.begin(), keep.end(),
                                   [&](const VectorShape& kept) { return kept.generation == shape.generation; });
    if (!stays) set_.erase(tier.vector_family(), storage::vector_key(space, shape.generation, place.row));
  }
  return {};
}

Status Applier::stage_erase(SpaceId space, const NodeId& node) {
  MNEME_ASSIGN(const std::optional<storage::Place> place, map_.find(space, node));
  if (!place) return {};
  MNEME_TRY(remove_home(space, *place, {}));
  storage::TierMap::erase(set_, space, node);
  touched_.insert({space, node});
  return {};
}

Status Applier::stage_link(const LogOp& op) {
  const Link& link = op.link;
  const std::string out = link_out_key(op.space, link.from, link.type, link.to);
  const std::string back = link_back_key(op.space, link.from, link.type, link.to);
  if (op.kind == LogOp::Kind::Unlink) {
    set_.erase(storage::kLink, out);
    set_.erase(storage::kLink, back);
    return {};
  }
  Bytes value;
  encode_link_value(link, value);
  set_.put(storage::kLink, out, value);
  set_.put(storage::kLink, back, {});
  return {};
}

Status Applier::stage_change(const SpaceChange& change) {
  const SpaceId id = change.info.id;
  if (change.kind == SpaceChange::Kind::Drop) {
    const std::string begin = storage::space_prefix(id);
    const std::string end = storage::prefix_end(begin);
    for (const storage::Family family : {storage::kId, storage::kWarmBody, storage::kWarmVector, storage::kColdBody,
                                         storage::kColdVector, storage::kLink})
      set_.erase_range(family, begin, end);
    set_.erase(storage::kMeta, space_record_key(id));
    set_.erase(storage::kMeta, space_counters_key(id));
    const std::string records = index_record_key(id, GenerationId{0}).substr(0, 1 + sizeof id.value);
    set_.erase_range(storage::kMeta, records, storage::prefix_end(records));
    set_.erase_range(storage::kMeta, change_key(id, Lsn{}, RowId{}), changes_after(id, kMaxLsn));
    counters_.erase(id);
    counters_changed_.erase(id);
    return {};
  }
  if (change.kind == SpaceChange::Kind::DropGeneration) {
    const std::string begin = storage::vector_prefix(id, change.generation);
    for (const storage::Family family : {storage::kWarmVector, storage::kColdVector})
      set_.erase_range(family, begin, storage::prefix_end(begin));
    evict_all_ = true;
  }
  Bytes record;
  encode_space_record(change.info, record);
  set_.put(storage::kMeta, space_record_key(id), record);
  if (change.kind == SpaceChange::Kind::Create) {
    Bytes next;
    ByteWriter(next).fixed(id.value + 1);
    set_.put(storage::kMeta, kNextSpaceKey, next);
    counters_[id] = {};
    counters_changed_.insert(id);
  }
  return {};
}

Status Applier::stage_move(const Move& move) {
  MNEME_ASSIGN(const std::optional<storage::Place> place, map_.find(move.space, move.node));
  if (!place || place->tier == move.to) return {};  // erased, or moved already
  MNEME_TRY(storage::stage_move(set_, context_.store, move.space, move.node, move.to, &context_.dropped));
  SpaceCounters& counters = counters_[move.space];
  move.to == TierId::Cold ? ++counters.cold_nodes : --counters.cold_nodes;
  counters_changed_.insert(move.space);
  return {};
}

Result<bool> Applier::bulk_is_in(const BulkLoad& bulk) const {
  MNEME_ASSIGN(const auto marker, context_.store.get(storage::kCursor, bulk_marker_key(bulk.id)));
  return marker.has_value();
}

Result<bool> Applier::bulk_files_are_whole(const BulkLoad& bulk) const {
  for (const BulkFile& file : bulk.files) {
    const Result<std::uint64_t> hash = hash_file(context_.fs, context_.bulk_directory / file.name);
    if (hash.status().code() == Code::NotFound) return false;
    if (!hash) return hash.status();
    if (*hash != file.xxh3) return false;
  }
  return true;
}

Result<bool> Applier::bulk_can_be_in(const BulkLoad& bulk) const {
  MNEME_ASSIGN(const bool is_in, bulk_is_in(bulk));
  if (is_in || bulk.files_are_whole) return true;
  return bulk_files_are_whole(bulk);
}

// The files and their marker go in as one atomic step of the store; applied_lsn follows. After a crash between the two
// the marker says that the files are in. Replay passes over a load whose files did not survive: see bulk_can_be_in().
Status Applier::ingest(const Commit& commit) {
  const BulkLoad& bulk = *commit.bulk;
  // A loaded node is not in memory, and what its erasure has left there would hide it. Every commit before this one is
  // applied by now, so that tombstones are needed no more.
  context_.hot.evict(std::numeric_limits<std::uint64_t>::max(), applied());
  MNEME_ASSIGN(const bool is_in, bulk_is_in(bulk));
  if (!is_in) {
    std::vector<storage::IngestFile> files;
    for (const BulkFile& file : bulk.files) files.push_back({file.family, context_.bulk_directory / file.name});
    MNEME_TRY(retry_while_full([&] { return context_.store.ingest(files); }));
  }
  staging_ = commit.lsn;
  note_change(bulk.space, bulk.first_row, static_cast<std::uint32_t>(bulk.count));
  count(commit.deltas);
  return {};
}

void Applier::count(const std::vector<CounterDelta>& deltas) {
  for (const CounterDelta& delta : deltas) {
    SpaceCounters& counters = counters_[delta.space];
    add(counters.episodes, delta.episodes);
    add(counters.concepts, delta.concepts);
    add(counters.vectors, delta.vectors);
    add(counters.links, delta.links);
    counters.next_row = std::max(counters.next_row, delta.next_row);
    counters_changed_.insert(delta.space);
  }
}

Status Applier::retry_while_full(const std::function<Status()>& step) {
  for (;;) {
    const Status done = step();
    MutexLock lock(mutex_);
    if (done.ok()) {
      if (!health_.ok() && context_.log) context_.log("there is space again: applying goes on");
      health_ = {};
      return done;
    }
    if (!may_pass(done)) return done;
    if (health_.ok() && context_.log) context_.log("applying waits for space: " + done.to_string());
    health_ = done;
    progress_.notify_all();
    if (!stop_) work_.wait_for(mutex_, kRetryEvery);
    if (stop_) return done;
    // A failed resume shows in the next attempt.
    const Status resumed = context_.store.resume();
    if (!resumed.ok() && !may_pass(resumed)) return resumed;
  }
}

Status Applier::settle() {
  if (staged_lsn_ == applied()) return {};
  for (const SpaceId space : counters_changed_) {
    Bytes record;
    encode_counters(counters_[space], record);
    set_.put(storage::kMeta, space_counters_key(space), record);
  }
  MNEME_TRY(retry_while_full([&] { return context_.store.apply(set_, staged_lsn_); }));
  for (const SpaceId space : counters_changed_)
    if (context_.counted) context_.counted(space, counters_[space]);
  counters_changed_.clear();
  touched_.clear();
  context_.links.applied(staged_lsn_);
  unapplied_bytes_.fetch_sub(staged_bytes_, std::memory_order_relaxed);
  staged_bytes_ = 0;
  MutexLock lock(mutex_);
  applied_.store(staged_lsn_.value, std::memory_order_release);
  progress_.notify_all();
  return {};
}

void Applier::evict() {
  const std::uint64_t bytes_max = std::exchange(evict_all_, false) ? 0 : context_.hot_bytes_max;
  if (context_.hot.bytes() > bytes_max) context_.hot.evict(bytes_max, applied());
}

}  // namespace mneme
