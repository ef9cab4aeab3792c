#include <algorithm>
#include <cassert>
#include <unordered_set>

#include "legacy_log.h"
#include "legacy_store_impl.h"
#include "memory_members.h"
#include "mneme/base/limits.h"
#include "mneme/storage/failpoint.h"

namespace mneme::migration {
namespace {

/// Live log above which the store is flushed and the log dropped: what an open has to replay at most.
constexpr std::uint64_t kLogBytesMax = 128 * kMiB;

std::string shown(std::string_view id) { return "memory " + in_quotes(id); }

/// The one dimension of a batch's embeddings; 0 = none. @error InvalidArgument  names the memory
Result<std::uint32_t> dimension_of(std::span<const Memory> memories) {
  std::uint32_t dimension = 0;
  for (const Memory& memory : memories) {
    if (!memory.embedding) continue;
    const auto own = static_cast<std::uint32_t>(memory.embedding->size());
    if (dimension != 0 && own != dimension)
      return Status(Code::InvalidArgument, shown(memory.id) + ": embedding has " + std::to_string(own) +
                                               " values, others of the batch have " + std::to_string(dimension));
    dimension = own;
  }
  return dimension;
}

Status validate_batch(std::span<const Memory> memories) {
  if (memories.size() > limits::kBatchOperationsMax)
    return Status(Code::InvalidArgument, "a batch of " + std::to_string(memories.size()) + " memories, at most " +
                                             std::to_string(limits::kBatchOperationsMax));
  std::unordered_set<std::string_view> ids;
  ids.reserve(memories.size());
  for (const Memory& memory : memories) {
    if (Status valid = validate_memory(memory); !valid) return valid.with_context(shown(memory.id));
    if (!ids.insert(memory.id).second) return Status(Code::InvalidArgument, shown(memory.id) + ": twice in one batch");
  }
  return {};
}

}  // namespace

class OpenLegacyStore::DimensionClaim {
 public:
  DimensionClaim(OpenLegacyStore& store, std::uint32_t dimension) : store_(store), dimension_(dimension) {}
  ~DimensionClaim() {
    if (!held_) return;
    MutexLock lock(store_.claim_mutex_);
    if (--store_.claims_ == 0) store_.claimed_dimension_ = 0;
  }
  DimensionClaim(const DimensionClaim&) = delete;
  DimensionClaim& operator=(const DimensionClaim&) = delete;

  /// @error InvalidArgument  the store, or a write on its way, has another dimension
  Status take() {
    if (dimension_ == 0) return {};
    MutexLock lock(store_.claim_mutex_);
    const std::uint32_t stored = store_.state_->counts().dimension;
    const std::uint32_t known = stored != 0 ? stored : store_.claimed_dimension_;
    if (known != 0 && known != dimension_)
      return Status(Code::InvalidArgument, "embedding has " + std::to_string(dimension_) +
                                               " values, those of the store have " + std::to_string(known));
    store_.claimed_dimension_ = dimension_;
    ++store_.claims_;
    held_ = true;
    return {};
  }

