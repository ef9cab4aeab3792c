// The tree of commands and options: declared here, parsed by CLI11, printed as help and shell completion by us.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mneme/base/result.h"

namespace CLI {
class App;
}

namespace mneme::tools {

struct Context;

/// What a command does. Runs after the whole command line was understood.
using Action = std::function<Status(Context&)>;

/// Options that every command knows, before or after its name.
struct Globals {
  bool json = false;
  bool quiet = false;
  bool read_only = false;
  bool accept_data_loss = false;
};

enum class Need { Optional, Required };

/// Whether a command opens a database, and so takes --read-only and --accept-data-loss.
enum class Opens { Nothing, Database };

/// What help and completion print about one option or positional.
struct OptionSpec {
  std::string names;        ///< "-k,--neighbours", or "DIR" for a positional
  std::string placeholder;  ///< "N"; empty for a flag and a positional
  std::string help;
  std::vector<std::string> choices;  ///< empty = free
  bool required = false;
  bool repeats = false;
  bool is_path = false;
  bool is_positional() const { return !names.starts_with('-'); }
  bool takes_value() const { return is_positional() || !placeholder.empty(); }
};

/// The integer inside a T or a std::optional<T>.
template <class T>
struct WholeOf {
  using type = T;
};
template <class T>
struct WholeOf<std::optional<T>> {
  using type = T;
};
template <class T>
using WholeType = typename WholeOf<T>::type;

/// One command: its options, its commands below it, what it does.
///
/// A usage is "NAMES PLACEHOLDER" ("--dim N"), NAMES for a flag, or a word in capitals for a positional ("DIR").
/// Values are refused with InvalidArgument before any action runs; texts must be UTF-8, paths may be any bytes.
/// What options write into must live as long as the command: capture it in the action.
class Command {
 public:
  Command(CLI::App& app, Globals& globals, std::string name, std::string summary);
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  /// Adds a command below this one.
  Command& command(std::string name, std::string summary, Opens opens = Opens::Nothing);

  template <class Into>
  Command& text(std::string usage, std::string help, Into& into, Need need = Need::Optional) {
    return add(parsed(std::move(usage), std::move(help), need), [&into](std::string given) {
      into = std::move(given);
      return Status();
    });
  }
  template <class Into>
  Command& path(std::string usage, std::string help, Into& into, Need need = Need::Optional) {
    OptionSpec spec = parsed(std::move(usage), std::move(help), need);
    spec.is_path = true;
    return add(std::move(spec), [&into](std::string given) {
      into = std::filesystem::path(std::move(given));
      return Status();
    });
  }
  template <class Into>
  Command& choice(std::string usage, std::string help, std::vector<std::string> choices, Into& into,
                  Need need = Need::Optional) {
    OptionSpec spec = parsed(std::move(usage), std::move(help), need);
    spec.choices = std::move(choices);
    return add(std::move(spec), [&into](std::string given) {
      into = std::move(given);
      return Status();
    });
  }
  /// A whole number from `min` to `max`, which fit Into.
  template <class Into>
  Command& whole(std::string usage, std::string help, std::uint64_t min, std::uint64_t max, Into& into,
                 Need need = Need::Optional) {
    return add(parsed(std::move(usage), std::move(help), need), [&into, min, max](const std::string& given) -> Status {
      MNEME_ASSIGN(const std::uint64_t number, parse_whole(given, min, max));
      into = static_cast<WholeType<Into>>(number);
      return {};
    });
  }
  /// A finite number.
  Command& real(std::string usage, std::string help, std::optional<double>& into);
  /// May be given any number of times; as a positional it takes the rest.
  Command& texts(std::string usage, std::string help, std::vector<std::string>& into, Need need = Need::Optional);
  Command& paths(std::string usage, std::string help, std::vector<std::filesystem::path>& into,
                 Need need = Need::Optional);
  Command& flag(std::string name, std::string help, bool& into);

  /// Text under the options in the help: what else there is to know, and an example.
  Command& notes(std::string text);
  void runs(Action action) { action_ = std::move(action); }

  const std::string& name() const { return name_; }
  const std::string& summary() const { return summary_; }
  const std::string& note_text() const { return notes_; }
  const std::vector<OptionSpec>& options() const { return options_; }
  const std::vector<std::unique_ptr<Command>>& commands() const { return commands_; }
  const Command* parent() const { return parent_; }
  const Action& action() const { return action_; }
  Opens opens() const { return opens_; }
  /// The command below this one of that name, or null.
  const Command* find(std::string_view name) const;
  /// "mneme space create".
  std::string full_name() const;

 private:
  friend class CommandLine;
  using Take = std::function<Status(std::string)>;
  static OptionSpec parsed(std::string usage, std::string help, Need need);
  static Result<std::uint64_t> parse_whole(const std::string& given, std::uint64_t min, std::uint64_t max);
  Command& add(OptionSpec spec, Take take);
  void add_globals();

  CLI::App* app_;
  Globals* globals_;
  Command* parent_ = nullptr;
  Opens opens_ = Opens::Nothing;
  std::string name_, summary_, notes_;
  std::vector<OptionSpec> options_;
  std::vector<std::unique_ptr<Command>> commands_;
  Action action_;
};

/// What a command line asks for.
struct Request {
  enum class Kind { Run, Help, Version };
  Kind kind = Kind::Run;
  const Command* command = nullptr;
};

/// The root of the tree and its parser. Threads: one.
class CommandLine {
 public:
  CommandLine();
  ~CommandLine();

  Command& root() { return *root_; }
  Globals& globals() { return globals_; }

  /// @error InvalidArgument  unknown, missing or malformed arguments; says which and where help is
  Result<Request> parse(std::vector<std::string> arguments);

 private:
  Globals globals_;
  std::unique_ptr<CLI::App> app_;
  std::unique_ptr<Command> root_;
};

/// The help page of one command.
std::string help_page(const Command& command);

/// A bash script that completes every command and option below `root`.
std::string bash_completion(const Command& root);

}  // namespace mneme::tools
