// Work that indexes do in the background: all of a process in a few threads of their own, with half of the processors.
#pragma once

#include <functional>

#include "mneme/base/result.h"

namespace mneme::index {

/// Runs `job` soon. Parallel algorithms in it share half of the processors with those of all other jobs; a job that
/// cannot begin for their sake waits. Threads: any. @error Busy  no thread can be started: `job` will not run
Status run_in_background(std::function<void()> job);

/// … but with threads of its own, a quarter of the processors, and not behind those jobs: for work that is short, and that
/// searches wait for.
Status run_in_background_at_once(std::function<void()> job);

/// Runs `work` on this thread, with at most half of the processors.
void with_half_the_machine(const std::function<void()>& work);
/// … and with all of them: for work after which searches are far quicker, and which comes when no load is under way.
void with_the_whole_machine(const std::function<void()>& work);

}  // namespace mneme::index
