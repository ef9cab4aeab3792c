// ReadView: a pinned point in time.
#pragma once

#include <memory>

#include "mneme/base/ids.h"

namespace mneme {

/// Every read through it sees the same state: all changes up to lsn() and nothing later. What it can see is kept until
/// the last copy is gone; long-lived views hold disk space. It must not outlive its Database.
/// Threads: copy and read from any thread.
class ReadView {
 public:
  Lsn lsn() const;
  struct Pin;

 private:
  friend class Database;
  friend class DatabaseImpl;
  explicit ReadView(std::shared_ptr<const Pin> pin) : pin_(std::move(pin)) {}
  std::shared_ptr<const Pin> pin_;
};

}  // namespace mneme
