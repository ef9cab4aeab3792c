#!/usr/bin/env bash
# The house rules of Mneme that a compiler does not check.
#
#   tests/house/rules.sh [ROOT]      prints `file:line: what is wrong` for each breach; exit 1 if there is any
#
# What stands on the right of this list may include what stands on its left; storage and index do not know each other:
#   base, storage | index, engine, migration, then tools, bench and tests.
# Exceptions are named, each with its reason, in allowed.txt beside this script.
set -euo pipefail
allowed=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/allowed.txt
readonly allowed
cd "${1:-.}"

readonly product='^(storage|index|engine|migration)/'
readonly file_lines_max=500

breaches=$(mktemp)
code=$(mktemp)
trap 'rm -f "$breaches" "$code"' EXIT

breach() { echo "$1" >>"$breaches"; }

# Files of the project whose name matches an extended regular expression, one a line: what git knows and what is new,
# without what is ignored.
files() {
  if git rev-parse --git-dir >/dev/null 2>&1; then
    git ls-files --cached --others --exclude-standard
  else
    find . -type f -not -path './build/*' -not -path './.git/*' | sed 's|^\./||'
  fi | sort | { grep -E "$1" || true; } | while read -r file; do
    [[ ! -f $file ]] || echo "$file"
  done
}

# What a rule looks at: `file:line: code` of every C++ line, its comments and the contents of its strings removed, so
# that a word in a sentence breaks no rule. The name in an #include stays.
read_code() {
  # shellcheck disable=SC2016
  files '\.(cc|h)$' | tr '\n' '\0' | xargs -0 --no-run-if-empty awk '
    FNR == 1 { in_comment = 0 }
    {
      line = $0
      if (line !~ /^[ \t]*#[ \t]*include/) {
        gsub(/\\./, "", line)
        gsub(/"[^"]*"/, "\"\"", line)
      }
      if (in_comment) {
        if (!sub(/^.*\*\//, "", line)) line = ""
        else in_comment = 0
      }
      sub(/\/\/.*$/, "", line)
      gsub(/\/\*([^*]|\*[^\/])*\*\//, "", line)
      if (sub(/\/\*.*$/, "", line)) in_comment = 1
      if (line !~ /^[ \t]*$/) print FILENAME ":" FNR ": " line
    }' >"$code"
}

# is_allowed RULE FILE
is_allowed() {
  awk -v rule="$1" -v file="$2" '!/^#/ && $1 == rule && $2 == file { found = 1 } END { exit !found }' "$allowed"
}

# forbid RULE WHERE WHAT MESSAGE [HOME]: no line of code in files matching WHERE may match WHAT, unless it is in HOME
# or allowed by name.
forbid() {
  local rule=$1 where=$2 what=$3 message=$4 home=${5:-^$} hit file line
  { grep -E "$where" "$code" || true; } | { grep -E "^[^:]*:[0-9]+:.*($what)" || true; } | { grep -vE "$home" || true; } |
    while IFS= read -r hit; do
      file=${hit%%:*}
      line=${hit#*:}
      line=${line%%:*}
      is_allowed "$rule" "$file" || breach "$file:$line: [$rule] $message"
    done
}

# --- who may include whom ---------------------------------------------------------------------------------------------

readonly include='#[[:space:]]*include[[:space:]]*["<]'
readonly engine_header='mneme/[a-z_]+\.h'

folders_stay_in_order() {
  local message="includes a folder that does not stand left of its own"
  forbid folders '^storage/base/' "$include(mneme/(storage|index|migration)/|$engine_header)" "$message"
  forbid folders '^storage/(include|src)/' "$include(mneme/(index|migration)/|$engine_header)" "$message"
  forbid folders '^index/' "$include(mneme/(storage|migration)/|$engine_header)" "$message"
  forbid folders '^engine/' "${include}mneme/migration/" "$message"
  forbid folders "$product|^(tools|bench)/" "$include(\.\./|tests/)" "includes by a path out of its folder"
}

# Installed headers (base, engine, migration) show only installed headers: the others do not exist for a user.
installed_headers_show_installed_headers() {
  forbid installed '^(storage/base|engine|migration)/include/' "${include}mneme/(storage|index)/" \
    "an installed header includes one that is not installed"
}

# --- each library in one folder ---------------------------------------------------------------------------------------

# Tests and benches may use a library to check or to measure against it.
libraries_stay_at_home() {
  local library home
  while read -r library home; do
    forbid libraries "$product|^tools/" "$include$library" "includes $library outside $home" "^$home"
  done <<'EOF'
rocksdb/ storage/src/
cereal/ storage/src/
openssl/ storage/base/src/
simdjson storage/base/src/
xxh storage/base/src/
isa-l storage/base/src/
hwy/ index/src/
faiss/ index/src/
CLI/ tools/
EOF
}

# --- the world outside ------------------------------------------------------------------------------------------------

nothing_prints() {
  forbid prints "$product" '(^|[^A-Za-z0-9_])(std::(cout|cerr|clog)|(printf|fprintf|vfprintf|puts|fputs|putchar|perror|syslog)\()' \
    "prints; return an error or a number instead"
  forbid prints "$product" "$include(iostream|print|syslog\.h)>" "includes a header to print with"
}

# Files, time and chance are injected (mneme/storage/file_system.h, mneme/base/clock.h).
nothing_calls_the_system() {
  local system_headers='fcntl\.h|unistd\.h|dirent\.h|time\.h|fstream|ctime|sys/[a-z_]+\.h|linux/[a-z_]+\.h'
  forbid system "$product" "$include($system_headers)>" \
    "includes a system header; go through FileSystem or Clock"
  forbid system "$product" '(^|[^A-Za-z0-9_>])::(open|openat|creat|close|read|write|rename|unlink|remove|mkdir|rmdir|stat|fstat|time|rand|random|sleep)\(' \
    "calls the operating system; go through FileSystem or Clock"
  forbid system "$product" '(^|[^A-Za-z0-9_.>])(std::)?(fopen|fsync|fdatasync|pread|pwrite|pwritev|writev|ftruncate|fallocate|mmap|munmap|flock|gettimeofday|clock_gettime|getrandom|usleep|nanosleep|statvfs|getenv)\(' \
    "calls the operating system; go through FileSystem or Clock"
  forbid system "$product" 'std::filesystem::(exists|status|create_director|remove|rename|copy|file_size|resize_file|last_write_time|space|directory_iterator|recursive_directory_iterator|is_[a-z_]+|current_path|temp_directory_path|canonical|permissions)' \
    "touches files; go through FileSystem"
  forbid system "$product" '(system|steady|high_resolution)_clock::now|std::random_device|std::rand\(|std::time\(|sleep_(for|until)' \
    "asks the system for time or chance; go through Clock or Random"
}

# --- how files look ---------------------------------------------------------------------------------------------------

headers_state_their_purpose() {
  local file
  while read -r file; do
    [[ $(head -n 1 "$file") =~ ^//\ .{10,} ]] || breach "$file:1: [purpose] the first line does not say what the file is for"
    if [[ $file == *-inl.h ]]; then  # read once for each instruction set, by Highway's guard
      grep -q 'defined(HWY_TARGET_TOGGLE)$' "$file" || breach "$file:1: [guard] no HWY_TARGET_TOGGLE"
    else
      grep -q '^#pragma once$' "$file" || breach "$file:1: [guard] no #pragma once"
    fi
  done < <(files '\.h$')
}

files_stay_short() {
  local file count
  while read -r file; do
    count=$(wc -l <"$file")
    [[ $count -le $file_lines_max ]] || breach "$file:$count: [length] $count lines; split what has $file_lines_max or more"
  done < <(files '(\.(cc|h|sh|cmake)|CMakeLists\.txt|^x|^tools/(demo|check))$')
}

nothing_is_left_for_later() {
  local hit word='TO''DO|FIX''ME|XX''X|HA''CK'
  files '(\.(cc|h|sh|cmake|txt|in|md)|^x|^\.ci/run|^tools/(demo|check))$' | tr '\n' '\0' |
    { xargs -0 --no-run-if-empty grep -nHwE "$word" || true; } | while IFS= read -r hit; do
      breach "$(cut -d: -f1-2 <<<"$hit"): [later] left for later; do it or write an issue"
    done
}

sources_are_listed() {
  local hit
  files '(CMakeLists\.txt|\.cmake)$' | { grep -vE '^tests/(house|package)/' || true; } | tr '\n' '\0' |
    { xargs -0 --no-run-if-empty grep -nHE 'file\( *GLOB|^[[:space:]]*(include_directories|link_libraries) *\(' || true; } |
    while IFS= read -r hit; do
      breach "$(cut -d: -f1-2 <<<"$hit"): [cmake] list sources and say what a target needs, by name"
    done
}

no_test_is_asleep() {
  forbid tests '^tests/' '(^|[^A-Za-z0-9_])(DISABLED_|GTEST_DISABLE|sleep_(for|until)\(|usleep\()' \
    "a disabled test, or one that waits by the clock"
}

folders_introduce_themselves() {
  local folder
  for folder in storage index engine migration bench tests tools; do
    [[ -s $folder/README.md ]] || breach "$folder:1: [readme] no README.md of one page"
  done
}

# The first C++ block of README.md is the program that tests/package builds and runs.
# shellcheck disable=SC2016
readme_shows_what_is_tested() {
  local example=tests/package/main.cc
  [[ -f $example ]] || return 0
  if [[ ! -f README.md ]]; then
    breach "README.md:1: [example] no README.md"
  elif ! sed -n '/^```cpp$/,/^```$/p' README.md | sed '/^```cpp$/d; /^```$/,$d' | cmp -s - "$example"; then
    breach "README.md:$(grep -n -m 1 '^```cpp$' README.md | cut -d: -f1): [example] the first C++ block is not $example"
  fi
}

read_code
folders_stay_in_order
installed_headers_show_installed_headers
libraries_stay_at_home
nothing_prints
nothing_calls_the_system
headers_state_their_purpose
files_stay_short
nothing_is_left_for_later
sources_are_listed
no_test_is_asleep
folders_introduce_themselves
readme_shows_what_is_tested

if [[ -s $breaches ]]; then
  sort -t: -k1,1 -k2,2n -u "$breaches"
  exit 1
fi
