// Getting memories in and out of files: JSONL, and JSONL with the embeddings in a .npy beside it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "mneme/database.h"
#include "mneme/migration/legacy_store.h"

namespace mneme::migration {

/// Called now and then, by one thread at a time; return false to cancel.
struct Progress {
  std::uint64_t done = 0, total = 0;  ///< records; total 0 = unknown
  std::uint64_t bytes_done = 0, bytes_total = 0;
  double seconds = 0, records_per_second = 0;
  std::optional<double> eta_seconds;
  std::string phase;  ///< "import", "backfill", "verify", …
};
using ProgressFn = std::function<bool(const Progress&)>;

struct ImportOptions {
  std::optional<std::filesystem::path> npy;  ///< embeddings: row i belongs to line i; f2, f4 or f8, C order, (n, d)
  bool hash_embedder = false;                ///< make an embedding where the line has a content and none; not with npy
  std::uint32_t hash_dimension = 384;
  ProgressFn progress;
};

struct ImportReport {
  std::uint64_t lines = 0, imported = 0, bytes = 0;
  double seconds = 0;
};

/// All lines or an error that names the file and the line; lines before the failing batch may be in the store: an
/// import is repeated, not resumed, and a repeat finds the same ids. An empty line is skipped. Durable on return.
/// A node of a space without created_at gets the time of the import, as any node.
/// @error InvalidArgument  "FILE:LINE: …" for broken JSON, bad UTF-8, a wrong dimension, a duplicate id within
///                         the file, an oversize line, .npy rows ≠ lines
Result<ImportReport> import_jsonl(LegacyStore& store, const std::filesystem::path& file, const ImportOptions& options);
Result<ImportReport> import_jsonl(Database& database, const Space& space, const std::filesystem::path& file,
                                  const ImportOptions& options);

struct ExportReport {
  std::uint64_t exported = 0, bytes = 0;
  double seconds = 0;
};

/// One line per memory, by id for a legacy store and by row for a space; "-" writes to standard output's descriptor.
/// With `npy`, embeddings go there (float32) and the lines have none; every memory must then have one.
/// The file appears whole or not at all.
Result<ExportReport> export_jsonl(const LegacyStore& store, const std::filesystem::path& file,
                                  const std::optional<std::filesystem::path>& npy, const ProgressFn& progress);
/// A member that the source held as null is null, and what was found out since (created_at) stands under "mneme".
/// Nodes that are no memories (Concepts, nodes with more than a Memory holds) are written in the same form with what
/// they have, the rest under "mneme".
Result<ExportReport> export_jsonl(Database& database, const Space& space, const std::filesystem::path& file,
                                  const std::optional<std::filesystem::path>& npy, const ProgressFn& progress);

}  // namespace mneme::migration
