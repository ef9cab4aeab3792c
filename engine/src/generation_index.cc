#include "generation_index.h"

#include "mneme/base/node_codec.h"
#include "mneme/index/funnel_index.h"

namespace mneme {

Attributes::Attributes(ByteView body) {
  // Two walks: sizes first, so that one allocation holds exactly what is kept.
  const auto kept = [](const FieldCursor& field) {
    return field.number() != static_cast<std::uint16_t>(NodeField::Content) &&
           field.number() != static_cast<std::uint16_t>(NodeField::Value);
  };
  std::size_t bytes = 1;
  for (FieldCursor field(body); field.next();)
    if (kept(field)) bytes += field.end() - field.begin();
  data_ = std::make_unique_for_overwrite<std::byte[]>(bytes);
  size_ = static_cast<std::uint32_t>(bytes);
  data_[0] = body[0];
  std::size_t at = 1;
  for (FieldCursor field(body); field.next();) {
    if (!kept(field)) continue;
    const std::size_t size = field.end() - field.begin();
    std::memcpy(data_.get() + at, body.data() + field.begin(), size);
    at += size;
  }
}

Status IndexState::put(RowId row, const NodeRecord& record, GenerationId generation, Lsn lsn) {
  const std::span<const float> vector = record.vector(generation);
  if (vector.empty()) return vectors->erase(row, lsn);
  return add(row, record.id(), Attributes(record.body()), vector, lsn);
}

Status IndexState::add(RowId row, const NodeId& id, Attributes attribute, std::span<const float> vector, Lsn lsn) {
  const std::size_t slot = vectors->slots();  // slots are handed out in order
  attribute_bytes.fetch_add(attribute.bytes().size(), std::memory_order_relaxed);
  attributes.grow_to(slot) = std::move(attribute);
  ids.grow_to(slot) = id;
  MNEME_ASSIGN(const index::Slot added, vectors->add(row, vector, lsn));
  if (added != slot) return {Code::Internal, "index: slot " + std::to_string(added) + " for " + std::to_string(slot)};
  return {};
}

void IndexState::restore(index::RestoredIndex restored, const Uuid& id) {
  vectors = std::move(restored.index);
  attributes.restore(restored.slots);
  ids.restore(restored.slots);
  saved_file_bytes = restored.slots->file_bytes();
  saved_as = id;
  saved_dead = vectors->slots() - vectors->live();
}

std::uint64_t IndexState::bytes_used() const {
  return vectors->bytes_used() + attributes.bytes() + attribute_bytes.load(std::memory_order_relaxed) + ids.bytes() +
         filters.bytes();
}

void GenerationIndex::replace(std::shared_ptr<IndexState> state) {
  IndexStatePtr dropped = state;  // freed when no lock is held for searches
  state_ = std::move(state);
  MutexLock lock(shown_mutex_);
  shown_.swap(dropped);
}

IndexStatePtr GenerationIndex::loaded() const {
  MutexLock lock(shown_mutex_);
  return shown_;
}

void GenerationIndex::apply(IndexState& state, const Change& change) {
  const Status done = change.record ? state.put(change.row, *change.record, info_.id, change.lsn)
                                    : state.vectors->erase(change.row, change.lsn);
  // Indexes are disposable: one that missed a change is dropped and loaded again by the next search.
  if (!done.ok() && state_.get() == &state) replace(nullptr);
}

void GenerationIndex::publish(RowId row, const NodeRecordPtr& record, Lsn lsn) {
  MutexLock lock(mutex_);
  begun_ = lsn;
  if (recording_) backlog_.push_back({row, record, lsn});
  if (state_) apply(*state_, {row, record, lsn});
}

// Adds what was recorded since a load or a compaction began, until nothing is left, then leaves the lock to the caller's
// next publish with recording off and `state` in place.
Status GenerationIndex::drain(IndexState& state, std::vector<Change>& changes) {
  for (const Change& change : changes) {
    if (change.lsn <= state.base) continue;  // the load has seen it
    MNEME_TRY(change.record ? state.put(change.row, *change.record, info_.id, change.lsn)
                            : state.vectors->erase(change.row, change.lsn));
  }
  changes.clear();
  return {};
}

Result<IndexStatePtr> GenerationIndex::acquire(const LoadFn& load) {
  if (IndexStatePtr state = loaded()) return state;
  MutexLock loading(load_mutex_);
  if (IndexStatePtr state = loaded()) return state;
  // The commit that is being published is recorded from here on only, perhaps from its middle: the store must show it.
  Lsn at_least;
  {
    MutexLock lock(mutex_);
    at_least = begun_;
    recording_ = true;
    backlog_.clear();
  }
  auto fresh = std::make_shared<IndexState>();
  fresh->vectors = make_vectors();
  Status done;
  if (Result<Lsn> base = load(*fresh, at_least); base.ok())
    fresh->base = *base;
  else
    done = base.status();
  done = finish(fresh, nullptr, std::move(done));
  if (!done.ok()) return done.with_context("loading the index of generation " + std::to_string(info_.id.value));
  return IndexStatePtr(fresh);
}

// Adds what was recorded and puts `fresh` in the place of `old`, unless something else has come there; `done`: of what
// filled it. Ends the recording.
Status GenerationIndex::finish(const std::shared_ptr<IndexState>& fresh, const std::shared_ptr<IndexState>& old,
                               Status done) {
  constexpr std::size_t kFew = 64;  // enough to add while publication waits
  for (std::vector<Change> changes; done.ok();) {
    {
      MutexLock lock(mutex_);
      std::swap(changes, backlog_);
      if (changes.size() <= kFew) {
        done = drain(*fresh, changes);
        if (done.ok() && state_ == old) replace(fresh);
        break;
      }
    }
    done = drain(*fresh, changes);
  }
  MutexLock lock(mutex_);
  recording_ = false;
  backlog_.clear();
  return done;
}

bool is_worth_compacting(std::size_t slots, std::size_t live, bool is_compressing_first) {
  constexpr std::size_t kDeadMin = 4096, kDeadMinMeanwhile = 32'768;
  const std::size_t dead = slots - std::min(slots, live);
  if (dead < kDeadMin || dead * 5 < slots) return false;
  return !is_compressing_first || dead >= std::max(kDeadMinMeanwhile, live);
}

Status GenerationIndex::compact_if_worthwhile(Lsn oldest) {
  std::shared_ptr<IndexState> old;
  std::size_t slots = 0;
  Lsn as_of;
  MutexLock loading(load_mutex_);
  {
    MutexLock lock(mutex_);
    if (!state_) return {};
    slots = state_->vectors->slots();
    as_of = state_->vectors->reflected();
    const index::VectorIndex& vectors = *state_->vectors;
    if (!is_worth_compacting(slots, vectors.live(), vectors.is_compressing_first()) || oldest < as_of) return {};
    // What is published from here on is recorded; all of it lies above `as_of`, since `oldest` is of a whole commit.
    old = state_;
    recording_ = true;
    backlog_.clear();
  }
  auto fresh = std::make_shared<IndexState>();
  fresh->vectors = make_vectors();
  const Status sound = old->vectors->verify();
  Status done = sound;
  for (index::Slot slot = 0; slot < slots && done.ok(); ++slot) {
    if (!old->vectors->visible(slot, as_of)) continue;
    done = fresh->add(old->vectors->row(slot), old->ids[slot], Attributes(old->attributes[slot].bytes()),
                      old->vectors->vector(slot), as_of);
  }
  fresh->base = as_of;
  // Without memory for its codes it is searched exactly until there are some.
  if (done.ok()) (void)fresh->vectors->continue_from(*old->vectors);
  (void)finish(fresh, old, std::move(done));  // what does not become of it is tried again
  return sound;
}

void GenerationIndex::set_options(const index::FunnelOptions& options) {
  MutexLock lock(mutex_);
  options_ = options;
}

std::unique_ptr<index::VectorIndex> GenerationIndex::make_vectors() const {
  MutexLock lock(mutex_);
  return index::make_funnel_index(info_.dimension, info_.metric, options_);
}

std::optional<IndexRecord> GenerationIndex::record() const {
  MutexLock lock(mutex_);
  return record_;
}

void GenerationIndex::set_record(const IndexRecord& record) {
  MutexLock lock(mutex_);
  record_ = record;
}

bool GenerationIndex::drop_damaged(const IndexStatePtr& state, const Uuid& id) {
  MutexLock lock(mutex_);
  bool is_news = false;
  if (record_ ? record_->id == id : id.is_nil()) {
    record_.reset();
    is_news = !std::exchange(stale_record_, true);
  }
  if (!state || state_ != state) return is_news;
  replace(nullptr);
  return true;
}

bool GenerationIndex::has_stale_record() const {
  MutexLock lock(mutex_);
  return stale_record_;
}

void GenerationIndex::stale_record_is_gone() {
  MutexLock lock(mutex_);
  stale_record_ = false;
}

Lsn GenerationIndex::begun() const {
  MutexLock lock(mutex_);
  return begun_;
}

std::uint64_t GenerationIndex::file_bytes() const {
  MutexLock lock(mutex_);
  return state_ ? state_->file_bytes() : 0;
}

std::uint64_t GenerationIndex::bytes_used() const {
  MutexLock lock(mutex_);
  return state_ ? state_->bytes_used() : 0;
}

}  // namespace mneme
