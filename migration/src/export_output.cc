#include "export_output.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "mneme/base/checksum.h"
#include "mneme/base/clock.h"

namespace mneme::migration {
namespace {

class FileOutput final : public ExportOutput {
 public:
  FileOutput(storage::FileSystem& fs, std::filesystem::path path, std::filesystem::path temporary,
             std::unique_ptr<storage::File> file)
      : fs_(fs), path_(std::move(path)), temporary_(std::move(temporary)), file_(std::move(file)) {}

  ~FileOutput() override {
    if (published_) return;
    file_.reset();
    // Called on the way out of an error, which is what the caller wants to hear of; what stays has a telling name.
    static_cast<void>(fs_.remove(temporary_).ok());
  }

  Status append(ByteView bytes) override {
    MNEME_TRY(file_->write_at(size_, bytes));
    size_ += bytes.size();
    return {};
  }

  Status rewrite_front(ByteView bytes) override { return file_->write_at(0, bytes); }

  Status publish() override {
    MNEME_TRY(file_->sync());
    MNEME_TRY(file_->close());
    MNEME_TRY(fs_.rename(temporary_, path_));
    published_ = true;
    return fs_.sync_directory(path_.has_parent_path() ? path_.parent_path() : std::filesystem::path("."));
  }

 private:
  storage::FileSystem& fs_;
  const std::filesystem::path path_, temporary_;
  std::unique_ptr<storage::File> file_;
  std::uint64_t size_ = 0;
  bool published_ = false;
};

class StandardOutput final : public ExportOutput {
 public:
  Status append(ByteView bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0)
        return Status(errno == ENOSPC || errno == EDQUOT ? Code::NoSpace : Code::IoError,
                      "standard output: write of " + std::to_string(bytes.size()) + " bytes: " + std::strerror(errno));
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
  }
  Status rewrite_front(ByteView) override {
    return Status(Code::Unsupported, "standard output: cannot go back to its beginning");
  }
  Status publish() override { return {}; }
};

}  // namespace

Result<std::unique_ptr<ExportOutput>> open_export_output(storage::FileSystem& fs, const std::filesystem::path& path) {
  if (path == "-") return std::unique_ptr<ExportOutput>(std::make_unique<StandardOutput>());
  std::array<std::uint8_t, 4> random;
  system_random().fill(random);
  std::filesystem::path temporary = path;
  temporary += ".part-" + to_hex(std::as_bytes(std::span(random)));
  MNEME_ASSIGN(auto file, fs.open(temporary, storage::OpenMode::CreateNew));
  return std::unique_ptr<ExportOutput>(std::make_unique<FileOutput>(fs, path, temporary, std::move(file)));
}

}  // namespace mneme::migration
