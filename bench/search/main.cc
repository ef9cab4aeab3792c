// bench_search: how fast is vector search at a promised recall, beside every library on this machine?
//
// The options are in bench/README.md and in usage() below.

#include <tbb/parallel_for.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "core/calibrate.h"
#include "core/report.h"
#include "search/child.h"
#include "search/plan.h"

namespace {

using namespace mneme;
using namespace mneme::bench;
namespace fs = std::filesystem;

constexpr const char* kUsage =
    "usage: bench_search [--dataset wordnet-minilm|clustered-1m-768|both] [--rows N] [--queries N] [--threads N]\n"
    "  [--seconds S] [--rounds N] [--k 10,100,800] [--targets 0.95,0.99] [--peers all|none|NAME,NAME] [--data-dir "
    "DIR]\n"
    "  [--python FILE] [--only single,batch,build,filter,writes,memory] [--out FILE] [--quick]\n";

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t comma = std::min(list.find(',', at), list.size());
    if (comma > at) parts.push_back(list.substr(at, comma - at));
    at = comma + 1;
  }
  return parts;
}

std::size_t whole(const std::string& text) {
  char* end = nullptr;
  const unsigned long long value = std::strtoull(text.c_str(), &end, 10);
  require(!text.empty() && *end == '\0' && text[0] != '-', "not a number: " + text);
  return value;
}

double real(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  require(!text.empty() && *end == '\0', "not a number: " + text);
  return value;
}

void make_quick(Plan& plan) {
  plan.rows = 4000;
  plan.queries = 100;
  plan.seconds = 0.05;
  plan.rounds = 1;
  plan.ks = {10, 100};
  plan.batch_queries = plan.sweep_batch_queries = 100;
  plan.sweep_stride = 4;
}

void set(Plan& plan, const std::string& option, const std::string& value) {
  if (option == "--dataset") {
    require(value == "wordnet-minilm" || value == "clustered-1m-768" || value == "both", "no data set named " + value);
    plan.dataset = value;
  } else if (option == "--rows") {
    plan.rows = whole(value);
  } else if (option == "--queries") {
    plan.queries = whole(value);
  } else if (option == "--threads") {
    plan.threads = static_cast<unsigned>(whole(value));
  } else if (option == "--seconds") {
    plan.seconds = real(value);
  } else if (option == "--rounds") {
    plan.rounds = whole(value);
  } else if (option == "--k") {
    plan.ks.clear();
    for (const std::string& part : split(value)) plan.ks.push_back(whole(part));
  } else if (option == "--targets") {
    plan.targets.clear();
    for (const std::string& part : split(value)) plan.targets.push_back(real(part));
  } else if (option == "--peers") {
    plan.peers = value;
  } else if (option == "--data-dir") {
    plan.data_dir = value;
  } else if (option == "--python") {
    plan.python = value;
  } else if (option == "--only") {
    plan.only = split(value);
  } else if (option == "--out") {
    plan.out = value;
  } else {
    require(false, "no option " + option + "\n" + kUsage);
  }
}

void check(const Plan& plan) {
  bool sound = plan.threads > 0 && plan.seconds > 0 && plan.rounds > 0 && !plan.ks.empty() && !plan.targets.empty();
  for (const std::size_t k : plan.ks) sound = sound && k >= 1 && k <= kTruthDepth;
  for (const double target : plan.targets) sound = sound && target > 0 && target <= 1;
  require(sound, "a number is out of range; k goes up to 1,000");
  for (const std::string& question : plan.only)
    require(std::string(" single batch build filter writes memory ").find(" " + question + " ") != std::string::npos,
            "no question named " + question);
}

// Where the real data is: asked for, by the environment, or beside this project.
std::string default_data_dir() {
  if (const char* named = std::getenv("MNEME_DATA_DIR"); named != nullptr && *named != '\0') return named;
  const fs::path beside = fs::path(MNEME_BENCH_SEARCH_DIR) / "../../../shared/data";
  return fs::exists(beside) ? fs::canonical(beside).string() : std::string();
}

