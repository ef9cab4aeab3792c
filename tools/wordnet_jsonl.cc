// mneme-wordnet: makes JSONL memories from the WordNet 3.0 database files (Debian package wordnet-base).
//
//   mneme-wordnet WORDNET_DIR OUT.jsonl
//
// One memory for each of the 117,659 synsets, in the order of data.noun, data.verb, data.adj, data.adv:
//
//   id            part of speech (n v a r; satellites are a) and the eight digits of the synset's offset
//   content       "lemma, lemma, ...: definition", the first four lemmas, the definition without its examples
//   metadata      pos, lexname (lexicographer file), lemmas (all), hypernyms (ids), links ([pointer symbol, id])
//   created_at, activation, confidence, access_count, decay_rate
//                 made up from the offset, always the same, so that a conversion has something to carry
//
// The format of the data files: wndb(5WN), https://wordnet.princeton.edu/documentation/wndb5wn.

#include <array>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "mneme/base/json.h"
#include "mneme/base/result.h"
#include "mneme/base/time.h"

namespace {

using mneme::Code;
using mneme::Result;
using mneme::Status;

// By lexicographer file number; lexnames(5WN).
constexpr std::array<std::string_view, 45> kLexnames = {"adj.all",          "adj.pert",           "adv.all",
                                                        "noun.Tops",        "noun.act",           "noun.animal",
                                                        "noun.artifact",    "noun.attribute",     "noun.body",
                                                        "noun.cognition",   "noun.communication", "noun.event",
                                                        "noun.feeling",     "noun.food",          "noun.group",
                                                        "noun.location",    "noun.motive",        "noun.object",
                                                        "noun.person",      "noun.phenomenon",    "noun.plant",
                                                        "noun.possession",  "noun.process",       "noun.quantity",
                                                        "noun.relation",    "noun.shape",         "noun.state",
                                                        "noun.substance",   "noun.time",          "verb.body",
                                                        "verb.change",      "verb.cognition",     "verb.communication",
                                                        "verb.competition", "verb.consumption",   "verb.contact",
                                                        "verb.creation",    "verb.emotion",       "verb.motion",
                                                        "verb.perception",  "verb.possession",    "verb.social",
                                                        "verb.stative",     "verb.weather",       "adj.ppl"};

constexpr std::size_t kLemmasInContent = 4;

struct Link {
  std::string symbol;
  std::string target;
};

struct Synset {
  std::string id;
  std::uint64_t offset = 0;
  char part_of_speech = 'n';
  std::string_view lexname;
  std::vector<std::string> lemmas;
  std::vector<std::string> hypernyms;
  std::vector<Link> links;
  std::string definition;
};

// A satellite adjective ('s') is an adjective: both are lines of data.adj, which one offset addresses.
std::string id_of(char part_of_speech, std::string_view offset) {
  return (part_of_speech == 's' ? 'a' : part_of_speech) + std::string(offset);
}

std::string_view trimmed(std::string_view text, std::string_view what) {
  const std::size_t begin = text.find_first_not_of(what);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(what) - begin + 1);
}

// A gloss is a definition and, in quotes and after semicolons, examples. An example and what follows its closing quote,
// such as the author, go up to the next semicolon; a quote that is never closed takes the rest.
std::string definition_of(std::string_view gloss) {
  std::string kept;
  while (true) {
    const std::size_t open = gloss.find('"');
    if (open == std::string_view::npos) break;
    const std::string_view before = gloss.substr(0, open);
    const std::size_t last = before.find_last_not_of("; \t");
    kept += before.substr(0, last == std::string_view::npos ? 0 : last + 1);
    const std::size_t close = gloss.find('"', open + 1);
    const std::size_t next = close == std::string_view::npos ? close : gloss.find(';', close);
    gloss = next == std::string_view::npos ? std::string_view{} : gloss.substr(next);
  }
  kept += gloss;
  return std::string(trimmed(kept, " ;\""));
}

// "ready_to_hand(p)" is "ready to hand", used after the noun; only adjectives have such markers.
std::string lemma_of(std::string_view word) {
  for (const std::string_view marker : {"(a)", "(p)", "(ip)"}) {
    if (word.ends_with(marker)) word.remove_suffix(marker.size());
  }
  std::string lemma(word);
  for (char& c : lemma) {
    if (c == '_') c = ' ';
  }
  return lemma;
}

// Takes the fields before the gloss, one after the other; what is missing or is no number makes it bad for good.
class Fields {
 public:
  explicit Fields(std::string_view text) : stream_(std::string(text)) {}

  std::string word() {
    std::string field;
    stream_ >> field;
    return field;
  }

  std::uint64_t number(int base) {
    const std::string field = word();
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value, base);
    if (field.empty() || error != std::errc() || end != field.data() + field.size()) {
      stream_.setstate(std::ios::failbit);
      return 0;
    }
    return value;
  }

  bool ok() const { return !stream_.fail(); }

 private:
  std::istringstream stream_;
};

