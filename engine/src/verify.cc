// Database::verify: what must be true of a database, looked at from disk.
//
//   1. every kept log record reads back whole, in order, and decodes
//   2. each space's counters equal what its rows hold
//   3. the map and the tiers name each other: each node of the map has its body in the tier and row that the map says,
//      and each body is named by the map
//   4. deep: every stored block's checksum, every encoding, every vector's shape and values, both entries of each link
//      and the nodes at its ends; every byte of the saved indexes, which are counted apart, for what is lost there is
//      made again

#include <algorithm>

#include "database_impl.h"
#include "link_keys.h"

namespace mneme {

class Verifier {
 public:
  Verifier(DatabaseImpl& db, bool deep) : db_(db), deep_(deep) {}

  Result<VerifyReport> run() {
    MNEME_TRY(db_.caught_up());
    MNEME_TRY(log());
    snapshot_ = db_.store_->snapshot();
    for (const SpaceEntryPtr& entry : db_.spaces_.all()) {
      ++report_.spaces;
      MNEME_TRY(space(*entry));
    }
    if (deep_) {
      const Status blocks = db_.store_->verify_checksums();
      if (!blocks.ok()) problem("stored blocks: " + blocks.to_string());
    }
    return std::move(report_);
  }

 private:
  void problem(std::string what) {
    ++report_.problem_count;
    if (report_.problems.size() < 1000) report_.problems.push_back(std::move(what));
  }

  Status log() {
    if (db_.options_.read_only) {
      if (!db_.recovery_.damage.ok()) problem(db_.recovery_.damage.to_string());
      report_.log_records = db_.recovery_.records;
      return {};
    }
    const Lsn from = db_.store_->flushed_lsn();
    Lsn next = from;
    const Status read = db_.wal_->read(from, [&](const storage::WalRecord& record) {
      ++report_.log_records;
      if (record.lsn <= next)  // the log's own marks take numbers, too, and are not shown
        problem("log: record " + std::to_string(record.lsn.value) + " follows record " + std::to_string(next.value));
      next = record.lsn;
      if (const Result<Commit> commit = decode_commit(record); !commit.ok()) problem(commit.status().to_string());
      return true;
    });
    // A flush beside us may have dropped what we set out to read.
    if (!read.ok() && read.code() != Code::NotFound) problem("log: " + read.to_string());
    return {};
  }

  Status space(const SpaceEntry& entry) {
    counted_ = {};
    MNEME_TRY(map(entry));
    for (const storage::TierStore* tier : {db_.warm_.get(), db_.cold_.get()}) MNEME_TRY(bodies(entry, *tier));
    if (deep_) MNEME_TRY(nodes(entry));
    if (deep_) MNEME_TRY(saved_indexes(entry));
    MNEME_TRY(links(entry));
    if (db_.options_.read_only) return {};  // the counters are ahead of what could be applied
    MNEME_ASSIGN(const auto stored, db_.store_->get(storage::kMeta, space_counters_key(entry.info.id), snapshot_));
    SpaceCounters counters;
    if (stored) {
      MNEME_ASSIGN(counters, decode_counters(stored->bytes()));
    }
    compare(entry, "episodes", counters.episodes, counted_.episodes);
    compare(entry, "concepts", counters.concepts, counted_.concepts);
    compare(entry, "vectors", counters.vectors, counted_.vectors);
    compare(entry, "links", counters.links, counted_.links);
    compare(entry, "cold nodes", counters.cold_nodes, counted_.cold_nodes);
    return {};
  }

  void compare(const SpaceEntry& entry, std::string_view what, std::uint64_t counter, std::uint64_t found) {
    if (counter != found)
      problem("space " + entry.info.name + ": " + std::to_string(counter) + " " + std::string(what) + " counted, " +
              std::to_string(found) + " found");
  }

  std::string where(const SpaceEntry& entry, TierId tier, RowId row) const {
    return "space " + entry.info.name + ", " + std::string(name_of(tier)) + " row " + std::to_string(row.value);
  }

