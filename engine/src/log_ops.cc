#include "log_ops.h"

#include <algorithm>

#include "link_keys.h"
#include "mneme/base/checksum.h"

namespace mneme {
namespace {

void write_deltas(const std::vector<CounterDelta>& deltas, Bytes& out) {
  ByteWriter writer(out);
  writer.varint(deltas.size());
  for (const CounterDelta& delta : deltas) {
    writer.varint(delta.space.value);
    for (const std::int64_t change : {delta.episodes, delta.concepts, delta.vectors, delta.links})
      writer.varint(zigzag(change));
    writer.varint(delta.next_row);
  }
}

void write_bulk(const BulkLoad& bulk, Bytes& out) {
  ByteWriter writer(out);
  writer.raw(bulk.id.view());
  writer.varint(bulk.space.value);
  writer.varint(bulk.first_row.value);
  writer.varint(bulk.count);
  writer.varint(bulk.files.size());
  for (const BulkFile& file : bulk.files) {
    writer.fixed(file.family);
    writer.sized(file.name);
    writer.varint(file.bytes);
    writer.fixed(file.xxh3);
  }
}

Result<SpaceId> read_space(ByteReader& reader) {
  MNEME_ASSIGN(const std::uint64_t value, reader.varint());
  if (value == 0 || value > UINT32_MAX) return Status(Code::Corruption, "space id " + std::to_string(value));
  return SpaceId{static_cast<std::uint32_t>(value)};
}

Result<Uuid> read_uuid(ByteReader& reader) {
  MNEME_ASSIGN(const ByteView bytes, reader.raw(16));
  return uuid_from_bytes(bytes);
}

Status read_deltas(ByteReader& reader, std::vector<CounterDelta>& deltas) {
  MNEME_ASSIGN(const std::uint64_t count, reader.varint());
  for (std::uint64_t i = 0; i < count; ++i) {
    CounterDelta delta;
    MNEME_ASSIGN(delta.space, read_space(reader));
    for (std::int64_t* change : {&delta.episodes, &delta.concepts, &delta.vectors, &delta.links}) {
      MNEME_ASSIGN(const std::uint64_t raw, reader.varint());
      *change = unzigzag(raw);
    }
    MNEME_ASSIGN(delta.next_row, reader.varint());
    deltas.push_back(delta);
  }
  return {};
}

Status read_put(ByteReader& reader, LogOp& op) {
  MNEME_ASSIGN(op.row.value, reader.varint());
  MNEME_ASSIGN(const auto flags, reader.fixed<std::uint8_t>());
  if (flags > 1) return {Code::Corruption, "put: flags " + std::to_string(flags)};
  op.fresh = flags == 1;
  MNEME_ASSIGN(const ByteView encoding, reader.sized());
  MNEME_ASSIGN(op.record, NodeRecord::from_encoding(encoding));
  op.node = op.record->id();
  return {};
}

Status read_link_ends(ByteReader& reader, Link& link) {
  MNEME_ASSIGN(link.from, read_uuid(reader));
  MNEME_ASSIGN(link.to, read_uuid(reader));
  MNEME_ASSIGN(const ByteView type, reader.sized());
  link.type = as_text(type);
  return {};
}

Result<LogOp> read_op(ByteReader& reader) {
  LogOp op;
  MNEME_ASSIGN(const auto kind, reader.fixed<std::uint8_t>());
  if (kind < 1 || kind > 4) return Status(Code::Corruption, "operation " + std::to_string(kind));
  op.kind = static_cast<LogOp::Kind>(kind);
  MNEME_ASSIGN(op.space, read_space(reader));
  switch (op.kind) {
    case LogOp::Kind::Put:
      MNEME_TRY(read_put(reader, op));
      break;
    case LogOp::Kind::Erase: {
      MNEME_ASSIGN(op.row.value, reader.varint());
      MNEME_ASSIGN(op.node, read_uuid(reader));
      break;
    }
    case LogOp::Kind::Link: {
      MNEME_TRY(read_link_ends(reader, op.link));
      MNEME_ASSIGN(const ByteView value, reader.sized());
      MNEME_TRY(decode_link_value(value, op.link));
      break;
    }
    case LogOp::Kind::Unlink:
      MNEME_TRY(read_link_ends(reader, op.link));
      break;
  }
  return op;
}

Status read_batch(ByteReader& reader, Commit& commit) {
  MNEME_ASSIGN(const std::uint64_t count, reader.varint());
  for (std::uint64_t i = 0; i < count; ++i) {
    MNEME_ASSIGN(LogOp op, read_op(reader));
    if (op.record) commit.bytes += op.record->charged_bytes();
    commit.bytes += sizeof(LogOp);
    commit.ops.push_back(std::move(op));
  }
  return read_deltas(reader, commit.deltas);
}

bool changes_a_generation(const SpaceChange& change) {
  return change.kind == SpaceChange::Kind::AddGeneration || change.kind == SpaceChange::Kind::DropGeneration;
}

Status read_change(ByteReader& reader, Commit& commit) {
  SpaceChange change;
  MNEME_ASSIGN(const auto kind, reader.fixed<std::uint8_t>());
  if (kind < 1 || kind > 5) return {Code::Corruption, "space change " + std::to_string(kind)};
  change.kind = static_cast<SpaceChange::Kind>(kind);
  MNEME_ASSIGN(const SpaceId id, read_space(reader));
  MNEME_ASSIGN(const ByteView record, reader.sized());
  MNEME_ASSIGN(change.info, decode_space_record(id, record));
  if (changes_a_generation(change)) {
    MNEME_ASSIGN(const std::uint64_t generation, reader.varint());
    if (generation >= change.info.next_generation.value)
      return {Code::Corruption, "generation " + std::to_string(generation) + ", which the space never had"};
    change.generation = GenerationId{static_cast<std::uint16_t>(generation)};
    const bool there = std::ranges::any_of(change.info.generations,
                                           [&](const GenerationInfo& one) { return one.id == change.generation; });
    if (there != (change.kind == SpaceChange::Kind::AddGeneration))
      return {Code::Corruption,
              "generation " + std::to_string(generation) + (there ? " is still there" : " is missing")};
    MNEME_TRY(read_deltas(reader, commit.deltas));
  }
  commit.change = std::move(change);
  return {};
}

Status read_move(ByteReader& reader, Commit& commit) {
  Move move;
  MNEME_ASSIGN(move.space, read_space(reader));
  MNEME_ASSIGN(move.node, read_uuid(reader));
  MNEME_ASSIGN(const auto tier, reader.fixed<std::uint8_t>());
  if (tier != static_cast<std::uint8_t>(TierId::Warm) && tier != static_cast<std::uint8_t>(TierId::Cold))
    return {Code::Corruption, "move to tier " + std::to_string(tier)};
  move.to = static_cast<TierId>(tier);
  commit.move = move;
  return {};
}

Status read_bulk(ByteReader& reader, Commit& commit) {
  BulkLoad bulk;
  MNEME_ASSIGN(bulk.id, read_uuid(reader));
  MNEME_ASSIGN(bulk.space, read_space(reader));
  MNEME_ASSIGN(bulk.first_row.value, reader.varint());
  MNEME_ASSIGN(bulk.count, reader.varint());
  MNEME_ASSIGN(const std::uint64_t files, reader.varint());
  for (std::uint64_t i = 0; i < files; ++i) {
    BulkFile file;
    MNEME_ASSIGN(file.family, reader.fixed<std::uint8_t>());
    MNEME_ASSIGN(const ByteView name, reader.sized());
    file.name = as_text(name);
    if (file.name.empty() || file.name.find('/') != std::string::npos || file.name[0] == '.')
      return {Code::Corruption, "bulk load: file name " + file.name};
    MNEME_ASSIGN(file.bytes, reader.varint());
    MNEME_ASSIGN(file.xxh3, reader.fixed<std::uint64_t>());
    bulk.files.push_back(std::move(file));
  }
  commit.bulk = std::move(bulk);
  return read_deltas(reader, commit.deltas);
}

Status read_payload(const storage::WalRecord& record, ByteReader& reader, Commit& commit) {
  switch (record.kind) {
    case kBatchRecord:
      return read_batch(reader, commit);
    case kSpaceRecord:
      return read_change(reader, commit);
    case kMoveRecord:
      return read_move(reader, commit);
    case kBulkRecord:
      return read_bulk(reader, commit);
    default:
      return {Code::VersionMismatch, "kind " + std::to_string(record.kind) + " is not known"};
  }
}

}  // namespace

Result<std::uint64_t> hash_file(storage::FileSystem& fs, const std::filesystem::path& path) {
  MNEME_ASSIGN(const std::unique_ptr<storage::File> file, fs.open(path, storage::OpenMode::Read));
  Bytes piece(kMiB);
  std::uint64_t hash = 0, offset = 0;
  for (;;) {
    MNEME_ASSIGN(const std::size_t got, file->read_at(offset, piece));
    if (got == 0) break;
    hash = xxh3_64(ByteView(piece).first(got), hash);
    offset += got;
  }
  MNEME_TRY(file->close());
  return hash;
}

std::uint64_t zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}

