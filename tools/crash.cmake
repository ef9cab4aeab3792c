# mneme-crash: kills writers and migrations at random moments and counts what is lost.
find_package(CLI11 REQUIRED)

add_executable(mneme-crash
  src/crash/main.cc
  src/crash/check.cc
  src/crash/index_cycles.cc
  src/crash/index_flips.cc
  src/crash/indexed_check.cc
  src/crash/indexed_workload.cc
  src/crash/migration_cycles.cc
  src/crash/process.cc
  src/crash/workload.cc
  src/crash/write_cycles.cc)
target_link_libraries(mneme-crash PRIVATE mneme::mneme mneme::migration mneme_flags CLI11::CLI11)