  // Each entry of the map, against the body it names.
  Status map(const SpaceEntry& entry) {
    const std::string begin = storage::space_prefix(entry.info.id);
    const auto iterator = db_.store_->scan(storage::kId, begin, storage::prefix_end(begin), {.snapshot = snapshot_});
    for (; iterator->valid(); iterator->next()) {
      ++report_.nodes;
      const Result<storage::Place> place = storage::decode_place(iterator->value());
      const Result<Uuid> id = uuid_from_bytes(as_bytes(iterator->key()).subspan(4));
      if (!place.ok() || !id.ok()) {
        problem("space " + entry.info.name + ": an entry of the map does not decode");
        continue;
      }
      (place->kind == NodeKind::Concept ? counted_.concepts : counted_.episodes) += 1;
      if (place->tier == TierId::Cold) ++counted_.cold_nodes;
      const storage::TierStore& tier = place->tier == TierId::Cold ? *db_.cold_ : *db_.warm_;
      const auto body = tier.get_body(entry.info.id, place->row, snapshot_);
      if (!body.ok() || !*body) {
        problem(where(entry, place->tier, place->row) + ": node " + id->to_string() +
                " has no body: " + (body.ok() ? std::string("not there") : body.status().to_string()));
        continue;
      }
      const auto shapes = tier.shapes_of(entry.info.id, (*body)->bytes());
      if (!shapes.ok()) {
        problem(where(entry, place->tier, place->row) + ": " + shapes.status().to_string());
        continue;
      }
      counted_.vectors += shapes->size();
      report_.vectors += shapes->size();
      FieldCursor field((*body)->bytes());
      if (!field.next() || !std::ranges::equal(field.bytes(), id->view()))
        problem(where(entry, place->tier, place->row) + ": it does not hold node " + id->to_string());
    }
    return iterator->status();
  }

  // Each body, against the map.
  Status bodies(const SpaceEntry& entry, const storage::TierStore& tier) {
    return tier.scan_bodies(
        entry.info.id, RowId{0}, {.snapshot = snapshot_, .fill_cache = false}, [&](RowId row, ByteView body) {
          FieldCursor field(body);
          const bool has_id = field.next();
          const Result<Uuid> id = uuid_from_bytes(has_id ? field.bytes() : ByteView{});
          if (!id.ok()) {
            problem(where(entry, tier.tier(), row) + ": a body without an id");
            return true;
          }
          const auto place = db_.map_->find(entry.info.id, *id, snapshot_);
          if (!place.ok() || !*place || (*place)->row != row || (*place)->tier != tier.tier())
            problem(where(entry, tier.tier(), row) + ": a body that the map does not name, of node " + id->to_string());
          return true;
        });
  }

  Status nodes(const SpaceEntry& entry) {
    return db_.for_each_node(entry.info.id, RowId{0}, snapshot_, {}, [&](const NodeView& view) {
      const std::string at = where(entry, view.tier(), view.row()) + ": node " + view.id().to_string() + ": ";
      const Result<Node> node = view.node();
      if (!node.ok()) {
        problem(at + node.status().to_string());
        return true;
      }
      for (const NodeVector& vector : node->vectors) {
        const Status right = entry.check_vector(vector.generation, vector.values.size());
        if (!right.ok()) problem(at + right.message());
      }
      const Status valid = validate_node(*node);
      if (!valid.ok()) problem(at + valid.to_string());
      return true;
    });
  }

  void index_damage(const GenerationIndex& index, const SpaceEntry& entry, const std::string& what) {
    report_.index_problems.push_back("index of space " + entry.info.name + ", generation " +
                                     std::to_string(index.info().id.value) + ": " + what);
  }

  Status saved_indexes(const SpaceEntry& entry) {
    const auto generations = entry.generations();
    for (const auto& index : generations->indexes) MNEME_TRY(saved_index(entry, *index));
    return {};
  }

