// Opening, and errors that say what to do.
#include "context.h"

#include "mneme/base/json.h"
#include "text.h"

namespace mneme::tools {

namespace {

// A path as an argument of a shell command that someone may copy.
std::string shell_word(const std::filesystem::path& path) {
  std::string text = as_utf8(path.native());
  const bool plain = !text.empty() && text.find_first_not_of(
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789._/-+:@%") == std::string::npos;
  if (plain) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

// What to do when a directory could not be opened. `make`: the command that would have made it; `stats`: the command
// that looks at it.
std::string open_hint(Code code, Missing missing, const std::filesystem::path& directory, const std::string& make,
                      const std::string& stats) {
  const std::string word = shell_word(directory);
  switch (code) {
    case Code::NotFound:
      return missing == Missing::Create ? "the directory it is to lie in must be there" : "make it with `" + make + "`";
    case Code::FailedPrecondition:
      return missing == Missing::Create ? "give an empty directory, or one that is not there yet" : "";
    case Code::Busy:
      return "one process at a time; `fuser -v " + word + "/LOCK` shows which has it open";
    case Code::DataLoss:
      return "look at what is left with `" + stats + " " + word +
             " --read-only`; restore a backup, or give up what is " + "lost with `" + stats + " " + word +
             " --accept-data-loss`";
    case Code::Corruption:
      return "look at what is left with `" + stats + " " + word + " --read-only`; restore a backup if there is one";
    case Code::VersionMismatch:
      return "use the release that wrote it, or a newer one";
    default:
      return {};
  }
}

std::string default_hint(const Status& status) {
  switch (status.code()) {
    case Code::Busy:
      return "try again later";
    case Code::NoSpace:
      return "free some space and try again; nothing acknowledged was lost";
    case Code::Indeterminate:
      return "the outcome is unknown until the directory is opened again; then look whether the change is there";
    case Code::Internal:
      return "this is a defect of mneme; please report it with this line";
    default:
      return {};
  }
}

}  // namespace

void Context::remark(std::string_view text) const {
  if (!globals.quiet && !globals.json) print_error_line(printable(text));
}

void Context::warn(std::string_view text) const {
  if (globals.quiet) return;
  if (!globals.json) return print_error_line("warning: " + printable(text));
  std::string line;
  Value object;
  object.set("warning", as_utf8(text));
  append_json(object, line);
  print_error_line(line);
}

int exit_code(const Status& status) {
  switch (status.code()) {
    case Code::Ok:
      return kExitOk;
    case Code::InvalidArgument:
      return kExitUsage;
    case Code::NotFound:
      return kExitNotFound;
    case Code::Mismatch:
      return kExitMismatch;
    case Code::Busy:
    case Code::NoSpace:
      return kExitRetry;
    case Code::Cancelled:
      return kExitInterrupted;
    default:
      return kExitFailure;
  }
}

std::string_view exit_code_page() {
  return "Exit codes of mneme\n"
         "\n"
         "    0  done\n"
         "    1  failed: damage, a failing disk, a state that forbids it (Corruption, DataLoss, IoError, ...)\n"
         "    2  not understood or refused: usage, or input that breaks a rule (InvalidArgument); nothing was changed\n"
         "    3  not found: database, space, node (NotFound)\n"
         "    4  a verification found a difference or damage (Mismatch)\n"
         "   75  try again later: another process has it open, or the disk is full (Busy, NoSpace)\n"
         "  130  interrupted by SIGINT or SIGTERM (Cancelled); a migration goes on with --resume\n"
         "  141  the reader of standard output went away, as in `mneme scan ... | head`\n";
}

void print_error(const Status& status, std::string_view hint, bool json) {
  const std::string advice = hint.empty() ? default_hint(status) : std::string(hint);
  if (!json) {
    print_error_line("mneme: " + std::string(name_of(status.code())) + ": " + printable(status.message()));
    if (!advice.empty()) print_error_line("  hint: " + printable(advice));
    return;
  }
  Value error;
  error.set("code", name_of(status.code()));
  error.set("message", as_utf8(status.message()));
  if (!advice.empty()) error.set("hint", as_utf8(advice));
  Value object;
  object.set("error", std::move(error));
  print_error_line(to_json(object));
}

Result<std::unique_ptr<Database>> open_database(Context& context, const std::filesystem::path& directory,
                                                const OpenRequest& request) {
  DatabaseOptions options;
  options.create_if_missing = request.missing == Missing::Create;
  options.read_only = context.globals.read_only;
  options.accept_data_loss = context.globals.accept_data_loss;
  if (request.dimension != 0) options.default_dimension = request.dimension;
  options.default_metric = request.metric;
  options.log = [&context](std::string_view line) { context.warn(line); };
  auto database = Database::open(directory, options);
  if (!database) {
    context.hint = open_hint(database.status().code(), request.missing, directory,
                             "mneme init " + shell_word(directory) + " --dim N", "mneme stats");
    return database;
  }
  if (const Status damage = (*database)->recovery().damage; !damage) context.warn(damage.to_string());
  return database;
}

Result<std::unique_ptr<migration::LegacyStore>> open_legacy(Context& context, const std::filesystem::path& directory,
                                                            Missing missing) {
  migration::LegacyOptions options;
  options.create_if_missing = missing == Missing::Create;
  options.read_only = context.globals.read_only;
  options.accept_data_loss = context.globals.accept_data_loss;
  options.log = [&context](std::string_view line) { context.warn(line); };
  auto store = migration::LegacyStore::open(directory, options);
  if (!store)
    context.hint =
        open_hint(store.status().code(), missing, directory,
                  "mneme legacy import " + shell_word(directory) + " --from jsonl PATH", "mneme legacy stats");
  return store;
}

Result<Space> find_space(Context& context, const Database& database, const std::filesystem::path& directory,
                         const std::string& name) {
  auto space = database.space(name);
  if (!space && space.status().code() == Code::NotFound)
    context.hint = "`mneme space list " + shell_word(directory) + "` shows what is there; `mneme space create " +
                   shell_word(directory) + " " + shell_word(name) + "` makes it";
  return space;
}

}  // namespace mneme::tools