// synset_offset lex_filenum ss_type w_cnt word lex_id [word lex_id...] p_cnt [ptr...] [frames...] | gloss
Result<Synset> parse_synset(std::string_view line) {
  const std::size_t bar = line.find('|');
  if (bar == std::string_view::npos) return {Code::InvalidArgument, "no '|' before the gloss"};
  Fields fields(line.substr(0, bar));
  Synset synset;

  const std::string offset = fields.word();
  const auto [end, error] = std::from_chars(offset.data(), offset.data() + offset.size(), synset.offset);
  if (offset.size() != 8 || error != std::errc() || end != offset.data() + offset.size()) {
    return {Code::InvalidArgument, "offset '" + offset + "' is not eight digits"};
  }
  const std::uint64_t lexname = fields.number(10);
  if (lexname >= kLexnames.size()) return {Code::InvalidArgument, "unknown lexicographer file"};
  synset.lexname = kLexnames[lexname];
  const std::string kind = fields.word();
  if (kind.size() != 1) return {Code::InvalidArgument, "synset type '" + kind + "' is not one letter"};
  synset.id = id_of(kind.front(), offset);
  synset.part_of_speech = synset.id.front();

  for (std::uint64_t left = fields.number(16); left > 0 && fields.ok(); --left) {
    synset.lemmas.push_back(lemma_of(fields.word()));
    fields.word();  // lex_id
  }
  for (std::uint64_t left = fields.number(10); left > 0 && fields.ok(); --left) {
    const std::string symbol = fields.word();
    const std::string target = fields.word();
    const std::string target_kind = fields.word();
    fields.word();  // which lemma of which end: the memories link synsets
    if (!fields.ok()) break;
    const std::string id = id_of(target_kind.front(), target);
    if (symbol == "@" || symbol == "@i") {
      synset.hypernyms.push_back(id);
    } else {
      synset.links.push_back({symbol, id});
    }
  }
  if (!fields.ok() || synset.lemmas.empty()) return {Code::InvalidArgument, "fields end early or hold no number"};
  synset.definition = definition_of(line.substr(bar + 1));
  return synset;
}

void append_strings(const std::vector<std::string>& strings, std::string& out) {
  out += '[';
  for (std::size_t i = 0; i < strings.size(); ++i) {
    if (i > 0) out += ',';
    mneme::append_json_string(strings[i], out);
  }
  out += ']';
}

// What WordNet does not know of: when it was learned and how it is used. Spread over half a year and over the ranges.
void append_made_up_members(std::uint64_t offset, std::string& out) {
  constexpr std::chrono::sys_days kFirst = std::chrono::year{2025} / std::chrono::January / 1;
  const auto created = kFirst + std::chrono::seconds(offset) + std::chrono::microseconds(offset * 7919 % 1'000'000);
  const auto hundredths = [](std::uint64_t value) { return static_cast<double>(value) / 100.0; };
  out += R"(,"created_at":)";
  mneme::append_json_string(mneme::format_rfc3339(created), out);
  out += R"(,"activation":)";
  mneme::append_json_double(hundredths(offset % 101), out);
  out += R"(,"confidence":)";
  mneme::append_json_double(hundredths(50 + offset % 51), out);
  out += R"(,"access_count":)" + std::to_string(offset % 17);
  out += R"(,"decay_rate":)";
  mneme::append_json_double(hundredths(1 + offset % 20), out);
}

std::string memory_of(const Synset& synset) {
  std::string content;
  for (std::size_t i = 0; i < synset.lemmas.size() && i < kLemmasInContent; ++i) {
    content += (i > 0 ? ", " : "") + synset.lemmas[i];
  }
  content += ": " + synset.definition;

  std::string out = R"({"id":")" + synset.id + R"(","content":)";
  mneme::append_json_string(content, out);
  out += R"(,"metadata":{"pos":")";
  out += synset.part_of_speech;
  out += R"(","lexname":")";
  out += synset.lexname;
  out += R"(","lemmas":)";
  append_strings(synset.lemmas, out);
  out += R"(,"hypernyms":)";
  append_strings(synset.hypernyms, out);
  out += R"(,"links":[)";
  for (std::size_t i = 0; i < synset.links.size(); ++i) {
    if (i > 0) out += ',';
    append_strings({synset.links[i].symbol, synset.links[i].target}, out);
  }
  out += "]}";
  append_made_up_members(synset.offset, out);
  out += '}';
  return out;
}

Result<std::uint64_t> convert_file(const std::string& path, std::ostream& out) {
  std::ifstream in(path);
  if (!in) return {Code::NotFound, path + " cannot be opened; it is in the Debian package wordnet-base"};
  std::uint64_t synsets = 0, number = 0;
  std::string line;
  while (std::getline(in, line)) {
    ++number;
    if (line.starts_with("  ")) continue;  // the licence, at the head of every file
    const Result<Synset> synset = parse_synset(line);
    if (!synset) return synset.status().with_context(path + ":" + std::to_string(number));
    out << memory_of(*synset) << '\n';
    ++synsets;
  }
  if (in.bad()) return {Code::IoError, path + ": reading failed after line " + std::to_string(number)};
  return synsets;
}

Result<std::uint64_t> convert(const std::string& wordnet, const std::string& target) {
  std::ofstream out(target, std::ios::binary | std::ios::trunc);
  if (!out) return {Code::IoError, target + " cannot be opened for writing"};
  std::uint64_t synsets = 0;
  for (const char* part : {"noun", "verb", "adj", "adv"}) {
    MNEME_ASSIGN(const std::uint64_t converted, convert_file(wordnet + "/data." + part, out));
    synsets += converted;
  }
  out.close();
  if (!out) return {Code::IoError, target + ": writing failed"};
  return synsets;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: mneme-wordnet WORDNET_DIR OUT.jsonl\n";
    return 2;
  }
  const Result<std::uint64_t> synsets = convert(argv[1], argv[2]);
  if (!synsets) {
    std::cerr << "mneme-wordnet: " << synsets.status().to_string() << '\n';
    return 1;
  }
  std::cout << *synsets << " memories in " << argv[2] << '\n';
  return 0;
}
