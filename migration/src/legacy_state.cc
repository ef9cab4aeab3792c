#include "legacy_state.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "legacy_log.h"

namespace mneme::migration {
namespace {

using storage::StoreIterator;
using storage::WriteSet;

constexpr std::string_view kCountsKey = "counts";
constexpr Field kMemories{0, 8};
constexpr Field kDimension = after(kMemories, 4);
constexpr std::uint64_t kScanReadaheadBytes = 2 * kMiB;

void put_counts(const LegacyCounts& counts, WriteSet& set) {
  std::array<std::byte, kDimension.end()> value;
  store_le(value.data() + kMemories.offset, counts.memories);
  store_le(value.data() + kDimension.offset, counts.dimension);
  set.put(kLegacyMeta, kCountsKey, value);
}

storage::OrderedStoreOptions store_options(const LegacyOptions& options, bool create) {
  storage::OrderedStoreOptions store;
  store.families = {{.name = "meta"}, {.name = "memory"}};
  store.block_cache_bytes = options.block_cache_bytes;
  store.read_only = options.read_only;
  store.create_if_missing = create;
  store.log = options.log;
  return store;
}

}  // namespace

Result<std::unique_ptr<LegacyState>> LegacyState::open(const std::filesystem::path& directory,
                                                       const LegacyOptions& options, bool create) {
  MNEME_ASSIGN(auto store, storage::OrderedStore::open(directory, store_options(options, create)));
  auto state = over(std::move(store), options.read_only);
  if (!state) return state.status().with_context("legacy store " + directory.string());
  return state;
}

Result<std::unique_ptr<LegacyState>> LegacyState::over(std::unique_ptr<storage::OrderedStore> store, bool read_only) {
  std::unique_ptr<LegacyState> state(new LegacyState(std::move(store), read_only));
  MNEME_TRY(state->load_counts());
  return state;
}

Status LegacyState::load_counts() {
  MNEME_ASSIGN(const auto stored, store_->get(kLegacyMeta, kCountsKey));
  MutexLock lock(mutex_);
  counts_.last = store_->applied_lsn();
  if (!stored) {
    if (counts_.last.value == 0) return {};
    return Status(Code::Corruption,
                  "applied up to record " + std::to_string(counts_.last.value) + ", but has no counts");
  }
  const ByteView value = stored->bytes();
  if (value.size() != kDimension.end())
    return Status(Code::Corruption,
                  "counts of " + std::to_string(value.size()) + " bytes, wanted " + std::to_string(kDimension.end()));
  counts_.memories = load_le<std::uint64_t>(value.data() + kMemories.offset);
  counts_.dimension = load_le<std::uint32_t>(value.data() + kDimension.offset);
  return {};
}

Status LegacyState::replay(Lsn lsn, ByteView payload) {
  MutexLock lock(mutex_);
  return (read_only_ ? overlay(lsn, payload) : apply(lsn, payload))
      .with_context("log record " + std::to_string(lsn.value));
}

Status LegacyState::commit(Lsn lsn, std::shared_ptr<const Bytes> payload) {
  MutexLock lock(mutex_);
  const Status drained = drain_locked();
  const Status applied = drained ? apply(lsn, *payload) : drained;
  if (applied) return {};
  note_dimension(*payload);  // a later write is checked against it, applied or not
  counts_.last = lsn;
  waiting_.push_back({lsn, std::move(payload)});
  return applied;
}

Status LegacyState::drain() {
  MutexLock lock(mutex_);
  return drain_locked();
}

Status LegacyState::drain_locked() {
  if (waiting_.empty()) return {};
  const Lsn last = counts_.last;
  MNEME_TRY(store_->resume());
  while (!waiting_.empty()) {
    MNEME_TRY(apply(waiting_.front().lsn, *waiting_.front().payload));
    waiting_.pop_front();
    counts_.last = last;  // apply() has set it to its own
  }
  return {};
}

Status LegacyState::apply(Lsn lsn, ByteView payload) {
  WriteSet set;
  LegacyCounts counts = counts_;
  // Only the last operation on an id in a batch counts; put() sees to it that there is one.
  MNEME_TRY(for_each_operation(payload, [&](const LegacyOperation& operation) -> Status {
    MNEME_ASSIGN(const bool stored, is_stored(operation.id));
    if (operation.kind == LegacyOperation::Kind::Put) {
      if (!stored) ++counts.memories;
      if (counts.dimension == 0) counts.dimension = static_cast<std::uint32_t>(operation.dimension);
      set.put(kLegacyMemory, operation.id, operation.encoded);
    } else if (stored) {
      --counts.memories;
      set.erase(kLegacyMemory, operation.id);
    }
    return {};
  }));
  put_counts(counts, set);
  MNEME_TRY(store_->apply(set, lsn));
  counts.last = lsn;
  counts_ = counts;
  return {};
}

Status LegacyState::overlay(Lsn lsn, ByteView payload) {
  LegacyCounts counts = counts_;
  MNEME_TRY(for_each_operation(payload, [&](const LegacyOperation& operation) -> Status {
    const auto known = overlay_.find(operation.id);
    bool stored = known != overlay_.end() && known->second;
    if (known == overlay_.end()) {
      MNEME_ASSIGN(stored, is_stored(operation.id));
    }
    std::optional<Bytes>& change = overlay_[std::string(operation.id)];
    if (operation.kind == LegacyOperation::Kind::Put) {
      if (!stored) ++counts.memories;
      if (counts.dimension == 0) counts.dimension = static_cast<std::uint32_t>(operation.dimension);
      change.emplace(operation.encoded.begin(), operation.encoded.end());
    } else {
      if (stored) --counts.memories;
      change.reset();
    }
    return {};
  }));
  counts.last = lsn;
  counts_ = counts;
  return {};
}

Result<bool> LegacyState::is_stored(std::string_view id) const {
  if (!store_->may_exist(kLegacyMemory, id)) return false;
  MNEME_ASSIGN(const auto found, store_->get(kLegacyMemory, id));
  return found.has_value();
}

void LegacyState::note_dimension(ByteView payload) {
  if (counts_.dimension != 0) return;
  std::size_t dimension = 0;
  const Status read = for_each_operation(payload, [&](const LegacyOperation& operation) -> Status {
    if (dimension == 0) dimension = operation.dimension;
    return {};
  });
  assert(read.ok());  // put() has just encoded it
  static_cast<void>(read);
  counts_.dimension = static_cast<std::uint32_t>(dimension);
}

LegacyCounts LegacyState::counts() const {
  MutexLock lock(mutex_);
  return counts_;
}

Result<std::optional<Bytes>> LegacyState::get(std::string_view id) const {
  if (const auto changed = overlay_.find(id); changed != overlay_.end()) return changed->second;
  MNEME_ASSIGN(const auto found, store_->get(kLegacyMemory, id));
  if (!found) return std::optional<Bytes>();
  return std::optional<Bytes>(Bytes(found->bytes().begin(), found->bytes().end()));
}

Status LegacyState::scan(const storage::StoreSnapshotPtr& snapshot, std::string_view begin, std::string_view end,
                         const std::function<bool(const LegacyStore::RawRecord&)>& visit) const {
  if (!end.empty() && begin >= end) return {};
  const auto stored = store_->scan(kLegacyMemory, begin, end,
                                   {.snapshot = snapshot, .fill_cache = false, .readahead_bytes = kScanReadaheadBytes});
  auto changed = overlay_.lower_bound(begin);
  const auto changed_end = end.empty() ? overlay_.end() : overlay_.lower_bound(end);
  while (stored->valid() || (changed != changed_end && stored->status())) {
    const bool take_change = changed != changed_end && (!stored->valid() || changed->first <= stored->key());
    if (!take_change) {
      if (!visit({stored->key(), stored->value()})) return {};
      stored->next();
      continue;
    }
    if (stored->valid() && stored->key() == changed->first) stored->next();
    if (changed->second && !visit({changed->first, *changed->second})) return {};
    ++changed;
  }
  return stored->status();
}

}  // namespace mneme::migration
