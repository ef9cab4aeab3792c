// Named places in multi-step protocols where a test can step in: run code of its own, or die there.
//
//   MNEME_FAILPOINT("wal.after_write");
//
// Compiled in where MNEME_FAILPOINTS_ENABLED is defined (CMake option MNEME_FAILPOINTS); nothing at all elsewhere.
// A process is told from outside by the environment: MNEME_FAILPOINTS="wal.after_write=kill@3,x.y=kill" makes it
// send itself SIGKILL on the third pass of the first place, or the first pass of the second.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#if defined(MNEME_FAILPOINTS_ENABLED)
#define MNEME_FAILPOINT(name) ::mneme::failpoint::pass(name)
#else
#define MNEME_FAILPOINT(name) static_cast<void>(0)
#endif

namespace mneme::failpoint {

/// Whether the library was built with failpoints.
bool enabled();

/// Runs `action` in the thread that passes `name` for the `nth` time from now on, once. Replaces what was armed there.
void arm(std::string_view name, std::uint64_t nth, std::function<void()> action);
/// Forgets every armed place, also those from the environment.
void disarm_all();
/// Passes of an armed place since it was armed; 0 for others.
std::uint64_t passes(std::string_view name);

/// Called by MNEME_FAILPOINT. Threads: any. Cost while nothing is armed: one relaxed load.
void pass(std::string_view name);

/// Arms what `specification` says, in the form of the environment variable. Returns false at the first term that
/// is not of that form; terms before it are armed.
bool arm_from_text(std::string_view specification);

}  // namespace mneme::failpoint