Plan parse(int argc, char** argv) {
  Plan plan;
  plan.data_dir = default_data_dir();
  for (int i = 1; i < argc; ++i)
    if (std::string_view(argv[i]) == "--quick") make_quick(plan);
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--quick") continue;
    if (option == "--help") {
      std::fputs(kUsage, stdout);
      std::exit(0);
    }
    require(i + 1 < argc, option + " needs a value\n" + kUsage);
    set(plan, option, argv[++i]);
  }
  check(plan);
  if (plan.python.empty() && fs::exists("build/bench/venv/bin/python")) plan.python = "build/bench/venv/bin/python";
  return plan;
}

void calibrate(Findings& findings) {
  const unsigned threads = all_cores();
  const double one = read_bandwidth(1) / 1e9, all = read_bandwidth(threads) / 1e9;
  findings.machine = Value::Object{{"cores", static_cast<std::int64_t>(threads)},
                                   {"read_gb_per_s_1_thread", one},
                                   {"read_gb_per_s_all_threads", all}};
  findings.lines.push_back(line("machine: memory read %.1f GB/s on 1 thread, %.1f GB/s on %u", one, all, threads));
  say(findings.lines.back());
}

void report_memory(const Dataset& dataset, const Ours::Loaded& loaded, Findings& findings) {
  findings.lines.push_back(
      line("memory %-18s %.0f bytes per vector in the index, as the space reports it; process grew by "
           "%.0f per row, block caches and hot nodes included",
           dataset.name.c_str(), loaded.index_bytes, loaded.built.bytes_per_vector));
}

void measure(const Plan& plan, Dataset& dataset, Findings& findings) {
  say(dataset.name + ": " + std::to_string(dataset.size()) + " x " + std::to_string(dataset.dimension()));
  Ours ours(dataset, fs::path(plan.out).parent_path().string() + "/search-database");
  const Ours::Loaded loaded = ours.load();
  findings.lines.push_back(
      line("load  %-18s put in %.1f s, searchable at 0.95 at steady speed after %.1f s; %zu rows not "
           "found right after their acknowledgement",
           dataset.name.c_str(), loaded.put_seconds, loaded.built.seconds, loaded.missing));
  say("  " + findings.lines.back());
  if (!dataset.has_truth()) {
    say("  finding the exact answers of " + std::to_string(dataset.truth_queries) + " queries");
    make_truth(dataset, [&](std::size_t query, std::size_t k) {
      return ours.rows_of(dataset.query(query), k, {.target = 1, .filter = {}});
    });
  }
  if (plan.wants("single") || plan.wants("batch") || plan.wants("build"))
    compare_with_peers(plan, ours, loaded, findings);
  if (plan.wants("memory")) report_memory(dataset, loaded, findings);
  if (plan.wants("filter")) measure_filters(plan, ours, loaded, findings);
  if (plan.wants("writes")) measure_writes(plan, ours, findings);
}

}  // namespace

int main(int argc, char** argv) {
  const Plan plan = parse(argc, argv);
  const std::string cache = fs::path(plan.out).parent_path().string() + "/data";
  fs::create_directories(cache);
  Findings findings;
  calibrate(findings);
  if (plan.dataset != "clustered-1m-768") {
    const std::size_t queries = plan.queries == 0 ? 2000 : plan.queries;
    if (auto dataset = wordnet_dataset(plan.data_dir, cache, plan.rows, queries)) measure(plan, *dataset, findings);
  }
  if (plan.dataset != "wordnet-minilm") {
    Dataset dataset =
        clustered_dataset(cache, plan.rows == 0 ? 1'000'000 : plan.rows, plan.queries == 0 ? 1000 : plan.queries);
    measure(plan, dataset, findings);
  }
  print(findings);
  write_files(findings, plan.out);
  if (plan.python.empty() || run({plan.python, MNEME_BENCH_SEARCH_DIR "/plot.py", plan.out}) != 0)
    say("bench: no plots: they take matplotlib, in build/bench/venv");
  return 0;
}
