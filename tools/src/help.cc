// Help pages and shell completion, from the tree of commands.
#include <algorithm>

#include "command_line.h"
#include "text.h"

namespace mneme::tools {

namespace {

constexpr std::size_t kHelpColumn = 30;
constexpr std::size_t kPageColumns = 100;

// "  head    text…", wrapped under itself.
void append_entry(std::string& page, const std::string& head, const std::string& text) {
  std::string line = "  " + head;
  if (line.size() + 2 > kHelpColumn) {
    page += line + "\n";
    line.clear();
  }
  line.resize(kHelpColumn, ' ');
  std::size_t column = kHelpColumn;
  for (const std::string& word : split(text, ' ')) {
    if (column + word.size() + 1 > kPageColumns) {
      page += line + "\n";
      line.assign(kHelpColumn, ' ');
      column = kHelpColumn;
    }
    if (column > kHelpColumn) line += " ";
    line += word;
    column += display_width(word) + 1;
  }
  while (line.ends_with(' ')) line.pop_back();
  page += line + "\n";
}

std::string option_head(const OptionSpec& option) {
  std::string head = join(split(option.names, ','), ", ");
  if (!option.placeholder.empty()) head += " " + option.placeholder;
  return head;
}

// "mneme put DIR --space S [OPTIONS]"
std::string usage(const Command& command) {
  std::string line = command.full_name(), required;
  for (const OptionSpec& option : command.options()) {
    if (option.is_positional()) {
      const std::string name = option.names + (option.repeats ? "…" : "");
      line += option.required ? " " + name : " [" + name + "]";
    } else if (option.required) {
      required += " " + split(option.names, ',').back() + " " + option.placeholder;
    }
  }
  if (!command.action()) return line + " COMMAND";
  return line + required + " [OPTIONS]";
}

void append_globals(const Command& command, std::string& page) {
  page += "\nEverywhere\n";
  append_entry(page, "--json", "JSON: one object per line, errors too");
  append_entry(page, "-q, --quiet", "no progress, no remarks");
  if (command.opens() == Opens::Database) {
    append_entry(page, "--read-only", "open without changing anything on disk, also what is damaged");
    append_entry(page, "--accept-data-loss", "open what is damaged and give up what is lost: a person's decision");
  }
  append_entry(page, "-h, --help", "this page");
}

std::string function_name(const Command& command) {
  std::string name = command.full_name();
  std::replace(name.begin(), name.end(), ' ', '_');
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

// One case branch per command: what may follow it, and what may follow each option that takes a value.
void append_completion(const Command& command, std::string& script) {
  std::vector<std::string> words{"--json", "--quiet", "--help"};
  if (command.opens() == Opens::Database) words.insert(words.end(), {"--read-only", "--accept-data-loss"});
  std::string values;
  for (const auto& below : command.commands()) words.push_back(below->name());
  for (const OptionSpec& option : command.options()) {
    if (option.is_positional()) continue;
    const std::vector<std::string> names = split(option.names, ',');
    words.insert(words.end(), names.begin(), names.end());
    if (!option.takes_value()) continue;
    values += "        " + join(names, "|") + ") ";
    if (!option.choices.empty())
      values += "choices=\"" + join(option.choices, " ") + "\"; takes=word";
    else
      values += option.is_path ? "takes=path" : "takes=word";
    values += " ;;\n";
  }
  script += "    " + function_name(command) + ")\n      words=\"" + join(words, " ") + "\"\n";
  if (!values.empty()) script += "      case $prev in\n" + values + "      esac\n";
  script += "      ;;\n";
  for (const auto& below : command.commands()) append_completion(*below, script);
}

void append_paths(const Command& command, std::string& script) {
  for (const auto& below : command.commands()) {
    std::string pattern = function_name(command) + ":" + below->name();
    script += "      " + pattern + ") at=" + function_name(*below) + " ;;\n";
    append_paths(*below, script);
  }
}

}  // namespace

std::string help_page(const Command& command) {
  std::string page = command.summary() + "\n\nusage: " + usage(command) + "\n";
  if (!command.commands().empty()) {
    page += "\nCommands\n";
    for (const auto& below : command.commands()) append_entry(page, below->name(), below->summary());
  }
  const auto section = [&](const char* title, bool positional) {
    bool any = false;
    for (const OptionSpec& option : command.options()) {
      if (option.is_positional() != positional) continue;
      if (!any) page += std::string("\n") + title + "\n";
      any = true;
      append_entry(page, option_head(option), option.help);
    }
  };
  section("Arguments", true);
  section("Options", false);
  append_globals(command, page);
  if (!command.note_text().empty()) page += "\n" + command.note_text() + "\n";
  return page;
}

std::string bash_completion(const Command& root) {
  std::string script =
      "# bash completion for mneme; put it where bash looks, or: source <(mneme completion bash)\n"
      "_mneme() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at=mneme words choices takes i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case $at:${COMP_WORDS[i]} in\n";
  append_paths(root, script);
  script += "    esac\n  done\n  case $at in\n";
  append_completion(root, script);
  script +=
      "  esac\n"
      "  if [[ $takes == path ]]; then COMPREPLY=($(compgen -f -- \"$cur\"))\n"
      "  elif [[ $takes == word ]]; then COMPREPLY=($(compgen -W \"$choices\" -- \"$cur\"))\n"
      "  elif [[ $cur == -* || $at == mneme ]]; then COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
      "  else COMPREPLY=($(compgen -W \"$words\" -- \"$cur\") $(compgen -f -- \"$cur\"))\n"
      "  fi\n"
      "}\n"
      "complete -o filenames -F _mneme mneme\n";
  return script;
}

}  // namespace mneme::tools
