// The public faces: Database and Space pass on to DatabaseImpl.

#include "mneme/database.h"

#include "database_impl.h"

namespace mneme {

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& directory,
                                                 const DatabaseOptions& options) {
  MNEME_ASSIGN(std::shared_ptr<DatabaseImpl> impl, DatabaseImpl::open(directory, options));
  return std::unique_ptr<Database>(new Database(std::move(impl)));
}

Database::~Database() {
  // Space handles may keep impl_ alive; the directory is released here all the same.
  const Status closed = impl_->close();
  static_cast<void>(closed.ok());
}

Status Database::close() { return impl_->close(); }
DatabaseId Database::id() const { return impl_->id(); }
const RecoveryInfo& Database::recovery() const { return impl_->recovery(); }

Result<Space> Database::create_space(std::string_view name, const SpaceOptions& options) {
  return impl_->create_space(name, options);
}
Result<Space> Database::space(std::string_view name) const { return impl_->space(name); }
std::vector<SpaceInfo> Database::spaces() const { return impl_->spaces(); }
Status Database::stop_space(std::string_view name) { return impl_->set_space_state(name, SpaceState::Stopped); }
Status Database::start_space(std::string_view name) { return impl_->set_space_state(name, SpaceState::Started); }
Status Database::drop_space(std::string_view name) { return impl_->drop_space(name); }

Result<Lsn> Database::write(const Batch& batch, Durability durability) {
  return impl_->write(batch.operations(), durability);
}
Result<ReadView> Database::read_view() { return impl_->read_view(); }

Result<Lsn> Database::bulk_insert(const Space& space, std::span<const NodeRecordPtr> nodes,
                                  std::span<const SideEntry> side, const BulkOptions& options) {
  return impl_->bulk_insert(space.id(), nodes, side, options);
}
Status Database::scan_side(std::string_view prefix,
                           const std::function<bool(std::string_view, ByteView)>& visit) const {
  return impl_->scan_side(prefix, visit);
}

DatabaseStats Database::stats() const { return impl_->stats(); }
Status Database::flush() { return impl_->flush(); }
Result<VerifyReport> Database::verify(bool deep) { return impl_->verify(deep); }

Result<SpaceInfo> Space::info() const { return db_->space_info(id_); }
Result<SpaceStats> Space::stats() const { return db_->space_stats(id_); }
Result<GenerationId> Space::add_generation(const GenerationOptions& options) const {
  return db_->add_generation(id_, options);
}
Status Space::drop_generation(GenerationId generation) const { return db_->drop_generation(id_, generation); }

Result<NodeId> Space::put(Node node, Durability durability) const {
  Batch batch;
  MNEME_ASSIGN(const NodeId id, batch.put(*this, std::move(node)));
  MNEME_TRY(db_->write(batch.operations(), durability).status());
  return id;
}

Status Space::erase(const NodeId& node, Durability durability) const {
  Batch batch;
  MNEME_TRY(batch.erase(*this, node));
  return db_->write(batch.operations(), durability).status();
}

Status Space::link(Link link, Durability durability) const {
  Batch batch;
  MNEME_TRY(batch.link(*this, std::move(link)));
  return db_->write(batch.operations(), durability).status();
}

Status Space::unlink(const NodeId& from, std::string_view type, const NodeId& to, Durability durability) const {
  Batch batch;
  MNEME_TRY(batch.unlink(*this, from, type, to));
  return db_->write(batch.operations(), durability).status();
}

Result<NodeView> Space::get(const NodeId& node) const { return db_->get(id_, node); }
Result<NodeView> Space::get(const NodeId& node, const ReadView& view) const { return db_->get(id_, node, view); }

Result<NodeView> Space::get_by_name(std::string_view id) const {
  Result<NodeView> found = db_->get(id_, id_for_external(id));
  if (found.ok() || found.status().code() != Code::NotFound) return found;
  if (const Result<Uuid> own = parse_uuid(id); own.ok()) {
    Result<NodeView> by_own_id = db_->get(id_, *own);
    if (by_own_id.ok() || by_own_id.status().code() != Code::NotFound) return by_own_id;
  }
  return Status(Code::NotFound, "no node " + std::string(id) + " in space " + name_);
}

NodeId Space::id_for_external(std::string_view external_id, std::string_view external_system) const {
  return node_id_for_external(name_, external_system, external_id);
}

Result<std::vector<SearchHit>> Space::search(const Query& query) const { return db_->search(id_, query); }
Result<std::vector<Neighbour>> Space::nearest(const Query& query) const { return db_->nearest(id_, query); }
Result<std::vector<std::vector<Neighbour>>> Space::nearest_batch(std::span<const float> queries,
                                                                 const Query& shape) const {
  return db_->nearest_batch(id_, queries, shape);
}
Status Space::scan(const ScanQuery& query, const std::function<bool(const NodeView&)>& visit) const {
  return db_->scan(id_, query, visit);
}
Result<std::vector<Link>> Space::links(const NodeId& node, LinkDirection direction, std::string_view type) const {
  return db_->links(id_, node, direction, type);
}
Status Space::move(const NodeId& node, TierId to) const { return db_->move(id_, node, to); }
Result<TierId> Space::tier_of(const NodeId& node) const { return db_->tier_of(id_, node); }

}  // namespace mneme
