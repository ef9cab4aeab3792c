// Where an export goes: a file that appears whole or not at all, or standard output.
#pragma once

#include <filesystem>
#include <memory>

#include "mneme/base/bytes.h"
#include "mneme/storage/file_system.h"

namespace mneme::migration {

/// Threads: one.
class ExportOutput {
 public:
  virtual ~ExportOutput() = default;  ///< takes back what was not published
  virtual Status append(ByteView bytes) = 0;
  /// Rewrites bytes at the front. @error Unsupported  standard output
  virtual Status rewrite_front(ByteView bytes) = 0;
  /// Makes the file durable and gives it its name.
  virtual Status publish() = 0;
};

/// "-" is standard output, which is not closed.
Result<std::unique_ptr<ExportOutput>> open_export_output(storage::FileSystem& fs, const std::filesystem::path& path);

}  // namespace mneme::migration
