// One migration in a process of its own, so that a test can have it killed at a failpoint (environment variable
// MNEME_FAILPOINTS): migrate_once DIRECTORY SEED MEMORIES WORKERS.
#include <cstdio>
#include <cstdlib>

#include "migrator_fixture.h"

namespace {

using namespace mneme;
using namespace mneme::migration;

Status run(const std::filesystem::path& directory, std::uint64_t seed, std::size_t memories, unsigned workers) {
  const std::unique_ptr<Random> random = seeded_random(seed);
  MemorySource source;
  MNEME_TRY(source.put(tricky_memories(*random, memories, kTestDimension)));
  MNEME_ASSIGN(const auto database, Database::open(directory));
  MNEME_ASSIGN(const Space space, database->space(kTestSpace));
  MigrationOptions options;
  options.resume = true;
  options.parallel_workers = workers;
  options.batch_size = 16;
  options.partitions = 5;
  MNEME_TRY(migrate_offline(source, *database, space, directory, options).status());
  return database->close();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const Status ran = run(argv[1], std::strtoull(argv[2], nullptr, 10), std::strtoull(argv[3], nullptr, 10),
                         static_cast<unsigned>(std::strtoul(argv[4], nullptr, 10)));
  if (!ran) std::fprintf(stderr, "migrate_once: %s\n", ran.to_string().c_str());
  return ran ? 0 : 1;
}
