// Indexes in files: restored by the first search, saved in the background, made again when they are damaged.
//
// A save holds every commit up to an LSN S, and perhaps parts of later ones. Which rows later commits changed, the
// applier notes beside the data; a restore reads those rows from the store and puts them, as they are now, over what was
// saved. Doing so twice changes nothing, so that S need not be the end of anything.
//
// The record of a save is written when the store shows every commit that the save has seen. Both then survive a crash
// or neither does: a log that lost its end cannot leave an index that knows more than the database.

#include <algorithm>

#include "database_impl.h"
#include "mneme/index/funnel_index.h"
#include "mneme/storage/failpoint.h"

namespace mneme {
namespace {

constexpr std::size_t kRowsMin = 8192;     // of a first save: fewer are read from the store and compressed as quickly
constexpr std::size_t kChangesMin = 4096;  // slots made or dead since the last save that ask for another …
constexpr std::size_t kChangesShare = 8;   // … or this part of what was saved
constexpr std::size_t kChangesAtClose = 1024;
constexpr std::uint64_t kBytesAtClose = 256 * kMiB;  // a close does not write more than this for the next open

std::string name_of(const SpaceInfo& space, const GenerationIndex& index) {
  return "index of space " + std::to_string(space.id.value) + ", generation " + std::to_string(index.info().id.value);
}

bool is_due(const IndexState& state, bool closing) {
  const index::VectorIndex& vectors = *state.vectors;
  const std::size_t slots = vectors.slots(), saved = vectors.saved_slots();
  if (vectors.compressed() == 0 || (saved == 0 && vectors.live() < kRowsMin)) return false;
  const std::size_t dead = slots - std::min(slots, vectors.live());
  const std::size_t fresh = slots - std::min(slots, saved);
  const std::size_t changes = fresh + dead - std::min<std::size_t>(dead, state.saved_dead);
  if (closing)
    return (changes >= kChangesAtClose || vectors.has_new_codes()) &&
           fresh * vectors.dimension() * sizeof(float) <= kBytesAtClose;
  return saved == 0 || changes >= std::max(kChangesMin, saved / kChangesShare);
}

// No generation has a save that would need the notes.
void stop_noting_changes(SpaceEntry& entry, storage::WriteSet& set) {
  set.erase_range(storage::kMeta, change_key(entry.info.id, Lsn{}, RowId{}), changes_after(entry.info.id, kMaxLsn));
  entry.notes_changes = false;
  entry.noted_rows = 0;
}

bool is_damage(const Status& status) {
  return status.code() == Code::Corruption || status.code() == Code::VersionMismatch;
}

}  // namespace

// Of each generation the record that the store has, and no files but theirs.
Status DatabaseImpl::load_index_records() {
  std::vector<std::string> stems;
  for (const SpaceEntryPtr& entry : spaces_.all()) {
    const auto generations = entry->generations();
    for (const auto& index : generations->indexes) {
      const SpaceId space = entry->info.id;
      const GenerationId generation = index->info().id;
      MNEME_ASSIGN(const auto stored, store_->get(storage::kMeta, index_record_key(space, generation)));
      if (!stored) continue;
      entry->notes_changes = true;
      const Result<IndexRecord> record = decode_index_record(stored->bytes());
      if (record) {
        index->set_record(*record);
        stems.push_back(index_stem(space, generation, record->id));
      } else {
        index_is_damaged(entry->info, *index, nullptr, Uuid{}, record.status());
      }
    }
  }
  if (options_.read_only) return {};
  MNEME_TRY(fs_.make_directory(directory_ / "index"));
  const Status removed = index::remove_index_files(directory_ / "index", "s", stems);
  if (!removed.ok() && options_.log) options_.log("index files that are not used stay: " + removed.to_string());
  return {};
}

// @return false when there is nothing to restore from, or more rows have changed than were saved; `state` is then as it
// was
Result<bool> DatabaseImpl::restore_index(const SpaceEntry& entry, GenerationIndex& index, IndexState& state,
                                         const ReadView& view) {
  const std::optional<IndexRecord> record = index.record();
  if (!record) return false;
  const SpaceId space = entry.info.id;
  const GenerationInfo& generation = index.info();
  MNEME_ASSIGN(const auto changed, rows_changed(space, record->reflected, view, record->saved.slots));
  if (!changed) return false;
  const index::IndexHome home{directory_ / "index", index_stem(space, generation.id, record->id), record->id};
  Result<index::RestoredIndex> restored =
      index::open_funnel_index(generation.dimension, generation.metric, {.cold = options_.cold_indexes}, home,
                               record->saved, record->reflected, options_.read_only);
  if (!restored) {
    index_is_damaged(entry.info, index, nullptr, record->id, restored.status());
    return false;
  }
  state.restore(std::move(*restored), record->id);
  for (const RowId row : *changed) MNEME_TRY(replay_change(space, generation.id, row, view, state));
  // What a read-only open could not apply lies over what the store shows.
  for (auto late = overlay_.lower_bound({space, RowId{0}}); late != overlay_.end() && late->first.first == space;
       ++late) {
    const auto& [record_now, lsn] = late->second;
    MNEME_TRY(record_now ? state.put(late->first.second, *record_now, generation.id, view.lsn())
                         : state.vectors->erase(late->first.second, view.lsn()));
  }
  ++indexes_restored_;
  return true;
}

// Ascending, each once; nothing when they are more than `rows_max`.
Result<std::optional<std::vector<RowId>>> DatabaseImpl::rows_changed(SpaceId space, Lsn after, const ReadView& view,
                                                                     std::size_t rows_max) const {
  std::vector<RowId> rows;
  const auto iterator = store_->scan(storage::kMeta, changes_after(space, after), changes_after(space, kMaxLsn),
                                     {.snapshot = view.pin_->snapshot, .fill_cache = false});
  for (; iterator->valid(); iterator->next()) {
    const std::string_view key = iterator->key();
    if (key.size() != change_key({}, {}, {}).size() || iterator->value().size() != sizeof(std::uint32_t))
      return Status(Code::Corruption, "meta family: a note of changed rows has another length");
    const RowId first{load_be<std::uint64_t>(key.data() + key.size() - 8)};
    const auto count = load_le<std::uint32_t>(iterator->value().data());
    if (rows.size() + count > rows_max) return std::optional<std::vector<RowId>>();
    for (std::uint32_t i = 0; i < count; ++i) rows.push_back(RowId{first.value + i});
  }
  MNEME_TRY(iterator->status());
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  return std::optional<std::vector<RowId>>(std::move(rows));
}

Status DatabaseImpl::replay_change(SpaceId space, GenerationId generation, RowId row, const ReadView& view,
                                   IndexState& state) const {
  for (const storage::TierStore* tier : {warm_.get(), cold_.get()}) {
    MNEME_ASSIGN(const std::optional<NodeRecordPtr> record, tier->get(space, row, view.pin_->snapshot));
    if (record) return state.put(row, **record, generation, view.lsn());
  }
  return state.vectors->erase(row, view.lsn());
}

// The saver's thread.
void DatabaseImpl::save_indexes() {
  constexpr std::chrono::milliseconds kLookEvery{100};
  constexpr std::chrono::seconds kTryAgainAfter{5};
  auto not_before = clock_.monotonic();
  for (bool closing = false; !closing;) {
    {
      MutexLock lock(maintain_mutex_);
      if (!stopping_) maintain_wake_.wait_for(maintain_mutex_, kLookEvery);
      closing = stopping_;
    }
    if (!closing && clock_.monotonic() < not_before) continue;
    for (const SpaceEntryPtr& entry : spaces_.all()) {
      const auto failed = [&](const std::string& what, const Status& status) {
        not_before = clock_.monotonic() + kTryAgainAfter;
        if (options_.log) options_.log(what + ": save: " + status.to_string());
      };
      const auto generations = entry->generations();
      for (const auto& index : generations->indexes)
        if (const Status done = save_index(*entry, *index, closing); !done.ok())
          failed(name_of(entry->info, *index), done);
      if (const Status done = forget_needless_notes(*entry); !done.ok())
        failed("indexes of space " + std::to_string(entry->info.id.value), done);
    }
  }
}

Status DatabaseImpl::save_index(SpaceEntry& entry, GenerationIndex& index, bool closing) {
  const SpaceId space = entry.info.id;
  const GenerationId generation = index.info().id;
  MNEME_TRY(forget_stale_record(entry, index));
  const auto is_gone = [&] { return entry.dropped || !entry.generation(generation); };
  // The LSN first, then the state: whatever state this gets has seen every commit up to there.
  const auto seen = [&] { return Lsn{visible_.load(std::memory_order_acquire)}; };
  Lsn reflected = seen();
  IndexStatePtr state = index.loaded();
  if (is_gone()) return {};
  if (!state) return closing ? ok_status() : give_up_when_behind(entry, index);
  if (!is_due(*state, closing)) return {};
  if (!entry.notes_changes) {
    // Set between two steps of the applier: what it has applied by then was not noted, all that follows is.
    MNEME_TRY(applier_->write_beside([&](storage::WriteSet&, Lsn applied) {
      entry.noted_after = applied.value;
      entry.notes_changes = true;
    }));
    reflected = seen();
    state = index.loaded();
    if (!state) return {};
  }
  if (reflected.value < entry.noted_after) return {};  // soon
  if (state->saved_as.is_nil()) state->saved_as = uuid_v7(clock_, random_);
  const index::IndexHome home{directory_ / "index", index_stem(space, generation, state->saved_as), state->saved_as};
  const std::size_t dead = state->vectors->slots() - std::min(state->vectors->slots(), state->vectors->live());
  const Result<index::SavedIndex> saved = state->vectors->save(home, [&](index::Slot slot) {
    return index::SlotNote{state->ids[slot], state->attributes[slot].bytes()};
  });
  if (is_damage(saved.status())) {
    index_is_damaged(entry.info, index, state, state->saved_as, saved.status());
    return {};
  }
  if (!saved) return saved.status();
  MNEME_FAILPOINT("index.saved");
  if (index.loaded() != state) return {};  // compacted or dropped meanwhile: the new one is saved by itself
  // Everything the save may have seen was published; the store is to show it before it shows the record.
  MNEME_TRY(applier_->wait_applied(std::max(reflected, index.begun())));
  const IndexRecord record{state->saved_as, *saved, reflected};
  Bytes bytes;
  encode_index_record(record, bytes);
  Lsn noted_until = reflected;
  const auto generations = entry.generations();
  for (const auto& other : generations->indexes)
    if (const auto its = other->record(); its && other.get() != &index)
      noted_until = std::min(noted_until, its->reflected);
  MNEME_TRY(applier_->write_beside([&](storage::WriteSet& set, Lsn) {
    if (is_gone()) return;
    set.put(storage::kMeta, index_record_key(space, generation), bytes);
    set.erase_range(storage::kMeta, change_key(space, Lsn{}, RowId{}), changes_after(space, noted_until));
  }));
  // From here on nothing may start from the record before: the notes that it needs are gone.
  index.set_record(record);
  entry.noted_rows = 0;  // about: those above the LSN stay
  MNEME_FAILPOINT("index.recorded");
  // Files that the record before this one names go when it cannot come back.
  MNEME_TRY(store_->flush());
  MNEME_TRY(wal_->drop_through(store_->flushed_lsn()));
  MNEME_FAILPOINT("index.flushed");
  state->saved_dead = dead;
  MNEME_TRY(state->vectors->keep_saved());
  if (is_gone()) return index::remove_index_files(directory_ / "index", index_prefix(space, generation), {});
  MNEME_TRY(index::remove_index_files(directory_ / "index", index_prefix(space, generation), {home.stem}));
  ++indexes_saved_;
  return {};
}

// An index that nobody searches is not saved, and notes of changed rows grow. Once they are more than its rows, reading
// those again is as quick.
Status DatabaseImpl::give_up_when_behind(SpaceEntry& entry, GenerationIndex& index) {
  const std::optional<IndexRecord> record = index.record();
  if (!record) return {};
  if (!std::exchange(entry.old_notes_counted, true)) {
    MNEME_ASSIGN(const ReadView view, read_view());
    MNEME_ASSIGN(const auto rows, rows_changed(entry.info.id, record->reflected, view, record->saved.slots));
    entry.noted_rows += rows ? rows->size() : record->saved.slots + 1;
  }
  if (entry.noted_rows > record->saved.slots) index.drop_damaged(nullptr, record->id);
  return {};
}

// A record that is not to be used goes before the notes that it would need are taken away.
Status DatabaseImpl::forget_stale_record(SpaceEntry& entry, GenerationIndex& index) {
  if (!index.has_stale_record()) return {};
  const SpaceId space = entry.info.id;
  const GenerationId generation = index.info().id;
  const auto generations = entry.generations();
  const bool is_last = std::none_of(generations->indexes.begin(), generations->indexes.end(),
                                    [](const auto& other) { return other->record().has_value(); });
  MNEME_TRY(applier_->write_beside([&](storage::WriteSet& set, Lsn) {
    set.erase(storage::kMeta, index_record_key(space, generation));
    if (is_last) stop_noting_changes(entry, set);
  }));
  index.stale_record_is_gone();
  return {};
}

void DatabaseImpl::index_is_damaged(const SpaceInfo& space, GenerationIndex& index, const IndexStatePtr& state,
                                    const Uuid& id, const Status& damage) const {
  if (!index.drop_damaged(state, id)) return;  // of several searches that meet the damage one says so
  ++indexes_damaged_;
  if (options_.log)
    options_.log(name_of(space, index) + ": " + damage.to_string() + "; it is read from the database again");
}

// Of a space that was dropped, or of one generation that was. Whether notes of changes are still needed, the saver finds
// out: it may be about to need them.
void DatabaseImpl::remove_saved_index(SpaceEntry& entry, std::optional<GenerationId> generation) {
  const SpaceId space = entry.info.id;
  Status done;
  if (generation) {
    done = applier_->write_beside(
        [&](storage::WriteSet& set, Lsn) { set.erase(storage::kMeta, index_record_key(space, *generation)); });
    entry.lost_a_generation = true;
  }
  if (done.ok())
    done = index::remove_index_files(directory_ / "index",
                                     generation ? index_prefix(space, *generation) : index_prefix(space), {});
  if (!done.ok() && options_.log)
    options_.log("index files of space " + std::to_string(space.value) + ": " + done.to_string());
}

// After a generation was dropped: notes that no save of another one would need.
Status DatabaseImpl::forget_needless_notes(SpaceEntry& entry) {
  if (!entry.lost_a_generation.exchange(false) || entry.dropped) return {};
  const auto generations = entry.generations();
  if (std::any_of(generations->indexes.begin(), generations->indexes.end(),
                  [](const auto& index) { return index->record().has_value(); }))
    return {};
  Status done = applier_->write_beside([&](storage::WriteSet& set, Lsn) { stop_noting_changes(entry, set); });
  if (!done.ok()) entry.lost_a_generation = true;  // tried again
  return done;
}

}  // namespace mneme
