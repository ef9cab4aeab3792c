// help and completion.
#include "commands.h"
#include "context.h"
#include "text.h"

namespace mneme::tools {

namespace {

Status help(Context& context, const std::vector<std::string>& topic) {
  if (topic.size() == 1 && topic.front() == "exit-codes") {
    context.out.raw(exit_code_page());
    return {};
  }
  const Command* command = &context.root;
  for (const std::string& name : topic) {
    const Command* below = command->find(name);
    if (below == nullptr) return {Code::InvalidArgument, "no command " + in_quotes(join(topic, " "))};
    command = below;
  }
  context.out.raw(help_page(*command));
  return {};
}

}  // namespace

void add_help_commands(Command& root) {
  auto topic = std::make_shared<std::vector<std::string>>();
  Command& help_command = root.command("help", "Explains a command, or lists them; `help exit-codes`: what they mean.");
  help_command.texts("COMMAND", "a command, for example put, or space create; or exit-codes", *topic)
      .notes("example: mneme help migrate-dual");
  help_command.runs([topic](Context& context) { return help(context, *topic); });

  auto shell = std::make_shared<std::string>();
  Command& completion = root.command("completion", "Prints a script that completes commands and options in a shell.");
  completion.choice("SHELL", "bash", {"bash"}, *shell, Need::Required)
      .notes("example: source <(mneme completion bash)");
  // `shell` lives as long as the option that writes into it.
  completion.runs([shell](Context& context) {
    context.out.raw(bash_completion(context.root));
    return Status();
  });
}

}  // namespace mneme::tools
