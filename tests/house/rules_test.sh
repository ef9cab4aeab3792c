#!/usr/bin/env bash
# The house rules refuse what they say they refuse: each breach is planted in a small tree of its own and must be
# found at its line, and the tree without it must pass.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0

clean_tree() {
  rm -rf "${tree:?}"/*
  local folder
  for folder in storage index engine migration bench tests tools; do
    mkdir -p "$tree/$folder"
    echo "One page." >"$tree/$folder/README.md"
  done
}

# plant FILE LINE...: a file of these lines in the tree.
plant() {
  local file=$tree/$1
  shift
  mkdir -p "$(dirname "$file")"
  printf '%s\n' "$@" >"$file"
}

# expect_refused AT RULE: the tree breaks RULE at AT (file:line), and nothing else.
expect_refused() {
  local output
  output=$("$here/rules.sh" "$tree" 2>&1) && { echo "not refused: $1 [$2]"; failed=1; return; }
  if [[ $(wc -l <<<"$output") != 1 || $output != "$1: [$2] "* ]]; then
    echo "expected one line, $1: [$2], and got:"
    echo "$output"
    failed=1
  fi
}

# refuses AT RULE LINE: the line, as the third of the file named in AT, breaks RULE there.
refuses() {
  clean_tree
  plant "${1%%:*}" "// A file with one breach, for the rules to find." "#pragma once" "$3"
  expect_refused "$1" "$2"
}

accepts() {
  clean_tree
  plant "$1" "// A file without a breach, for the rules to pass." "#pragma once" "$2"
  local output
  output=$("$here/rules.sh" "$tree" 2>&1) || { echo "refused $1 for: $2"; echo "$output"; failed=1; }
}

refuses storage/base/src/a.cc:3 folders '#include "mneme/storage/wal.h"'
refuses storage/base/src/a.cc:3 folders '#include "mneme/database.h"'
refuses storage/src/a.cc:3 folders '#include "mneme/index/kernels.h"'
refuses index/src/a.cc:3 folders '#include "mneme/storage/wal.h"'
refuses engine/src/a.cc:3 folders '#include <mneme/migration/migrator.h>'
refuses storage/src/a.cc:3 folders '#include "../base/src/private.h"'
accepts engine/src/a.cc '#include "mneme/storage/wal.h"'
accepts migration/src/a.cc '#include "mneme/database.h"'
accepts tests/storage/a.cc '#include "mneme/migration/migrator.h"'

refuses engine/include/mneme/a.h:3 installed '#include "mneme/storage/wal.h"'
accepts engine/include/mneme/a.h '#include "mneme/base/result.h"'

refuses engine/src/a.cc:3 libraries '#include <rocksdb/db.h>'
refuses storage/src/a.cc:3 libraries '#include <openssl/evp.h>'
refuses storage/src/a.cc:3 libraries '#  include <simdjson.h>'
refuses migration/src/a.cc:3 libraries '#include <CLI/CLI.hpp>'
refuses storage/include/mneme/storage/a.h:3 libraries '#include <rocksdb/db.h>'
accepts storage/src/a.cc '#include <rocksdb/db.h>'
accepts index/src/a.cc '#include <hwy/highway.h>'
accepts tests/storage/a.cc '#include <rocksdb/db.h>'

refuses engine/src/a.cc:3 prints 'std::cout << 1;'
refuses engine/src/a.cc:3 prints 'std::fprintf(stderr, "x");'
accepts engine/src/a.cc 'std::snprintf(to, 4, "std::cout");  // not std::cerr'
accepts tools/a.cc 'std::cout << 1;'

refuses storage/src/wal.cc:3 system '#include <fcntl.h>'
refuses storage/src/wal.cc:3 system 'const int fd = ::open(path, 0);'
refuses storage/src/wal.cc:3 system 'if (fsync(fd) != 0) return;'
refuses engine/src/a.cc:3 system 'const auto now = std::chrono::system_clock::now();'
refuses engine/src/a.cc:3 system 'std::filesystem::remove_all(path);'
accepts storage/src/posix_file_system.cc 'const int fd = ::open(path, 0);'
accepts storage/src/wal.cc 'Status opened = Wal::open(path); file->write(bytes); std::filesystem::path p;'

refuses tests/base/a.cc:3 tests 'TEST(Wal, DISABLED_Replays) {}'
refuses tests/base/a.cc:3 tests 'std::this_thread::sleep_for(1ms);'
refuses engine/src/a.cc:3 later '// TO''DO: the rest'

clean_tree
plant index/include/mneme/index/a.h "#pragma once" "int a();"
expect_refused index/include/mneme/index/a.h:1 purpose

clean_tree
plant index/include/mneme/index/a.h "// A header that may be read twice." "int a();"
expect_refused index/include/mneme/index/a.h:1 guard

clean_tree
plant index/src/a-inl.h "// A part that is read once for each instruction set." "#pragma once" "int a();"
expect_refused index/src/a-inl.h:1 guard

clean_tree
mapfile -t lines < <(seq 501)
plant index/src/a.cc "${lines[@]}"
expect_refused index/src/a.cc:501 length

clean_tree
plant index/CMakeLists.txt "file(GLOB sources src/*.cc)"
expect_refused index/CMakeLists.txt:1 cmake

clean_tree
rm "$tree/engine/README.md"
expect_refused engine:1 readme

clean_tree
plant tests/package/main.cc "int main() {}"
plant README.md "One line of use:" "\`\`\`cpp" "int main() { return 0; }" "\`\`\`"
expect_refused README.md:2 example

[[ $failed == 0 ]] && echo "every rule refuses its breach and passes what is right"
exit $failed
