// What import and export have in common, whichever store they speak to.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "context.h"
#include "mneme/migration/import_export.h"

namespace mneme::tools {

/// Options of import and legacy import.
struct ImportCommandOptions {
  std::filesystem::path directory;
  std::string space;  ///< import only
  std::string kind;
  std::vector<std::filesystem::path> files;
  std::optional<std::filesystem::path> npy;
  std::optional<std::string> embedder;
  std::optional<std::uint32_t> dimension;  ///< legacy import only
};

/// Options of export and legacy export.
struct ExportCommandOptions {
  std::filesystem::path directory;
  std::string space;  ///< export only
  std::string kind;
  std::filesystem::path file;
  std::optional<std::filesystem::path> npy;
};

void declare_import(Command& command, ImportCommandOptions& options);
void declare_export(Command& command, ExportCommandOptions& options);

/// @error InvalidArgument  options that do not go together
Status check_import(const ImportCommandOptions& options);
Status check_export(const ExportCommandOptions& options);

/// Imports every file in order with `one(file, import options)` and prints the sum.
using ImportOne =
    std::function<Result<migration::ImportReport>(const std::filesystem::path&, const migration::ImportOptions&)>;
Status run_import(Context& context, const ImportCommandOptions& options, std::uint32_t hash_dimension,
                  const ImportOne& one);

/// Exports with `one(progress)` and prints what came out; on standard error where the lines went to standard output.
using ExportOne = std::function<Result<migration::ExportReport>(const migration::ProgressFn&)>;
Status run_export(Context& context, const ExportCommandOptions& options, const ExportOne& one);

}  // namespace mneme::tools
