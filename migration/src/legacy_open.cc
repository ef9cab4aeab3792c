// Opening and making a legacy store.
//
// A new store is made under MANIFEST.new and becomes one when that name turns into MANIFEST: whoever finds
// MANIFEST.new finds a store that was never used, and makes it anew; whoever finds MANIFEST finds all its parts, or
// damage.
#include <utility>

#include "legacy_log.h"
#include "legacy_store_impl.h"
#include "mneme/base/clock.h"
#include "mneme/storage/control_record.h"
#include "mneme/version.h"

namespace mneme::migration {
namespace {

using std::filesystem::path;
using storage::FileSystem;
using storage::LegacyManifest;

class Opening {
 public:
  Opening(FileSystem& fs, path directory, const LegacyOptions& options)
      : fs_(fs), directory_(std::move(directory)), options_(options) {}

  Result<std::unique_ptr<LegacyStore>> run() {
    MNEME_TRY(find_directory());
    MNEME_ASSIGN(auto lock, fs_.lock(directory_ / "LOCK"));
    MNEME_TRY(find_manifest());
    MNEME_TRY(is_new_ ? begin_new() : check_parts());
    MNEME_ASSIGN(const auto manifest,
                 storage::read_control<LegacyManifest>(fs_, is_new_ ? manifest_new() : manifest_path()));
    // Lost parts are made anew when a person has decided to go on without them.
    MNEME_ASSIGN(auto state, LegacyState::open(directory_ / "store", options_, is_new_ || options_.accept_data_loss));
    MNEME_ASSIGN(auto log, open_log(manifest.database, *state));
    if (is_new_) MNEME_TRY(publish_new());
    return std::unique_ptr<LegacyStore>(std::make_unique<OpenLegacyStore>(
        directory_, options_, manifest.database, std::move(lock), std::move(state), std::move(log)));
  }

 private:
  path manifest_path() const { return directory_ / "MANIFEST"; }
  path manifest_new() const { return directory_ / "MANIFEST.new"; }

  Status refuse(Code code, std::string_view what) const {
    return Status(code, "legacy store " + directory_.string() + ": " + std::string(what));
  }

  bool may_create() const { return options_.create_if_missing && !options_.read_only; }

  // Before the lock, so that asking for a store that is not there leaves no LOCK behind.
  Status find_directory() {
    MNEME_ASSIGN(const bool there, fs_.exists(directory_));
    if (!there) return may_create() ? fs_.make_directory(directory_) : refuse(Code::NotFound, "no such directory");
    MNEME_ASSIGN(const bool is_store, fs_.exists(manifest_path()));
    if (is_store) return {};
    MNEME_ASSIGN(const bool unfinished, fs_.exists(manifest_new()));
    MNEME_ASSIGN(const auto names, fs_.list(directory_));
    for (const std::string& name : names)
      if (name == "store" || name == "wal")
        if (!unfinished) return refuse(Code::Corruption, "MANIFEST is missing beside " + name);
    if (!may_create()) return refuse(Code::NotFound, "no MANIFEST in it");
    const bool is_free = unfinished || names.empty() || (names.size() == 1 && names[0] == "LOCK");
    return is_free ? Status() : refuse(Code::AlreadyExists, "the directory holds other files, such as " + names[0]);
  }

  Status find_manifest() {
    MNEME_ASSIGN(const bool is_store, fs_.exists(manifest_path()));
    is_new_ = !is_store;
    return is_new_ && !may_create() ? refuse(Code::NotFound, "no MANIFEST in it") : Status();
  }

  Status begin_new() {
    LegacyManifest manifest;
    manifest.created_at_us = system_clock().now().time_since_epoch().count();
    manifest.created_by = kVersion;
    MNEME_TRY(storage::write_control(fs_, manifest_new(), uuid_v7(system_clock(), system_random()), manifest));
    for (const char* part : {"store", "wal"}) {  // of an earlier attempt
      MNEME_ASSIGN(const bool there, fs_.exists(directory_ / part));
      if (there) MNEME_TRY(fs_.remove_all(directory_ / part));
    }
    return fs_.make_directory(directory_ / "store");
  }

  Status check_parts() const {
    for (const char* part : {"store", "wal"}) {
      MNEME_ASSIGN(const bool there, fs_.exists(directory_ / part));
      if (!there && !options_.accept_data_loss)
        return refuse(Code::DataLoss, std::string(part) + "/ is missing beside MANIFEST");
    }
    return {};
  }

  Result<std::unique_ptr<storage::Wal>> open_log(const Uuid& id, LegacyState& state) {
    storage::WalOptions options;
    options.read_only = options_.read_only;
    options.accept_data_loss = options_.accept_data_loss;
    storage::WalRecovery recovery;
    auto log = storage::Wal::open(
        fs_, system_clock(), directory_ / "wal", id, options, state.store().applied_lsn(),
        [&](const storage::WalRecord& record) -> Status {
          if (record.kind == kLegacyBatchRecord) return state.replay(record.lsn, record.payload);
          return refuse(Code::VersionMismatch, "log record " + std::to_string(record.lsn.value) + " has kind " +
                                                   std::to_string(record.kind) + ", known is 1");
        },
        &recovery);
    if (!log) return log.status().with_context("legacy store " + directory_.string());
    if (!recovery.damage && options_.log) options_.log(recovery.damage.to_string());
    return log;
  }

  Status publish_new() {
    MNEME_TRY(fs_.sync_directory(directory_));  // the names of the parts before the name that speaks for them
    MNEME_TRY(fs_.rename(manifest_new(), manifest_path()));
    MNEME_TRY(fs_.sync_directory(directory_));
    // The directory's own name; its parent is "." for a relative name without one.
    const path parent = directory_.has_parent_path() ? directory_.parent_path() : path(".");
    return fs_.sync_directory(parent);
  }

  FileSystem& fs_;
  const path directory_;
  const LegacyOptions& options_;
  bool is_new_ = false;
};

/// Without a trailing slash, whose parent would be the directory itself.
path normal(const path& directory) {
  const path clean = directory.lexically_normal();
  return clean.has_filename() ? clean : clean.parent_path();
}

}  // namespace

Result<std::unique_ptr<LegacyStore>> open_legacy_store(FileSystem& fs, const path& directory,
                                                       const LegacyOptions& options) {
  if (directory.empty()) return Status(Code::InvalidArgument, "legacy store: no directory named");
  if (options.read_only && options.accept_data_loss)
    return Status(Code::InvalidArgument, "legacy store " + directory.string() +
                                             ": read_only reads up to the damage, accept_data_loss gives up what lies "
                                             "behind it: choose one");
  return Opening(fs, normal(directory), options).run();
}

Result<std::unique_ptr<LegacyStore>> LegacyStore::open(const path& directory, const LegacyOptions& options) {
  return open_legacy_store(storage::posix_file_system(), directory, options);
}

}  // namespace mneme::migration