 private:
  OpenLegacyStore& store_;
  const std::uint32_t dimension_;
  bool held_ = false;
};

OpenLegacyStore::OpenLegacyStore(std::filesystem::path directory, LegacyOptions options, Uuid id,
                                 std::unique_ptr<storage::FileLock> lock, std::unique_ptr<LegacyState> state,
                                 std::unique_ptr<storage::Wal> log)
    : directory_(std::move(directory)),
      options_(std::move(options)),
      id_(id),
      lock_(std::move(lock)),
      state_(std::move(state)),
      log_(std::move(log)) {}

OpenLegacyStore::~OpenLegacyStore() {
  const Status closed = close();
  if (!closed && options_.log) options_.log(closed.to_string());
}

Status OpenLegacyStore::check_open() const {
  if (!closed_.load(std::memory_order_acquire)) return {};
  return Status(Code::FailedPrecondition, "legacy store " + directory_.string() + " is closed");
}

Status OpenLegacyStore::check_writable() const {
  MNEME_TRY(check_open());
  if (!options_.read_only) return {};
  return Status(Code::FailedPrecondition, "legacy store " + directory_.string() + " is open read-only");
}

Status OpenLegacyStore::put(std::span<const Memory> memories, storage::Durability durability) {
  MNEME_TRY(check_writable());
  if (memories.empty()) return {};
  MNEME_TRY(validate_batch(memories));
  MNEME_ASSIGN(const std::uint32_t dimension, dimension_of(memories));
  DimensionClaim claim(*this, dimension);
  if (Status taken = claim.take(); !taken) {
    const auto first = std::find_if(memories.begin(), memories.end(), [](const Memory& m) { return m.embedding; });
    return taken.with_context(shown(first->id));
  }
  auto payload = std::make_shared<Bytes>();
  LegacyBatchWriter batch(*payload, memories.size());
  Bytes encoded;
  for (const Memory& memory : memories) {
    encoded.clear();
    encode_memory(memory, encoded);
    batch.put(encoded);
  }
  return write(std::move(payload), durability);
}

Status OpenLegacyStore::erase(std::string_view id) {
  MNEME_TRY(check_writable());
  auto payload = std::make_shared<Bytes>();
  LegacyBatchWriter(*payload, 1).erase(id);
  return write(std::move(payload), storage::Durability::Sync);
}

Status OpenLegacyStore::write(std::shared_ptr<const Bytes> payload, storage::Durability durability) {
  if (Status drained = state_->drain(); !drained)
    return drained.with_context("legacy store " + directory_.string() + ": earlier writes wait to be applied");
  const ByteView parts[] = {*payload};
  Status applied;
  MNEME_FAILPOINT("legacy.before_append");
  const Result<Lsn> written = log_->append(kLegacyBatchRecord, parts, durability, [&](Lsn lsn) {
    MNEME_FAILPOINT("legacy.before_apply");
    applied = state_->commit(lsn, payload);
  });
  if (!written) return written.status().with_context("legacy store " + directory_.string());
  if (!applied)
    return applied.with_context("legacy store " + directory_.string() + ": the write is in the log as record " +
                                std::to_string(written->value) + " and becomes visible once it can be applied");
  shrink_log();
  return {};
}

// A failure costs nothing but log that stays: the write that came here is durable and visible. The next one tries again.
void OpenLegacyStore::shrink_log() {
  if (log_->live_bytes() <= kLogBytesMax || !flush_mutex_.try_lock()) return;
  storage::OrderedStore& store = state_->store();
  Status shrunk = log_->drop_through(store.flushed_lsn());  // memtables that were full are flushed already
  if (shrunk && log_->live_bytes() > kLogBytesMax) {
    shrunk = store.flush();
    if (shrunk) shrunk = log_->drop_through(store.flushed_lsn());
  }
  flush_mutex_.unlock();
  if (!shrunk && options_.log) options_.log(shrunk.to_string());
}

Status OpenLegacyStore::sync() {
  MNEME_TRY(check_writable());
  return log_->sync().with_context("legacy store " + directory_.string());
}

Status OpenLegacyStore::flush() {
  MNEME_TRY(check_writable());
  MNEME_TRY(state_->drain());
  MutexLock lock(flush_mutex_);
  MNEME_TRY(log_->sync());
  MNEME_TRY(state_->store().flush());
  MNEME_FAILPOINT("legacy.before_drop");
  return log_->drop_through(state_->store().flushed_lsn());
}

Status OpenLegacyStore::close() {
  if (closed_.load(std::memory_order_acquire)) return {};
  // What cannot be flushed is in the log; the first error is told all the same.
  Status first = options_.read_only ? Status() : flush();
  closed_.store(true, std::memory_order_release);
  const Status log = log_->close();
  if (first) first = log;
  log_.reset();
  state_.reset();
  lock_.reset();
  return first;
}

Result<Memory> OpenLegacyStore::get(std::string_view id) const {
  MNEME_TRY(check_open());
  MNEME_ASSIGN(const auto encoded, state_->get(id));
  if (!encoded) return Status(Code::NotFound, shown(id) + " is not in legacy store " + directory_.string());
  auto memory = decode_memory(*encoded);
  if (!memory) return memory.status().with_context("legacy store " + directory_.string() + ": " + shown(id));
  return memory;
}

std::shared_ptr<const LegacyStore::View> OpenLegacyStore::view() const {
  assert(!closed_);
  const storage::StoreSnapshotPtr snapshot = state_->store().snapshot();
  return std::make_shared<View>(snapshot, options_.read_only ? state_->counts().last : snapshot->lsn());
}

Status OpenLegacyStore::scan(const std::shared_ptr<const View>& view, std::string_view begin, std::string_view end,
                             const std::function<bool(const RawRecord&)>& visit) const {
  MNEME_TRY(check_open());
  return state_->scan(view->snapshot, begin, end, visit);
}

Result<std::vector<std::string>> OpenLegacyStore::split_points(std::size_t n) const {
  MNEME_TRY(check_open());
  return state_->store().split_points(kLegacyMemory, {}, {}, n);
}

std::uint64_t OpenLegacyStore::approximate_bytes(std::string_view begin, std::string_view end) const {
  return closed_ ? 0 : state_->store().approximate_bytes(kLegacyMemory, begin, end);
}

LegacyStats OpenLegacyStore::stats() const {
  LegacyStats stats;
  stats.id = id_;
  if (closed_) return stats;
  const LegacyCounts counts = state_->counts();
  stats.last = counts.last;
  stats.memories = counts.memories;
  if (counts.dimension != 0) stats.dimension = counts.dimension;
  stats.bytes_on_disk = log_->bytes_on_disk() + state_->store().bytes_on_disk();
  return stats;
}

}  // namespace mneme::migration
