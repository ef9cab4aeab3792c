// Sorted files made outside the store and taken in whole.
#include <rocksdb/sst_file_writer.h>

#include <map>

#include "mneme/storage/failpoint.h"
#include "rocks_env.h"
#include "rocks_status.h"
#include "rocks_store.h"

namespace mneme::storage {
namespace {

class RocksSortedFileWriter final : public SortedFileWriter {
 public:
  RocksSortedFileWriter(const rocksdb::Options& options, rocksdb::ColumnFamilyHandle* handle, const Path& path)
      : path_(path),
        // Pages stay cached: the file is read again soon, by the ingest and by a verifier.
        writer_(rocksdb::EnvOptions(options), options, handle, /*invalidate_page_cache=*/false) {}

  ~RocksSortedFileWriter() override {
    if (finished_ || !opened_) return;
    // An unfinished file that stays all the same is swept with its directory.
    owner_only_env()->DeleteFile(path_.string()).PermitUncheckedError();
  }

  Status start() {
    std::error_code error;
    if (std::filesystem::exists(path_, error)) return {Code::AlreadyExists, context("create") + ": the file is there"};
    const rocksdb::Status opened = writer_.Open(path_.string());
    opened_ = opened.ok();
    return from_rocks(opened, context("create"));
  }

  Status put(std::string_view key, ByteView value) override {
    return guarded("sorted file", [&]() -> Status {
      if (finished_) return {Code::FailedPrecondition, context("put") + ": the file is finished"};
      return from_rocks(writer_.Put(to_slice(key), to_slice(value)), context("put"));
    });
  }

  Result<std::uint64_t> finish() override {
    return guarded("sorted file", [&]() -> Result<std::uint64_t> {
      if (finished_) return Status(Code::FailedPrecondition, context("finish") + ": the file is finished");
      rocksdb::ExternalSstFileInfo info;
      MNEME_TRY(from_rocks(writer_.Finish(&info), context("finish")));
      finished_ = true;
      return info.file_size;
    });
  }

  std::uint64_t bytes() const override { return writer_.FileSize(); }

 private:
  std::string context(std::string_view what) const {
    return "sorted file " + path_.string() + ": " + std::string(what);
  }

  const Path path_;
  mutable rocksdb::SstFileWriter writer_;  // FileSize() is not const there
  bool opened_ = false, finished_ = false;
};

rocksdb::IngestExternalFileOptions ingest_options() {
  rocksdb::IngestExternalFileOptions options;
  options.move_files = true;
  options.failed_move_fall_back_to_copy = false;  // a silent copy of gigabytes is not what the caller asked for
  options.snapshot_consistency = true;
  options.allow_global_seqno = true;
  options.allow_blocking_flush = true;
  options.write_global_seqno = false;
  return options;
}

}  // namespace

Result<std::unique_ptr<SortedFileWriter>> RocksOrderedStore::new_sorted_file(Family family, const Path& path) {
  return guarded("sorted file", [&]() -> Result<std::unique_ptr<SortedFileWriter>> {
    MNEME_TRY(check_family(family, "new sorted file"));
    rocksdb::Options options = db_->GetOptions(handles_[family]);
    auto writer = std::make_unique<RocksSortedFileWriter>(options, handles_[family], path);
    MNEME_TRY(writer->start());
    return std::unique_ptr<SortedFileWriter>(std::move(writer));
  });
}

Status RocksOrderedStore::ingest(std::span<const IngestFile> files) {
  return guarded("ingest", [&]() -> Status {
    MNEME_TRY(check_writable("ingest"));
    std::map<Family, rocksdb::IngestExternalFileArg> by_family;
    for (const IngestFile& file : files) {
      MNEME_TRY(check_family(file.family, "ingest"));
      rocksdb::IngestExternalFileArg& argument = by_family[file.family];
      argument.column_family = handles_[file.family];
      argument.external_files.push_back(file.path.string());
      argument.options = ingest_options();
    }
    if (by_family.empty()) return ok_status();
    std::vector<rocksdb::IngestExternalFileArg> arguments;
    for (auto& [family, argument] : by_family) arguments.push_back(std::move(argument));

    // 7.8 orders level 0 wrongly when a file goes in beside a live memtable whose sequence numbers span its own
    // (fixed in 7.10). With the memtables empty and nobody writing there is nothing to span.
    MNEME_TRY(flush());
    MNEME_FAILPOINT("store.ingest_flushed");
    const MutexLock lock(change_);
    MNEME_TRY(from_rocks(db_->IngestExternalFiles(arguments),
                         context("ingest of " + std::to_string(files.size()) + " files")));
    MNEME_FAILPOINT("store.ingested");
    return ok_status();
  });
}

}  // namespace mneme::storage
