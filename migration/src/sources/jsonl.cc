// Import of JSONL: one stage cuts the file into blocks, many parse blocks, one writes them in order.
//
//   read (in order) → parse, embed (parallel) → duplicates, dimensions, write (in order)
//
// What is wrong with a line is noted where it is found and told where order is restored, so that the first wrong line
// of the file is the one that is named.
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_pipeline.h>

#include <algorithm>
#include <atomic>
#include <exception>

#include "memory_line.h"
#include "memory_members.h"
#include "mneme/base/limits.h"
#include "mneme/embedder.h"
#include "mneme/migration/import_export.h"
#include "npy.h"
#include "sources/jsonl_blocks.h"
#include "sources/seen_ids.h"
#include "transfer_meter.h"

namespace mneme::migration {
namespace {

constexpr std::uint64_t kBlockRecordsMax = 4096;
constexpr std::uint64_t kBlockEmbeddingBytesMax = 64 * kMiB;  // of what is not in the text: from .npy or an embedder
constexpr std::size_t kWriteBatchNodes = 512;

/// Where memories go.
class Sink {
 public:
  virtual ~Sink() = default;
  /// Of the embeddings it takes; nullopt = whatever comes first.
  virtual Result<std::optional<std::uint64_t>> dimension() const = 0;
  /// On an error, memories from `failed` on are not written.
  virtual Status write(std::span<const Memory> memories, std::size_t& failed) = 0;
  virtual Status finish() = 0;
};

class LegacySink final : public Sink {
 public:
  explicit LegacySink(LegacyStore& store) : store_(store) {}
  Result<std::optional<std::uint64_t>> dimension() const override {
    const auto known = store_.stats().dimension;
    return known ? std::optional<std::uint64_t>(*known) : std::nullopt;
  }
  Status write(std::span<const Memory> memories, std::size_t&) override { return store_.put_unsynced(memories); }
  Status finish() override { return store_.sync(); }

 private:
  LegacyStore& store_;
};

class SpaceSink final : public Sink {
 public:
  SpaceSink(Database& database, const Space& space) : database_(database), space_(space) {}

  Result<std::optional<std::uint64_t>> dimension() const override {
    MNEME_ASSIGN(const SpaceInfo info, space_.info());
    if (info.generations.empty() || info.generations.front().id != GenerationId{0})
      return std::optional<std::uint64_t>();  // dropped: a line with an embedding is refused as it is written
    return std::optional<std::uint64_t>(info.generations.front().dimension);
  }

  Status write(std::span<const Memory> memories, std::size_t& failed) override {
    for (std::size_t begin = 0; begin < memories.size(); begin += kWriteBatchNodes) {
      Batch batch;
      const std::size_t end = std::min(begin + kWriteBatchNodes, memories.size());
      failed = begin;
      for (const Memory& memory : memories.subspan(begin, end - begin))
        MNEME_TRY(batch.put(space_, from_memory(memory, space_.name())).status());
      MNEME_TRY(database_.write(batch, Durability::Memory).status());
    }
    return {};
  }

  Status finish() override { return database_.flush(); }

 private:
  Database& database_;
  const Space& space_;
};

/// Memories of one block, as far as they are good.
struct ParsedBlock {
  std::vector<Memory> memories;
  std::vector<std::uint64_t> lines;  ///< of each memory
  std::vector<IdHash> hashes;
  std::uint64_t bytes = 0;
  Status error;  ///< of the line behind them, with FILE:LINE
};

class Import {
 public:
  Import(Sink& sink, const std::filesystem::path& file, const ImportOptions& options)
      : sink_(sink), path_(file), file_(file.string()), options_(options) {}

  Result<ImportReport> run() {
    MNEME_TRY(prepare());
    TransferMeter meter("import", 0, blocks_->file_bytes(), options_.progress);
    meter_ = &meter;
    MNEME_TRY(run_pipeline());
    if (npy_ && npy_->rows() != blocks_->records())
      return Status(Code::InvalidArgument, file_ + ": " + std::to_string(blocks_->records()) + " memories, but " +
                                               options_.npy->string() + " has " + std::to_string(npy_->rows()) +
                                               " rows");
    MNEME_TRY(sink_.finish());
    MNEME_TRY(meter.tell_now());
    return ImportReport{blocks_->lines(), meter.records(), meter.bytes(), meter.seconds()};
  }

