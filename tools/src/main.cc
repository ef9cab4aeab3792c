// mneme: the command. Reads the command line, runs one command, turns its Status into an exit code.
#include <algorithm>
#include <clocale>
#include <string>
#include <vector>

#include "commands.h"
#include "context.h"
#include "mneme/version.h"
#include "signals.h"

namespace mneme::tools {

namespace {

void add_commands(Command& root) {
  add_database_commands(root);
  add_space_commands(root);
  add_put_command(root);
  add_node_commands(root);
  add_link_command(root);
  add_search_commands(root);
  add_transfer_commands(root);
  add_legacy_commands(root);
  add_migrate_commands(root);
  add_help_commands(root);
  root.notes("`mneme help COMMAND` explains a command, `mneme help exit-codes` the exit codes.");
}

Status answer(Context& context, const Request& request) {
  switch (request.kind) {
    case Request::Kind::Version:
      context.out.line("mneme " + std::string(kVersion));
      return {};
    case Request::Kind::Help:
      context.out.raw(help_page(*request.command));
      return {};
    case Request::Kind::Run:
      return request.command->action()(context);
  }
  return {Code::Internal, "a request of no kind"};
}

int run(const std::vector<std::string>& arguments) {
  CommandLine line;
  add_commands(line.root());
  if (arguments.empty()) {
    print_error_line(help_page(line.root()));
    return kExitUsage;
  }
  const auto request = line.parse(arguments);
  if (!request) {
    // The command line was not understood, so that --json may not have been either.
    const bool json = std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
    print_error(request.status(), "", json);
    return exit_code(request.status());
  }
  Context context{line.globals(), line.root(), Output(line.globals().json), ""};
  const Status done = answer(context, *request);
  const Status printed = context.out.flush();
  if (reader_is_gone() && (printed.code() == Code::Cancelled || done.code() == Code::Cancelled) && !interrupted())
    return kExitReaderGone;
  if (done && printed) return kExitOk;
  print_error(done ? printed : done, done ? "" : context.hint, line.globals().json);
  return exit_code(done ? printed : done);
}

}  // namespace

}  // namespace mneme::tools

int main(int argc, char** argv) {
  // Widths of characters, whatever the locale of the terminal; numbers stay as in C.
  std::setlocale(LC_CTYPE, "C.UTF-8");
  mneme::tools::install_signal_handlers();
  return mneme::tools::run(std::vector<std::string>(argv + 1, argv + argc));
}
