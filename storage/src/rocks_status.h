// RocksDB's errors in Mneme's words, and the fence that keeps exceptions inside this folder.
#pragma once

#include <rocksdb/status.h>

#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "mneme/base/result.h"

namespace mneme::storage {

/// `what` names the call and its object; RocksDB's own words follow. Ok stays ok.
Status from_rocks(const rocksdb::Status& status, std::string_view what);

/// Runs `body`, which returns a Status or a Result, and turns what it throws into one.
/// @error Busy  out of memory   @error Internal  anything else
template <class Body>
auto guarded(std::string_view what, Body&& body) -> decltype(body()) {
  try {
    return std::forward<Body>(body)();
  } catch (const std::bad_alloc&) {
    return Status(Code::Busy, std::string(what) + ": out of memory");
  } catch (const std::exception& error) {
    return Status(Code::Internal, std::string(what) + ": " + error.what());
  }
}

}  // namespace mneme::storage
