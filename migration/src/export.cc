// Export to JSONL: one stage takes stored records, many write their lines, one puts the lines out in order.
//
//   take (in order) → decode, format (parallel) → put out (in order)
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_pipeline.h>

#include <atomic>
#include <exception>

#include "export_node.h"
#include "export_output.h"
#include "memory_line.h"
#include "memory_members.h"
#include "mneme/migration/import_export.h"
#include "npy.h"
#include "transfer_meter.h"

namespace mneme::migration {
namespace {

constexpr std::size_t kChunkBytes = 4 * kMiB;
constexpr std::size_t kChunkRecordsMax = 4096;

/// Stored records, pinned, in the order of the export.
class Chunk {
 public:
  virtual ~Chunk() = default;
  virtual std::size_t size() const = 0;
  virtual Result<ExportedNode> read(std::size_t i) const = 0;
};

/// Where an export comes from. Threads: one.
class Source {
 public:
  virtual ~Source() = default;
  /// Null at the end.
  virtual Result<std::shared_ptr<const Chunk>> next() = 0;
  virtual std::uint64_t records() const = 0;
  virtual std::uint64_t dimension() const = 0;  ///< of the embeddings, where it is known; else 0
};

class LegacyChunk final : public Chunk {
 public:
  void add(const LegacyStore::RawRecord& record) {
    const ByteView id = as_bytes(record.id);
    bytes_.insert(bytes_.end(), id.begin(), id.end());
    bytes_.insert(bytes_.end(), record.encoded.begin(), record.encoded.end());
    places_.push_back({id.size(), bytes_.size()});
  }
  bool is_full() const { return bytes_.size() >= kChunkBytes || places_.size() == kChunkRecordsMax; }
  std::size_t size() const override { return places_.size(); }
  Result<ExportedNode> read(std::size_t i) const override {
    const std::size_t begin = i == 0 ? 0 : places_[i - 1].end;
    const ByteView record = ByteView(bytes_).subspan(begin, places_[i].end - begin);
    auto memory = decode_memory(record.subspan(places_[i].id_bytes));
    if (memory) return ExportedNode{std::move(*memory), Value()};
    return memory.status().with_context("memory " + in_quotes(as_text(record.first(places_[i].id_bytes))));
  }

 private:
  struct Place {
    std::size_t id_bytes, end;
  };
  Bytes bytes_;  // id and encoding of each record
  std::vector<Place> places_;
};

class LegacySource final : public Source {
 public:
  explicit LegacySource(const LegacyStore& store) : store_(store), stats_(store.stats()), view_(store.view()) {}

  Result<std::shared_ptr<const Chunk>> next() override {
    if (at_end_) return std::shared_ptr<const Chunk>();
    auto chunk = std::make_shared<LegacyChunk>();
    std::string last;
    MNEME_TRY(store_.scan(view_, begin_, {}, [&](const LegacyStore::RawRecord& record) {
      chunk->add(record);
      if (!chunk->is_full()) return true;
      last = record.id;
      return false;
    }));
    at_end_ = !chunk->is_full();
    if (chunk->size() == 0) return std::shared_ptr<const Chunk>();
    begin_ = last + '\0';  // the least key behind it
    return std::shared_ptr<const Chunk>(std::move(chunk));
  }

  std::uint64_t records() const override { return stats_.memories; }
  std::uint64_t dimension() const override { return stats_.dimension.value_or(0); }

 private:
  const LegacyStore& store_;
  const LegacyStats stats_;
  const std::shared_ptr<const LegacyStore::View> view_;
  std::string begin_;
  bool at_end_ = false;
};

class SpaceChunk final : public Chunk {
 public:
  void add(const NodeView& node) {
    bytes_ += node->encoding_bytes();
    nodes_.push_back(node);
  }
  bool is_full() const { return bytes_ >= kChunkBytes || nodes_.size() == kChunkRecordsMax; }
  RowId last_row() const { return nodes_.back().row(); }
  std::size_t size() const override { return nodes_.size(); }
  Result<ExportedNode> read(std::size_t i) const override {
    MNEME_ASSIGN(const Node node, nodes_[i].node());
    return export_node(node);
  }

 private:
  std::vector<NodeView> nodes_;
  std::size_t bytes_ = 0;
};

class SpaceSource final : public Source {
 public:
  static Result<std::unique_ptr<SpaceSource>> open(Database& database, const Space& space) {
    MNEME_ASSIGN(ReadView view, database.read_view());
    MNEME_ASSIGN(SpaceStats stats, space.stats());
    return std::unique_ptr<SpaceSource>(new SpaceSource(space, std::move(view), std::move(stats)));
  }

  Result<std::shared_ptr<const Chunk>> next() override {
    auto chunk = std::make_shared<SpaceChunk>();
    MNEME_TRY(space_.scan(query_, [&](const NodeView& node) {
      chunk->add(node);
      return !chunk->is_full();
    }));
    if (chunk->size() == 0) return std::shared_ptr<const Chunk>();
    query_.first = RowId{chunk->last_row().value + 1};
    return std::shared_ptr<const Chunk>(std::move(chunk));
  }

  std::uint64_t records() const override { return stats_.nodes; }
  std::uint64_t dimension() const override {
    const std::vector<GenerationInfo>& generations = stats_.info.generations;  // by id; 0 may have been dropped
    return generations.empty() || generations.front().id != GenerationId{0} ? 0 : generations.front().dimension;
  }

