// WritePlan: turns a batch into one commit.
//
// It holds the gates of the spaces and the stripes of the nodes that the batch names (and of the other ends of links that
// go with an erased node), so that what it reads of them stays
// true until the commit is published. Later operations of the batch see earlier ones; what remains is at most one
// operation per node and per link, so that the order inside a commit no longer matters.
#pragma once

#include <map>
#include <vector>

#include "database_impl.h"

namespace mneme {

class WritePlan {
 public:
  explicit WritePlan(DatabaseImpl& db) : db_(db) {}
  ~WritePlan();
  WritePlan(const WritePlan&) = delete;
  WritePlan& operator=(const WritePlan&) = delete;

  /// Takes gates and stripes. @error NotFound, FailedPrecondition  a space is gone or stopped
  Status lock(std::span<const Batch::Operation> operations) MNEME_NO_THREAD_SAFETY_ANALYSIS;
  Status lock_nodes(SpaceId space, std::span<const NodeId> nodes) MNEME_NO_THREAD_SAFETY_ANALYSIS;
  /// The commit; empty (no operation) when nothing changes.
  Result<Commit> build(std::span<const Batch::Operation> operations);
  const SpaceEntryPtr& space(SpaceId id) const { return spaces_.at(id); }

 private:
  struct NodeChange {
    std::optional<Existing> before;  // in the database
    RowId row = kNoRow;
    NodeRecordPtr record;  // Put
    bool erased = false;
    std::size_t order = 0;
    bool changed = false;
    bool alive() const { return record || (before && !erased); }
  };
  struct LinkChange {
    SpaceId space;
    Link link;
    bool existed = false;  // in the database
    bool present = false;  // after the batch
    std::size_t order = 0;
  };
  Status gate(SpaceId id) MNEME_NO_THREAD_SAFETY_ANALYSIS;
  static std::size_t stripe_of(const NodeId& id);
  void take_stripes(std::vector<std::size_t> stripes) MNEME_NO_THREAD_SAFETY_ANALYSIS;
  void give_stripes_back() MNEME_NO_THREAD_SAFETY_ANALYSIS;
  Status take_stripes_of_neighbours(std::span<const Batch::Operation> operations) MNEME_NO_THREAD_SAFETY_ANALYSIS;
  Result<NodeChange*> node(SpaceId space, const NodeId& id, bool fresh);
  Result<LinkChange*> link(SpaceId space, const Link& link);
  Status put(const Batch::Operation& operation);
  Status erase(SpaceId space, const NodeId& id);
  Status add_link(const Batch::Operation& operation);
  Status unlink_all(SpaceId space, const NodeId& id);
  bool space_of_links_is_empty(SpaceId id) const;
  CounterDelta& delta(std::vector<CounterDelta>& deltas, SpaceId space) const;
  void add_node_op(Commit& commit, SpaceId space, const NodeId& id, const NodeChange& change) const;
  void add_link_op(Commit& commit, const LinkChange& change) const;

  DatabaseImpl& db_;
  std::map<SpaceId, SpaceEntryPtr> spaces_;
  std::vector<std::size_t> stripes_;
  std::map<std::pair<SpaceId, NodeId>, NodeChange> nodes_;
  std::map<std::string, LinkChange> links_;  // by out key
  std::size_t order_ = 0;
};

}  // namespace mneme
