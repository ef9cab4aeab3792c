#include "mneme/storage/failpoint.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>

#include "mneme/base/mutex.h"

namespace mneme::failpoint {

namespace {

struct Armed {
  std::uint64_t nth = 1;
  std::uint64_t passes = 0;
  std::function<void()> action;
};

struct Registry {
  std::atomic<bool> any{false};
  Mutex mutex;
  std::map<std::string, Armed, std::less<>> armed MNEME_GUARDED_BY(mutex);
};

Registry& registry() {
  static auto* instance = new Registry;  // passed by threads that may outlive static destruction
  return *instance;
}

void kill_self() {
  if (std::raise(SIGKILL) != 0) std::abort();
}

// A misspelt kill would look like a run that survived, so it ends the process.
[[maybe_unused]] const bool kFromEnvironment = [] {
  const char* text = std::getenv("MNEME_FAILPOINTS");
  if (text == nullptr || arm_from_text(text)) return text != nullptr;
  std::fprintf(stderr, "MNEME_FAILPOINTS=%s: expected name=kill[@N], separated by commas\n", text);
  std::abort();
}();

}  // namespace

bool enabled() {
#if defined(MNEME_FAILPOINTS_ENABLED)
  return true;
#else
  return false;
#endif
}

void arm(std::string_view name, std::uint64_t nth, std::function<void()> action) {
  Registry& all = registry();
  MutexLock lock(all.mutex);
  all.armed.insert_or_assign(std::string(name), Armed{nth, 0, std::move(action)});
  all.any.store(true, std::memory_order_relaxed);
}

void disarm_all() {
  Registry& all = registry();
  MutexLock lock(all.mutex);
  all.armed.clear();
  all.any.store(false, std::memory_order_relaxed);
}

std::uint64_t passes(std::string_view name) {
  Registry& all = registry();
  MutexLock lock(all.mutex);
  const auto found = all.armed.find(name);
  return found == all.armed.end() ? 0 : found->second.passes;
}

void pass(std::string_view name) {
  Registry& all = registry();
  if (!all.any.load(std::memory_order_relaxed)) return;
  std::function<void()> action;
  {
    MutexLock lock(all.mutex);
    const auto found = all.armed.find(name);
    if (found == all.armed.end() || ++found->second.passes != found->second.nth) return;
    action = found->second.action;
  }
  action();
}

bool arm_from_text(std::string_view specification) {
  while (!specification.empty()) {
    const std::string_view term = specification.substr(0, specification.find(','));
    specification.remove_prefix(std::min(term.size() + 1, specification.size()));
    const std::size_t equals = term.find('=');
    if (equals == 0 || equals == std::string_view::npos) return false;
    std::string_view what = term.substr(equals + 1);
    std::uint64_t nth = 1;
    if (const std::size_t sign = what.find('@'); sign != std::string_view::npos) {
      const std::string_view digits = what.substr(sign + 1);
      const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), nth);
      if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size() || nth == 0) return false;
      what = what.substr(0, sign);
    }
    if (what != "kill") return false;
    arm(term.substr(0, equals), nth, kill_self);
  }
  return true;
}

}  // namespace mneme::failpoint