std::int64_t unzigzag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

EncodedCommit::EncodedCommit(const Commit& commit) {
  ByteWriter writer(head_);
  switch (commit.kind) {
    case kBatchRecord:
      writer.varint(commit.ops.size());
      for (const LogOp& op : commit.ops) put(op);
      write_deltas(commit.deltas, head_);
      break;
    case kSpaceRecord: {
      writer.fixed(static_cast<std::uint8_t>(commit.change->kind));
      writer.varint(commit.change->info.id.value);
      Bytes record;
      encode_space_record(commit.change->info, record);
      writer.sized(ByteView(record));
      if (changes_a_generation(*commit.change)) {
        writer.varint(commit.change->generation.value);
        write_deltas(commit.deltas, head_);
      }
      break;
    }
    case kMoveRecord:
      writer.varint(commit.move->space.value);
      writer.raw(commit.move->node.view());
      writer.fixed(static_cast<std::uint8_t>(commit.move->to));
      break;
    case kBulkRecord:
      write_bulk(*commit.bulk, head_);
      write_deltas(commit.deltas, head_);
      break;
    default:
      break;
  }
  cut();
  // head_ no longer grows: the views into it hold.
  parts_.reserve(pieces_.size());
  for (const Piece& piece : pieces_) {
    parts_.push_back(piece.external.empty() ? ByteView(head_).subspan(piece.offset, piece.size) : piece.external);
    bytes_ += parts_.back().size();
  }
}

