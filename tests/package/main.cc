#include <mneme/mneme.h>

#include <iostream>

using namespace mneme;

Status remember(const char* directory) {
  MNEME_ASSIGN(const auto database, Database::open(directory, {.create_if_missing = true}));
  MNEME_ASSIGN(const Space space, database->create_space("ada"));
  for (const char* text : {"The ferry leaves at nine.", "Ada prefers tea to coffee.", "The cat is called Bo."}) {
    Node node;
    node.content = text;
    node.vectors = {{GenerationId{0}, hash_embedding(text, 384)}};
    MNEME_TRY(space.put(node).status());
  }
  MNEME_ASSIGN(const auto hits, space.search({.vector = hash_embedding("Tea or coffee?", 384), .k = 1}));
  for (const SearchHit& hit : hits) std::cout << hit.score << "  " << hit.node->content().value_or("") << '\n';
  return database->close();
}

int main(int argc, char** argv) {
  const Status status = remember(argc > 1 ? argv[1] : "agent.mneme");
  if (!status) std::cerr << status.to_string() << '\n';
  return status ? 0 : 1;
}
