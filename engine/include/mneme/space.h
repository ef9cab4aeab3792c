// Space: a handle on one tenant of a database. Every read and write names its space by holding one of these.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mneme/batch.h"
#include "mneme/options.h"
#include "mneme/query.h"
#include "mneme/stats.h"

namespace mneme {

class DatabaseImpl;

/// Cheap to copy; keeps the Database's internals alive but not open: calls after Database::close() or after drop return
/// FailedPrecondition or NotFound. Threads: any.
class Space {
 public:
  SpaceId id() const { return id_; }
  const std::string& name() const { return name_; }
  Result<SpaceInfo> info() const;
  Result<SpaceStats> stats() const;

  /// One-operation batches; see Batch. They return after `durability` is reached and the change is visible to every
  /// get and search.
  /// @error Busy, NoSpace, Indeterminate, FailedPrecondition (stopped, read-only), InvalidArgument
  Result<NodeId> put(Node node, Durability durability = Durability::Sync) const;
  Status erase(const NodeId& node, Durability durability = Durability::Sync) const;
  Status link(Link link, Durability durability = Durability::Sync) const;
  Status unlink(const NodeId& from, std::string_view type, const NodeId& to,
                Durability durability = Durability::Sync) const;

  /// The node, without copying it when it is in memory. Cost: hot, one hash lookup; else three lookups on disk.
  /// @error NotFound
  Result<NodeView> get(const NodeId& node) const;
  Result<NodeView> get(const NodeId& node, const ReadView& view) const;
  /// By the id it had where it came from, or by the text of its own id.
  Result<NodeView> get_by_name(std::string_view id) const;
  /// The id that put() gives a node with this external id. Pure.
  NodeId id_for_external(std::string_view external_id, std::string_view external_system = {}) const;

  /// The k nearest that match, best first, over all tiers; every write acknowledged before the call is seen. A node that
  /// is erased while its hit is read is left out.
  /// @error InvalidArgument     k, dimension, a value that is not finite, the filter, both `vector` and `like`, a weight,
  ///                            a generation twice, `diversity` with `also`
  /// @error NotFound            no such generation, or it was dropped; no node `like`
  /// @error FailedPrecondition  the node `like` has no vector of the generation, or of any of them
  Result<std::vector<SearchHit>> search(const Query& query) const;

  /// The same as ids and scores. Reads nothing from the store (but the node `like`), so it costs the search and no more:
  /// for throughput, and where the nodes are at hand already. It answers as of one LSN, the last write acknowledged
  /// before the call or the view's: a node that is erased meanwhile may be among the answers.
  /// @error as search()
  Result<std::vector<Neighbour>> nearest(const Query& query) const;

  /// nearest() for many queries in one pass, which is quicker than one after another: all see the same LSN and share
  /// what `shape` says.
  /// @param queries  n × dimension floats, row-major; with Query::also a row is the vector of `generation` and behind it
  ///                 those of `also`, in their order
  /// @param shape    its `vector`s and `like` are empty
  /// @return one list per query, in their order
  /// @error InvalidArgument  queries.size() is no multiple of the dimension; otherwise as search()
  Result<std::vector<std::vector<Neighbour>>> nearest_batch(std::span<const float> queries, const Query& shape) const;

  /// Makes room for the vectors of one more model. Nodes keep what they have; each gets its new vector when it is put
  /// with one, and a search with Query::also finds nodes by either model meanwhile. Waits for writes under way.
  /// @return  its id, which the space has never used before
  /// @error InvalidArgument      dimension, the model's name
  /// @error FailedPrecondition   there are limits::kGenerationsPerSpaceMax; no id is left; the space is stopped
  Result<GenerationId> add_generation(const GenerationOptions& options) const;
  /// Removes a model's vectors from every node. When this returns, it is durable, and no read, search or view shows
  /// them, a view older than the drop included; a search that was under way ends as if before or with NotFound. Writes
  /// that still bring such a vector are refused with InvalidArgument. The id is never used again. Memory is given back
  /// at once, disk in the background when no older view is held. Generation 0 goes like any other; queries then name
  /// theirs.
  /// @error NotFound             no such generation, or it was dropped
  /// @error FailedPrecondition   it is the only one: add another first, or drop the space; the space is stopped
  /// Cost: waits for writes under way and reads the body of every node to count; writes to the space wait meanwhile.
  Status drop_generation(GenerationId generation) const;

  /// Visits matching nodes in row order until `visit` returns false or the limit is reached.
  Status scan(const ScanQuery& query, const std::function<bool(const NodeView&)>& visit) const;

  /// Links of a node, by type and then by the other end. Empty `type` = all.
  Result<std::vector<Link>> links(const NodeId& node, LinkDirection direction = LinkDirection::Out,
                                  std::string_view type = {}) const;

  /// Moves a node to another tier: Hot loads it into memory, Warm and Cold rewrite its home on disk, atomically and
  /// through the log. @error NotFound
  Status move(const NodeId& node, TierId to) const;
  /// Where the node is now. @error NotFound
  Result<TierId> tier_of(const NodeId& node) const;

 private:
  friend class Batch;
  friend class Database;
  friend class DatabaseImpl;
  Space(std::shared_ptr<DatabaseImpl> db, SpaceId id, std::string name)
      : db_(std::move(db)), id_(id), name_(std::move(name)) {}
  std::shared_ptr<DatabaseImpl> db_;
  SpaceId id_;
  std::string name_;
};

}  // namespace mneme
