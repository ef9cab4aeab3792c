// A built-in embedder, so that everything can be tried with no model at hand.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mneme {

/// Name stored with vectors that it made (Node::embedder).
inline constexpr std::string_view kHashEmbedderName = "mneme-hash-1";

/// Character n-grams (3 to 5, over lower-cased words with their borders) and whole words, hashed with XXH3 into
/// `dimension` signed buckets, weights damped by square root, L2-normalised. Deterministic on every machine; the zero
/// vector for a text without letters or digits. Finds shared words and word parts, not meaning.
/// Source: feature hashing, Weinberger et al., arXiv:0902.2206. Cost: about 10 ns per n-gram. Threads: any.
std::vector<float> hash_embedding(std::string_view text, std::size_t dimension);

}  // namespace mneme
