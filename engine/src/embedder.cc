#include "mneme/embedder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "mneme/base/bytes.h"
#include "mneme/base/checksum.h"

namespace mneme {
namespace {

constexpr std::size_t kGramMin = 3, kGramMax = 5;
// A whole word says more than its parts.
constexpr float kWordWeight = 3.0F;

bool is_word_byte(unsigned char byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || byte >= 0x80;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Length of the UTF-8 sequence that starts with `lead`; 1 for bytes that start none.
std::size_t sequence_bytes(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
}

class Counter {
 public:
  void add(std::string_view gram, std::uint64_t seed, float weight) {
    grams_.emplace_back(xxh3_64(as_bytes(gram), seed), weight);
  }

  // `word` with a border on each side.
  void add_word(std::string_view word) {
    add(word, 0, kWordWeight);
    std::vector<std::size_t> starts;  // of characters
    for (std::size_t at = 0; at < word.size(); at += sequence_bytes(word[at])) starts.push_back(at);
    starts.push_back(word.size());
    for (std::size_t length = kGramMin; length <= kGramMax; ++length)
      for (std::size_t first = 0; first + length < starts.size(); ++first)
        add(word.substr(starts[first], std::min(starts[first + length], word.size()) - starts[first]), length, 1.0F);
  }

  std::vector<float> fold(std::size_t dimension) {
    // In order of their hashes, so that every machine adds in the same order.
    std::sort(grams_.begin(), grams_.end());
    std::vector<double> sums(dimension, 0.0);
    for (std::size_t i = 0; i < grams_.size();) {
      const std::uint64_t hash = grams_[i].first;
      double count = 0;
      for (; i < grams_.size() && grams_[i].first == hash; ++i) count += grams_[i].second;
      const double weight = std::sqrt(count);
      sums[(hash >> 1) % dimension] += (hash & 1) != 0 ? weight : -weight;
    }
    double squared = 0;
    for (const double sum : sums) squared += sum * sum;
    std::vector<float> embedding(dimension, 0.0F);
    if (squared > 0)
      for (std::size_t i = 0; i < dimension; ++i) embedding[i] = static_cast<float>(sums[i] / std::sqrt(squared));
    return embedding;
  }

 private:
  std::vector<std::pair<std::uint64_t, float>> grams_;
};

}  // namespace

std::vector<float> hash_embedding(std::string_view text, std::size_t dimension) {
  if (dimension == 0) return {};
  Counter counter;
  std::string word;
  const auto finish = [&] {
    if (word.size() > 1) counter.add_word(word + "$");
    word = "^";
  };
  word = "^";
  for (const char c : text) {
    const char folded = lower(c);
    if (is_word_byte(static_cast<unsigned char>(folded)))
      word.push_back(folded);
    else
      finish();
  }
  finish();
  return counter.fold(dimension);
}

}  // namespace mneme