 private:
  SpaceSource(const Space& space, ReadView view, SpaceStats stats) : space_(space), stats_(std::move(stats)) {
    query_.view = std::move(view);
  }
  const Space& space_;
  const SpaceStats stats_;
  ScanQuery query_;
};

/// Lines of one chunk, as far as they are good.
struct Formatted {
  std::string text;
  std::vector<float> rows;
  std::size_t records = 0;
  Status error;  ///< of the record behind them
};

class Export {
 public:
  Export(Source& source, const std::filesystem::path& file, const std::optional<std::filesystem::path>& npy,
         const ProgressFn& progress)
      : source_(source),
        path_(file),
        npy_path_(npy),
        columns_(source.dimension()),
        meter_("export", source.records(), 0, progress) {}

  Result<ExportReport> run() {
    storage::FileSystem& fs = storage::posix_file_system();
    MNEME_ASSIGN(output_, open_export_output(fs, path_));
    if (npy_path_) {
      if (*npy_path_ == "-") return Status(Code::InvalidArgument, "a .npy cannot go to standard output");
      MNEME_ASSIGN(npy_, open_export_output(fs, *npy_path_));
      MNEME_TRY(npy_->append(as_bytes(npy_header(0, 0))));  // its numbers are known at the end
    }
    MNEME_TRY(run_pipeline());
    if (npy_) {
      MNEME_TRY(npy_->rewrite_front(as_bytes(npy_header(meter_.records(), std::max<std::uint64_t>(columns_, 1)))));
      MNEME_TRY(npy_->publish());
    }
    MNEME_TRY(output_->publish());
    MNEME_TRY(meter_.tell_now());
    return ExportReport{meter_.records(), meter_.bytes(), meter_.seconds()};
  }

 private:
  using ChunkPtr = std::shared_ptr<const Chunk>;
  using FormattedPtr = std::shared_ptr<Formatted>;

  Status run_pipeline() {
    namespace tbb = oneapi::tbb;
    try {
      tbb::parallel_pipeline(
          static_cast<std::size_t>(tbb::info::default_concurrency()) * 2,
          tbb::make_filter<void, ChunkPtr>(tbb::filter_mode::serial_in_order,
                                           [this](tbb::flow_control& flow) -> ChunkPtr {
                                             ChunkPtr chunk = take();
                                             if (!chunk) flow.stop();
                                             return chunk;
                                           }) &
              tbb::make_filter<ChunkPtr, FormattedPtr>(tbb::filter_mode::parallel,
                                                       [this](const ChunkPtr& chunk) { return format(*chunk); }) &
              tbb::make_filter<FormattedPtr, void>(tbb::filter_mode::serial_in_order,
                                                   [this](const FormattedPtr& lines) { put_out(*lines); }));
    } catch (const std::exception& thrown) {  // out of memory
      return Status(Code::Internal, "export to " + path_.string() + " ended with an exception: " + thrown.what());
    }
    return error_ ? source_error_ : error_;
  }

  ChunkPtr take() {
    if (stopped_.load(std::memory_order_relaxed)) return nullptr;
    auto chunk = source_.next();
    if (chunk) return *chunk;
    source_error_ = chunk.status();
    return nullptr;
  }

  FormattedPtr format(const Chunk& chunk) const {
    auto lines = std::make_shared<Formatted>();
    const EmbeddingIn place = npy_ ? EmbeddingIn::Npy : EmbeddingIn::Line;
    for (std::size_t i = 0; i < chunk.size(); ++i) {
      auto exported = chunk.read(i);
      if (!exported) {
        lines->error = exported.status();
        return lines;
      }
      const Memory& memory = exported->memory;
      if (npy_) {
        if (Status taken = take_row(memory, *lines); !taken) {
          lines->error = std::move(taken);
          return lines;
        }
      }
      append_memory_line(memory, place, exported->extra, lines->text);
      lines->text += '\n';
      ++lines->records;
    }
    return lines;
  }

  Status take_row(const Memory& memory, Formatted& lines) const {
    if (!memory.embedding)
      return Status(Code::InvalidArgument, "memory " + in_quotes(memory.id) + " has no embedding; " +
                                               npy_path_->string() + " needs one for every memory");
    if (memory.embedding->size() != columns_)
      return Status(Code::InvalidArgument, "memory " + in_quotes(memory.id) + " has an embedding of " +
                                               std::to_string(memory.embedding->size()) + " values, others have " +
                                               std::to_string(columns_));
    lines.rows.insert(lines.rows.end(), memory.embedding->begin(), memory.embedding->end());
    return {};
  }

  void put_out(const Formatted& lines) {
    if (!error_) return;
    error_ = write(lines);
    if (!error_) stopped_.store(true, std::memory_order_relaxed);
  }

  Status write(const Formatted& lines) {
    MNEME_TRY(lines.error);
    MNEME_TRY(output_->append(as_bytes(lines.text)));
    if (npy_) MNEME_TRY(npy_->append(std::as_bytes(std::span(lines.rows))));
    meter_.add(lines.records, lines.text.size());
    return meter_.tell();
  }

  Source& source_;
  const std::filesystem::path& path_;
  const std::optional<std::filesystem::path>& npy_path_;
  const std::uint64_t columns_;
  TransferMeter meter_;  // the last stage's
  std::unique_ptr<ExportOutput> output_, npy_;
  Status source_error_;  // the first stage's
  Status error_;         // the last stage's
  std::atomic<bool> stopped_{false};
};

}  // namespace

Result<ExportReport> export_jsonl(const LegacyStore& store, const std::filesystem::path& file,
                                  const std::optional<std::filesystem::path>& npy, const ProgressFn& progress) {
  LegacySource source(store);
  return Export(source, file, npy, progress).run();
}

Result<ExportReport> export_jsonl(Database& database, const Space& space, const std::filesystem::path& file,
                                  const std::optional<std::filesystem::path>& npy, const ProgressFn& progress) {
  MNEME_ASSIGN(const auto source, SpaceSource::open(database, space));
  return Export(*source, file, npy, progress).run();
}

}  // namespace mneme::migration