 private:
  Status prepare() {
    if (options_.npy && options_.hash_embedder)
      return Status(Code::InvalidArgument,
                    "embeddings from " + options_.npy->string() + " and an embedder: choose one");
    MNEME_ASSIGN(const auto dimension, sink_.dimension());
    dimension_ = dimension;
    storage::FileSystem& fs = storage::posix_file_system();
    std::uint64_t added = 1;  // values that a line gets from elsewhere
    if (options_.npy) {
      MNEME_ASSIGN(npy_, NpyReader::open(fs, *options_.npy));
      added = npy_->columns();
      MNEME_TRY(check_added(options_.npy->string(), added));
    } else if (options_.hash_embedder) {
      added = options_.hash_dimension;
      MNEME_TRY(check_added("embedder " + std::string(kHashEmbedderName), added));
    }
    const std::uint64_t records_max =
        std::clamp<std::uint64_t>(kBlockEmbeddingBytesMax / (added * sizeof(float)), 1, kBlockRecordsMax);
    MNEME_ASSIGN(blocks_, JsonlBlockReader::open(fs, path_, records_max));
    return {};
  }

  Status check_added(const std::string& from, std::uint64_t added) const {
    if (added == 0 || added > limits::kDimensionsMax)
      return Status(Code::InvalidArgument, from + ": embeddings of " + std::to_string(added) + " values, wanted 1 to " +
                                               std::to_string(limits::kDimensionsMax));
    if (dimension_ && added != *dimension_)
      return Status(Code::InvalidArgument, from + ": embeddings of " + std::to_string(added) +
                                               " values, those of the target have " + std::to_string(*dimension_));
    return {};
  }

  Status run_pipeline() {
    using BlockPtr = std::shared_ptr<JsonlBlock>;
    using ParsedPtr = std::shared_ptr<ParsedBlock>;
    namespace tbb = oneapi::tbb;
    try {
      tbb::parallel_pipeline(
          static_cast<std::size_t>(tbb::info::default_concurrency()) * 2,
          tbb::make_filter<void, BlockPtr>(tbb::filter_mode::serial_in_order,
                                           [this](tbb::flow_control& flow) -> BlockPtr {
                                             auto block = read();
                                             if (!block) flow.stop();
                                             return block;
                                           }) &
              tbb::make_filter<BlockPtr, ParsedPtr>(tbb::filter_mode::parallel,
                                                    [this](const BlockPtr& block) { return parse(*block); }) &
              tbb::make_filter<ParsedPtr, void>(tbb::filter_mode::serial_in_order,
                                                [this](const ParsedPtr& parsed) { take(*parsed); }));
    } catch (const std::exception& thrown) {  // out of memory
      return Status(Code::Internal, file_ + ": import ended with an exception: " + thrown.what());
    }
    return error_ ? read_error_ : error_;  // what could not be read lies behind what could
  }

  // First stage. What it cannot read is told after everything before it has been written.
  std::shared_ptr<JsonlBlock> read() {
    if (stopped_.load(std::memory_order_relaxed)) return nullptr;
    auto block = blocks_->next();
    if (!block) {
      read_error_ = block.status();
      return nullptr;
    }
    return *block ? std::make_shared<JsonlBlock>(std::move(**block)) : nullptr;
  }

  // Second stage.
  std::shared_ptr<ParsedBlock> parse(const JsonlBlock& block) const {
    auto parsed = std::make_shared<ParsedBlock>();
    parsed->bytes = block.text.size();
    parsed->memories.reserve(block.records);
    std::vector<float> rows;
    if (npy_) {
      const std::uint64_t there = block.first_record < npy_->rows() ? npy_->rows() - block.first_record : 0;
      auto read = npy_->read(block.first_record, std::min(there, block.records));
      if (!read) {
        parsed->error = read.status();
        return parsed;
      }
      rows = std::move(*read);
    }
    std::string_view rest = block.text;
    for (std::uint64_t line = block.first_line; !rest.empty(); ++line) {
      const std::string_view text = take_line(rest);
      if (is_empty_line(text)) continue;
      auto memory = parse_line(text, parsed->memories.size(), rows);
      if (!memory) {
        parsed->error = line_error(file_, line, memory.status());
        return parsed;
      }
      parsed->hashes.push_back(hasher_(memory->id));
      parsed->lines.push_back(line);
      parsed->memories.push_back(std::move(*memory));
    }
    return parsed;
  }