  // A save beside this may replace the one that is looked at, a drop take it away: then what was found is not its
  // damage, and the next is looked at.
  Status saved_index(const SpaceEntry& entry, const GenerationIndex& index) {
    const GenerationInfo& info = index.info();
    for (;;) {
      const std::optional<IndexRecord> record = index.record();
      if (!record) return record_alone(entry, index);
      const index::IndexHome home{db_.directory_ / "index", index_stem(entry.info.id, info.id, record->id), record->id};
      MNEME_ASSIGN(const index::SavedIndexReport found,
                   index::verify_saved_index(info.dimension, info.metric, home, record->saved));
      if (!found.damage.empty()) {
        if (entry.dropped || !entry.generation(info.id).ok()) return {};
        const std::optional<IndexRecord> now = index.record();
        if (now && (now->id != record->id || now->saved.number != record->saved.number)) continue;
      }
      ++report_.indexes;
      report_.index_files += found.files;
      report_.index_bytes += found.bytes;
      for (const Status& damage : found.damage) index_damage(index, entry, damage.to_string());
      return {};
    }
  }

  // Where no save may be used although the store has the record of one, that record is what is damaged, or a search has
  // met the damage already.
  Status record_alone(const SpaceEntry& entry, const GenerationIndex& index) {
    if (!index.has_stale_record()) return {};
    MNEME_ASSIGN(const auto stored,
                 db_.store_->get(storage::kMeta, index_record_key(entry.info.id, index.info().id), snapshot_));
    if (!stored) return {};
    ++report_.indexes;
    const Result<IndexRecord> record = decode_index_record(stored->bytes());
    index_damage(index, entry,
                 record ? std::string("it was given up and is yet to be made again") : record.status().to_string());
    return {};
  }

  Status links(const SpaceEntry& entry) {
    const std::string begin = storage::space_prefix(entry.info.id);
    const auto iterator = db_.store_->scan(storage::kLink, begin, storage::prefix_end(begin), {.snapshot = snapshot_});
    for (; iterator->valid(); iterator->next()) {
      Link link;
      if (const Status key = decode_link_key(iterator->key(), link); !key.ok()) {
        problem("space " + entry.info.name + ": " + key.to_string());
        continue;
      }
      const bool back = is_back_key(iterator->key());
      if (!back) {
        ++report_.links;
        ++counted_.links;
      }
      if (deep_) MNEME_TRY(link_in_depth(entry, link, back, iterator->value()));
    }
    return iterator->status();
  }

  Status link_in_depth(const SpaceEntry& entry, const Link& link, bool back, ByteView value) {
    const std::string at = "space " + entry.info.name + ": link " + link.from.to_string() + " " + link.type + " " +
                           link.to.to_string() + ": ";
    const std::string other = back ? link_out_key(entry.info.id, link.from, link.type, link.to)
                                   : link_back_key(entry.info.id, link.from, link.type, link.to);
    MNEME_ASSIGN(const auto twin, db_.store_->get(storage::kLink, other, snapshot_));
    if (!twin) problem(at + "its other entry is missing");
    if (back) return {};
    Link decoded = link;
    if (const Status readable = decode_link_value(value, decoded); !readable.ok()) problem(at + readable.to_string());
    for (const NodeId* end : {&link.from, &link.to}) {
      MNEME_ASSIGN(const auto place, db_.map_->find(entry.info.id, *end, snapshot_));
      if (!place) problem(at + "no node " + end->to_string());
    }
    return {};
  }

  DatabaseImpl& db_;
  bool deep_;
  storage::StoreSnapshotPtr snapshot_;
  VerifyReport report_;
  SpaceCounters counted_;
};

Result<VerifyReport> DatabaseImpl::verify(bool deep) {
  if (closed_) return Status(Code::FailedPrecondition, "verify: the database is closed");
  return Verifier(*this, deep).run();
}

}  // namespace mneme
