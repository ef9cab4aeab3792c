// Interrupts: a wish to stop, carried to whoever works.
#pragma once

namespace mneme::tools {

/// From now on the first SIGINT or SIGTERM sets a flag, the second ends the process at once (which loses nothing that
/// was acknowledged), and a closed pipe is a failed write instead of a signal.
void install_signal_handlers();

/// SIGINT or SIGTERM has come. Threads: any.
bool interrupted();

/// Waits until `descriptor` can be read. @return false when SIGINT or SIGTERM comes, or came, first
bool wait_readable(int descriptor);

/// Whether the reading end of standard output is closed.
bool reader_is_gone();

}  // namespace mneme::tools
