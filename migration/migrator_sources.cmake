# The offline migrator.
target_sources(mneme_migration PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/src/backfill.cc
  ${CMAKE_CURRENT_LIST_DIR}/src/migrator.cc
  ${CMAKE_CURRENT_LIST_DIR}/src/plan.cc
  ${CMAKE_CURRENT_LIST_DIR}/src/side_entries.cc
  ${CMAKE_CURRENT_LIST_DIR}/src/verify.cc
  ${CMAKE_CURRENT_LIST_DIR}/src/workers.cc)
