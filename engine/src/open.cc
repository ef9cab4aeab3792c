// Opening a database: lock, manifest, store, spaces, log, then the threads.

#include <algorithm>

#include "database_impl.h"
#include "mneme/base/checksum.h"
#include "mneme/version.h"

namespace mneme {
namespace {

constexpr std::string_view kManifestName = "MANIFEST", kLockName = "LOCK";

storage::OrderedStoreOptions store_options(const DatabaseOptions& options) {
  storage::OrderedStoreOptions store;
  store.families = storage::database_families();
  store.block_cache_bytes = options.block_cache_bytes;
  if (options.background_threads > 0) store.background_threads = options.background_threads;
  store.read_only = options.read_only;
  store.log = options.log;
  return store;
}

}  // namespace

DatabaseImpl::DatabaseImpl(std::filesystem::path directory, const DatabaseOptions& options)
    : directory_(std::move(directory)),
      options_(options),
      fs_(storage::posix_file_system()),
      clock_(options.clock ? *options.clock : system_clock()),
      random_(options.random ? *options.random : system_random()),
      hot_(storage::HotTier::create()) {}

Result<std::shared_ptr<DatabaseImpl>> DatabaseImpl::open(const std::filesystem::path& directory,
                                                         const DatabaseOptions& options) {
  MNEME_TRY(options.validate());
  std::shared_ptr<DatabaseImpl> impl(new DatabaseImpl(directory, options));
  const std::string context = "open " + directory.string();
  for (const auto step : {&DatabaseImpl::prepare_directory, &DatabaseImpl::load_manifest, &DatabaseImpl::open_store,
                          &DatabaseImpl::open_log}) {
    if (const Status done = (impl.get()->*step)(); !done) return done.with_context(context);
  }
  if (!options.read_only) {
    impl->maintainer_ = std::thread([raw = impl.get()] { raw->maintain(); });
    impl->saver_ = std::thread([raw = impl.get()] { raw->save_indexes(); });
  }
  return impl;
}

Status DatabaseImpl::prepare_directory() {
  MNEME_ASSIGN(const bool there, fs_.exists(directory_));
  if (!there) {
    if (!options_.create_if_missing || options_.read_only) return {Code::NotFound, "no such directory"};
    MNEME_TRY(fs_.make_directory(directory_));
  }
  MNEME_ASSIGN(const bool made, fs_.exists(directory_ / kManifestName));
  if (!made) {
    if (!options_.create_if_missing || options_.read_only) return {Code::NotFound, "no database there (no MANIFEST)"};
    MNEME_ASSIGN(const std::vector<std::string> names, fs_.list(directory_));
    for (const std::string& name : names)
      if (name != kLockName && name.rfind(kManifestName, 0) != 0)
        return {Code::FailedPrecondition, "no database there, and the directory is not empty: it holds " + name};
  }
  MNEME_ASSIGN(lock_, fs_.lock(directory_ / kLockName));
  return {};
}

Status DatabaseImpl::load_manifest() {
  const std::filesystem::path path = directory_ / kManifestName;
  auto manifest = storage::read_control<storage::DatabaseManifest>(fs_, path);
  if (manifest.status().code() == Code::NotFound) {
    id_ = uuid_v7(clock_, random_);
    manifest_.default_dimension = options_.default_dimension;
    manifest_.default_metric = static_cast<std::uint8_t>(options_.default_metric);
    manifest_.created_at_us = clock_.now().time_since_epoch().count();
    manifest_.created_by = "mneme " + std::string(kVersion);
    return storage::write_control(fs_, path, id_, manifest_);
  }
  if (!manifest) return manifest.status();
  id_ = manifest->database;
  manifest_ = manifest->record;
  return {};
}

Status DatabaseImpl::open_store() {
  MNEME_ASSIGN(store_, storage::OrderedStore::open(directory_ / "store", store_options(options_)));
  map_ = std::make_unique<storage::TierMap>(*store_);
  warm_ = std::make_unique<storage::TierStore>(*store_, TierId::Warm, &dropped_);
  cold_ = std::make_unique<storage::TierStore>(*store_, TierId::Cold, &dropped_);
  MNEME_ASSIGN(auto counters, load_spaces());
  MNEME_TRY(load_index_records());  // before anything is applied: what is must be noted
  applier_ = std::make_unique<Applier>(Applier::Context{*store_, fs_, *hot_, dropped_, pending_links_,
                                                        directory_ / "bulk", options_.hot_bytes_max, options_.log,
                                                        [this](SpaceId space, const SpaceCounters& now) {
                                                          if (const SpaceEntryPtr entry = spaces_.find(space))
                                                            entry->cold_nodes = now.cold_nodes;
                                                        },
                                                        [this](SpaceId space, std::uint32_t rows) {
                                                          const SpaceEntryPtr entry = spaces_.find(space);
                                                          if (!entry || !entry->notes_changes) return false;
                                                          entry->noted_rows += rows;
                                                          return true;
                                                        }},
                                       std::move(counters));
  return {};
}

Result<std::map<SpaceId, SpaceCounters>> DatabaseImpl::load_spaces() {
  std::map<SpaceId, SpaceCounters> all;
  const auto iterator = store_->scan(storage::kMeta, "s", "t");
  for (; iterator->valid(); iterator->next()) {
    if (iterator->key().size() != 5)
      return Status(Code::Corruption, "meta family: a key of a space has another length");
    const SpaceId id{load_be<std::uint32_t>(iterator->key().data() + 1)};
    MNEME_ASSIGN(SpaceInfo info, decode_space_record(id, iterator->value()));
    for (GenerationId used{0}; used < info.next_generation; ++used.value)
      if (std::ranges::none_of(info.generations, [&](const GenerationInfo& one) { return one.id == used; }))
        dropped_.add(id, used);
    auto entry = std::make_shared<SpaceEntry>(std::move(info));
    MNEME_ASSIGN(const auto stored, store_->get(storage::kMeta, space_counters_key(id)));
    SpaceCounters counters;
    if (stored) {
      MNEME_ASSIGN(counters, decode_counters(stored->bytes()));
    }
    entry->episodes = static_cast<std::int64_t>(counters.episodes);
    entry->concepts = static_cast<std::int64_t>(counters.concepts);
    entry->vectors = static_cast<std::int64_t>(counters.vectors);
    entry->links = static_cast<std::int64_t>(counters.links);
    entry->next_row = counters.next_row;
    entry->cold_nodes = counters.cold_nodes;
    all[id] = counters;
    spaces_.add(std::move(entry));
  }
  MNEME_TRY(iterator->status());
  MNEME_ASSIGN(const auto next, store_->get(storage::kMeta, kNextSpaceKey));
  if (next) {
    ByteReader reader(next->bytes());
    MNEME_ASSIGN(const auto value, reader.fixed<std::uint32_t>());
    next_space_ = value;
  }
  return all;
}

Status DatabaseImpl::open_log() {
  const auto begin = clock_.monotonic();
  const Lsn applied = store_->applied_lsn();
  visible_ = applied.value;
  if (!options_.read_only) {
    MNEME_TRY(fs_.make_directory(directory_ / "bulk"));
    applier_->start();  // applies while the rest is still replayed
  }
  storage::WalOptions log;
  log.read_only = options_.read_only;
  log.accept_data_loss = options_.accept_data_loss;
  storage::WalRecovery found;
  MNEME_ASSIGN(wal_, storage::Wal::open(
                         fs_, clock_, directory_ / "wal", id_, log, applied,
                         [this](const storage::WalRecord& record) { return replay(record); }, &found));
  recovery_.replayed_from = applied;
  recovery_.last = found.last;
  recovery_.records = found.records;
  recovery_.bytes = found.bytes;
  recovery_.trimmed_bytes = found.trimmed_bytes;
  recovery_.trimmed_records = found.trimmed_records;
  recovery_.damage = found.damage;
  if (!options_.read_only) {
    // A replayed Put is in the hot tier at once; a bulk load or a move shows when the store has it. Nobody may read or
    // write before: an acknowledged move would look undone, and a put would take a loaded node for a new one.
    MNEME_TRY(applier_->wait_applied(replayed_unseen_));
    MNEME_TRY(remove_stale_bulk_files());
  }
  recovery_.seconds = std::chrono::duration<double>(clock_.monotonic() - begin).count();
  return {};
}

Status DatabaseImpl::replay(const storage::WalRecord& record) {
  MNEME_ASSIGN(Commit commit, decode_commit(record));
  if (commit.bulk) {
    MNEME_ASSIGN(const bool happened, applier_->bulk_can_be_in(*commit.bulk));
    if (!happened) {
      if (options_.log) options_.log("bulk load " + commit.bulk->id.to_string() + " was not finished: passed over");
      commit = Commit{};
      commit.lsn = record.lsn;
    } else {
      for (const BulkFile& file : commit.bulk->files) replayed_bulk_files_.insert(file.name);
      commit.bulk->files_are_whole = true;
    }
  }
  if (commit.bulk || commit.move) replayed_unseen_ = commit.lsn;
  publish(std::move(commit));
  return {};
}

// What a crash left of bulk loads that never reached the log.
Status DatabaseImpl::remove_stale_bulk_files() {
  const std::filesystem::path bulk = directory_ / "bulk";
  MNEME_ASSIGN(const std::vector<std::string> names, fs_.list(bulk));
  for (const std::string& name : names) {
    if (replayed_bulk_files_.contains(name)) continue;
    const Status removed = fs_.remove(bulk / name);
    if (!removed.ok() && removed.code() != Code::NotFound) return removed;  // the applier may have taken it in
  }
  replayed_bulk_files_.clear();
  return {};
}

}  // namespace mneme
