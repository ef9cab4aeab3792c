// The bridge to CLI11: the one file that includes it.
#include "command_line.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <set>

#include "mneme/base/json.h"
#include "mneme/version.h"
#include "text.h"

namespace mneme::tools {

namespace {

Status invalid(std::string message) { return {Code::InvalidArgument, std::move(message)}; }

// CLI11 splits an argument in brackets where a list is welcome; an id may be "[a,b]". A mark behind it keeps it whole,
// and every value passes through `unmarked` on its way out.
constexpr char kWhole = '\x01';

std::string marked(std::string argument) {
  if (argument.starts_with('[')) argument.push_back(kWhole);
  return argument;
}

std::string unmarked(std::string value) {
  if (value.starts_with('[') && value.back() == kWhole) value.pop_back();
  return value;
}

// Names of every option that takes a value, in the whole tree.
void collect_valued(const Command& command, std::set<std::string>& names) {
  for (const OptionSpec& option : command.options()) {
    if (option.is_positional() || !option.takes_value()) continue;
    for (const std::string& name : split(option.names, ',')) names.insert(name);
  }
  for (const auto& below : command.commands()) collect_valued(*below, names);
}

// CLI11 reads "--content= NEXT" as if NEXT were the value. An empty value is handed over as an argument of its own.
std::vector<std::string> separate_empty_values(const Command& root, std::vector<std::string> arguments) {
  std::set<std::string> valued;
  collect_valued(root, valued);
  std::vector<std::string> result;
  bool is_value = false, options_ended = false;
  for (std::string& argument : arguments) {
    const bool may_be_option = !is_value && !options_ended;
    is_value = may_be_option && valued.contains(argument);
    options_ended = options_ended || (may_be_option && argument == "--");
    if (may_be_option && argument.ends_with('=') && valued.contains(argument.substr(0, argument.size() - 1))) {
      argument.pop_back();
      result.push_back(std::move(argument));
      result.emplace_back();
    } else {
      result.push_back(std::move(argument));
    }
  }
  return result;
}

std::string help_pointer(const Command& command) {
  const std::string name = command.full_name();
  if (command.parent() == nullptr) return "`mneme help` lists the commands";
  return "`mneme help" + name.substr(name.find(' ')) + "` shows its options";
}

}  // namespace

Command::Command(CLI::App& app, Globals& globals, std::string name, std::string summary)
    : app_(&app), globals_(&globals), name_(std::move(name)), summary_(std::move(summary)) {
  app_->set_help_flag("-h,--help", "");
  // At most one command of each level is chosen; what follows it is never taken for another.
  app_->require_subcommand(0, 1);
  add_globals();
}

Command& Command::command(std::string name, std::string summary, Opens opens) {
  CLI::App* app = app_->add_subcommand(name, "");
  commands_.push_back(std::make_unique<Command>(*app, *globals_, std::move(name), std::move(summary)));
  commands_.back()->parent_ = this;
  commands_.back()->opens_ = opens;
  return *commands_.back();
}

void Command::add_globals() {
  const auto global = [this](const char* name, bool& into) { app_->add_flag_callback(name, [&into] { into = true; }); };
  global("--json", globals_->json);
  global("-q,--quiet", globals_->quiet);
  global("--read-only", globals_->read_only);
  global("--accept-data-loss", globals_->accept_data_loss);
}

OptionSpec Command::parsed(std::string usage, std::string help, Need need) {
  OptionSpec spec;
  const std::size_t space = usage.find(' ');
  spec.names = usage.substr(0, space);
  if (space != std::string::npos) spec.placeholder = usage.substr(space + 1);
  spec.help = std::move(help);
  spec.required = need == Need::Required;
  return spec;
}

Command& Command::add(OptionSpec spec, Take take) {
  const std::string shown = spec.names;
  CLI::Option* option =
      app_->add_option(spec.names, [shown, spec, take = std::move(take)](const CLI::results_t& results) {
        for (const std::string& raw : results) {
          std::string given = unmarked(raw);
          Status status;
          if (!spec.is_path && !is_valid_utf8(given)) status = invalid("not valid UTF-8");
          if (status && !spec.choices.empty() &&
              std::find(spec.choices.begin(), spec.choices.end(), given) == spec.choices.end())
            status = invalid(in_quotes(given) + " is none of " + join(spec.choices, ", "));
          if (status) status = take(std::move(given));
          if (!status) throw CLI::ValidationError(shown, status.message());
        }
        return true;
      });
  option->required(spec.required);
  if (spec.repeats && spec.is_positional())
    option->expected(1, CLI::detail::expected_max_vector_size)->allow_extra_args(true);
  else
    option->expected(1)->allow_extra_args(false);
  if (spec.repeats) option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  options_.push_back(std::move(spec));
  return *this;
}

Result<std::uint64_t> Command::parse_whole(const std::string& given, std::uint64_t min, std::uint64_t max) {
  std::uint64_t number = 0;
  const char* end = given.data() + given.size();
  const auto [stop, error] = std::from_chars(given.data(), end, number);
  const std::string range = "a whole number from " + std::to_string(min) + " to " + std::to_string(max);
  if (error == std::errc() && stop == end && number >= min && number <= max) return number;
  return invalid(in_quotes(given) + " is not " + range);
}

Command& Command::real(std::string usage, std::string help, std::optional<double>& into) {
  return add(parsed(std::move(usage), std::move(help), Need::Optional), [&into](const std::string& given) -> Status {
    double number = 0;
    const char* end = given.data() + given.size();
    const auto [stop, error] = std::from_chars(given.data(), end, number);
    if (error != std::errc() || stop != end || !std::isfinite(number))
      return invalid(in_quotes(given) + " is not a finite number");
    into = number;
    return {};
  });
}

Command& Command::texts(std::string usage, std::string help, std::vector<std::string>& into, Need need) {
  OptionSpec spec = parsed(std::move(usage), std::move(help), need);
  spec.repeats = true;
  return add(std::move(spec), [&into](std::string given) {
    into.push_back(std::move(given));
    return Status();
  });
}

Command& Command::paths(std::string usage, std::string help, std::vector<std::filesystem::path>& into, Need need) {
  OptionSpec spec = parsed(std::move(usage), std::move(help), need);
  spec.repeats = spec.is_path = true;
  return add(std::move(spec), [&into](std::string given) {
    into.emplace_back(std::move(given));
    return Status();
  });
}

Command& Command::flag(std::string name, std::string help, bool& into) {
  app_->add_flag_callback(name, [&into] { into = true; });
  options_.push_back(parsed(std::move(name), std::move(help), Need::Optional));
  return *this;
}

Command& Command::notes(std::string text) {
  notes_ = std::move(text);
  return *this;
}

const Command* Command::find(std::string_view name) const {
  for (const auto& command : commands_)
    if (command->name_ == name) return command.get();
  return nullptr;
}

std::string Command::full_name() const { return parent_ == nullptr ? name_ : parent_->full_name() + " " + name_; }

CommandLine::CommandLine() : app_(std::make_unique<CLI::App>("", "mneme")) {
  root_ = std::make_unique<Command>(*app_, globals_, "mneme",
                                    "Stores, searches and converts the memory of software agents.");
  app_->set_version_flag("--version", std::string(kVersion));
}

CommandLine::~CommandLine() = default;

Result<Request> CommandLine::parse(std::vector<std::string> arguments) {
  std::vector<std::string> reversed = separate_empty_values(*root_, std::move(arguments));
  for (std::string& argument : reversed) argument = marked(std::move(argument));
  std::reverse(reversed.begin(), reversed.end());  // as CLI11 wants it

  Request request;
  std::string error;
  try {
    app_->parse(reversed);
  } catch (const CLI::CallForHelp&) {
    request.kind = Request::Kind::Help;
  } catch (const CLI::CallForVersion&) {
    request.kind = Request::Kind::Version;
    return request;
  } catch (const CLI::Error& caught) {
    error = unmarked(caught.what());
  }

  // The deepest command that was named.
  const Command* command = root_.get();
  for (bool deeper = true; deeper;) {
    deeper = false;
    for (const auto& below : command->commands())
      if (below->app_->parsed()) {
        command = below.get();
        deeper = true;
        break;
      }
  }
  request.command = command;
  if (!error.empty()) return invalid(command->full_name() + ": " + error + "; " + help_pointer(*command));
  if (request.kind == Request::Kind::Help) return request;
  if (!command->action()) return invalid(command->full_name() + ": a command is missing; " + help_pointer(*command));
  if ((globals_.read_only || globals_.accept_data_loss) && command->opens_ == Opens::Nothing)
    return invalid(command->full_name() + " takes neither --read-only nor --accept-data-loss");
  return request;
}

}  // namespace mneme::tools
