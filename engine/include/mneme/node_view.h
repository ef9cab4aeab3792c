// NodeView: a stored node, read in place.
#pragma once

#include "mneme/base/node_record.h"

namespace mneme {

/// Keeps the node alive; nothing is copied. Read its fields through `->`: view->content(), view->vector(g), …
/// Threads: a value; read from any thread.
class NodeView {
 public:
  NodeView(NodeRecordPtr record, RowId row, TierId tier) : record_(std::move(record)), row_(row), tier_(tier) {}

  const NodeRecord* operator->() const { return record_.get(); }
  const NodeRecord& operator*() const { return *record_; }
  NodeId id() const { return record_->id(); }
  NodeKind kind() const { return record_->kind(); }
  TierId tier() const { return tier_; }  ///< where it was read from
  RowId row() const { return row_; }
  /// A copy as a plain struct. @error Corruption
  Result<Node> node() const { return record_->decode(); }
  const NodeRecordPtr& record() const { return record_; }

 private:
  NodeRecordPtr record_;
  RowId row_;
  TierId tier_;
};

}  // namespace mneme