  Result<Memory> parse_line(std::string_view text, std::size_t row, std::span<const float> rows) const {
    MNEME_ASSIGN(MemoryLine line, parse_memory_line(text));
    Memory& memory = line.memory;
    if (npy_) {
      MNEME_TRY(take_row(line, row, rows));
    } else if (options_.hash_embedder && !memory.embedding && memory.content) {
      memory.embedding = hash_embedding(*memory.content, options_.hash_dimension);
      memory.embedder = kHashEmbedderName;
    }
    return std::move(memory);
  }

  Status take_row(MemoryLine& line, std::size_t row, std::span<const float> rows) const {
    Memory& memory = line.memory;
    if (memory.embedding)
      return Status(Code::InvalidArgument, "an embedding of its own beside " + options_.npy->string());
    const std::size_t columns = npy_->columns();
    if ((row + 1) * columns > rows.size())
      return Status(Code::InvalidArgument,
                    "no row left for it: " + options_.npy->string() + " has " + std::to_string(npy_->rows()) + " rows");
    const auto values = rows.subspan(row * columns, columns);
    MNEME_TRY(validate_vector(values).with_context("its row of " + options_.npy->string()));
    memory.embedding.emplace(values.begin(), values.end());
    memory.embedder = std::move(line.embedder_of_npy);
    if (!memory.embedder) memory.null_members &= ~static_cast<std::uint32_t>(MemoryMember::Embedding);
    return {};
  }

  // Third stage.
  void take(const ParsedBlock& block) {
    if (!error_) return;
    error_ = check_and_write(block);
    if (!error_) stopped_.store(true, std::memory_order_relaxed);
  }

  Status check_and_write(const ParsedBlock& block) {
    for (std::size_t i = 0; i < block.memories.size(); ++i) {
      if (const auto before = seen_.insert(block.hashes[i], block.lines[i]))
        return line_error(file_, block.lines[i],
                          Status(Code::InvalidArgument, "the same id as on line " + std::to_string(*before)));
      if (Status same = check_dimension(block.memories[i]); !same) return line_error(file_, block.lines[i], same);
    }
    MNEME_TRY(block.error);
    if (!block.memories.empty()) {
      std::size_t failed = 0;
      if (Status written = sink_.write(block.memories, failed); !written)
        return line_error(file_, block.lines[failed],
                          written.with_context("lines up to " + std::to_string(block.lines.back()) + " not written"));
    }
    meter_->add(block.memories.size(), block.bytes);
    return meter_->tell();
  }

  Status check_dimension(const Memory& memory) {
    if (!memory.embedding) return {};
    const std::uint64_t dimension = memory.embedding->size();
    if (!dimension_) dimension_ = dimension;
    if (dimension == *dimension_) return {};
    return Status(Code::InvalidArgument, "embedding has " + std::to_string(dimension) +
                                             " values, those before it have " + std::to_string(*dimension_));
  }

  Sink& sink_;
  const std::filesystem::path& path_;
  const std::string file_;
  const ImportOptions& options_;
  std::unique_ptr<NpyReader> npy_;
  std::unique_ptr<JsonlBlockReader> blocks_;  // the first stage's
  Status read_error_;                         // the first stage's
  const IdHasher hasher_;
  SeenIds seen_;  // the third stage's, and what follows
  std::optional<std::uint64_t> dimension_;
  TransferMeter* meter_ = nullptr;
  Status error_;
  std::atomic<bool> stopped_{false};
};

}  // namespace

Result<ImportReport> import_jsonl(LegacyStore& store, const std::filesystem::path& file, const ImportOptions& options) {
  LegacySink sink(store);
  return Import(sink, file, options).run();
}

Result<ImportReport> import_jsonl(Database& database, const Space& space, const std::filesystem::path& file,
                                  const ImportOptions& options) {
  SpaceSink sink(database, space);
  return Import(sink, file, options).run();
}

}  // namespace mneme::migration
