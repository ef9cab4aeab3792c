// Every group of commands, one source file each.
#pragma once

#include "command_line.h"

namespace mneme::tools {

void add_database_commands(Command& root);  ///< init, stats, verify
void add_space_commands(Command& root);     ///< space create, list, stats, stop, start, drop, ...
void add_put_command(Command& root);
void add_node_commands(Command& root);  ///< get, erase, move
void add_link_command(Command& root);
void add_search_commands(Command& root);    ///< search, scan
void add_transfer_commands(Command& root);  ///< import, export
void add_legacy_commands(Command& root);    ///< legacy import, export, stats, get
void add_migrate_commands(Command& root);   ///< migrate-dual, migrate-dual verify
void add_help_commands(Command& root);      ///< help, completion

}  // namespace mneme::tools
