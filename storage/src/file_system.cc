#include "mneme/storage/file_system.h"

#include "mneme/storage/failpoint.h"

namespace mneme::storage {

Result<Bytes> read_file(FileSystem& fs, const Path& path, std::uint64_t bytes_max) {
  MNEME_ASSIGN(const std::unique_ptr<File> file, fs.open(path, OpenMode::Read));
  MNEME_ASSIGN(const std::uint64_t size, file->size());
  if (size > bytes_max)
    return {Code::InvalidArgument,
            path.string() + ": " + std::to_string(size) + " bytes, at most " + std::to_string(bytes_max) + " are read"};
  Bytes bytes(size);
  MNEME_ASSIGN(const std::size_t got, file->read_at(0, bytes));
  bytes.resize(got);
  return bytes;
}

namespace {

Status write_whole(FileSystem& fs, const Path& path, ByteView bytes) {
  MNEME_ASSIGN(const std::unique_ptr<File> file, fs.open(path, OpenMode::CreateOrTruncate));
  MNEME_TRY(file->write_at(0, bytes));
  MNEME_FAILPOINT("publish.after_write");
  MNEME_TRY(file->sync());
  return file->close();
}

}  // namespace

Status publish_file(FileSystem& fs, const Path& path, ByteView bytes) {
  const Path temporary = path.string() + ".tmp";
  Status done = write_whole(fs, temporary, bytes);
  MNEME_FAILPOINT("publish.before_rename");
  if (done) done = fs.rename(temporary, path);
  if (!done) {
    // The temporary file is overwritten by the next attempt; the first error is the one to report.
    static_cast<void>(fs.remove(temporary));
    return done.with_context("publish " + path.string());
  }
  MNEME_FAILPOINT("publish.after_rename");
  const Path parent = path.has_parent_path() ? path.parent_path() : Path(".");
  return fs.sync_directory(parent).with_context("publish " + path.string());
}

}  // namespace mneme::storage