void EncodedCommit::cut() {
  if (head_.size() > piece_begin_) pieces_.push_back({piece_begin_, head_.size() - piece_begin_, {}});
  piece_begin_ = head_.size();
}

void EncodedCommit::view(ByteView piece) {
  if (piece.empty()) return;
  cut();
  pieces_.push_back({0, 0, piece});
}

void EncodedCommit::put(const LogOp& op) {
  ByteWriter writer(head_);
  writer.fixed(static_cast<std::uint8_t>(op.kind));
  writer.varint(op.space.value);
  switch (op.kind) {
    case LogOp::Kind::Put: {
      writer.varint(op.row.value);
      writer.fixed(static_cast<std::uint8_t>(op.fresh ? 1 : 0));
      writer.varint(op.record->encoding_bytes());
      view(op.record->body());
      std::uint64_t vector_bytes = 0;
      for (std::size_t i = 0; i < op.record->vector_count(); ++i) vector_bytes += op.record->vector_at(i).size_bytes();
      if (vector_bytes > 0) {
        writer.varint(static_cast<std::uint64_t>(NodeField::Vectors) << 2 | static_cast<std::uint64_t>(Wire::Sized));
        writer.varint(vector_bytes);
        for (std::size_t i = 0; i < op.record->vector_count(); ++i) view(std::as_bytes(op.record->vector_at(i)));
      }
      break;
    }
    case LogOp::Kind::Erase:
      writer.varint(op.row.value);
      writer.raw(op.node.view());
      break;
    case LogOp::Kind::Link: {
      writer.raw(op.link.from.view());
      writer.raw(op.link.to.view());
      writer.sized(op.link.type);
      Bytes value;
      encode_link_value(op.link, value);
      writer.sized(ByteView(value));
      break;
    }
    case LogOp::Kind::Unlink:
      writer.raw(op.link.from.view());
      writer.raw(op.link.to.view());
      writer.sized(op.link.type);
      break;
  }
}

Result<Commit> decode_commit(const storage::WalRecord& record) {
  Commit commit;
  commit.kind = record.kind;
  commit.lsn = record.lsn;
  ByteReader reader(record.payload);
  Status read = read_payload(record, reader, commit);
  if (read.ok() && !reader.at_end())
    read = Status(Code::Corruption, std::to_string(reader.remaining()) + " bytes behind its end");
  if (!read)
    return read.with_context("log record " + std::to_string(record.lsn.value) + " at byte " +
                             std::to_string(reader.offset()) + " of its payload");
  return commit;
}

}  // namespace mneme
