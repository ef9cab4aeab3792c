# The migrator. It is tested from within as well: its private headers are in migration/src.
add_executable(migrate_once migrate_once.cc migrator_source.cc)
target_link_libraries(migrate_once PRIVATE mneme_flags mneme::mneme mneme::migration GTest::gtest)
target_include_directories(migrate_once PRIVATE ${PROJECT_SOURCE_DIR}/tests/support)

foreach(name side_entries workers)
  mneme_test(NAME migration_migrator_${name}
    SOURCES migrator_${name}_test.cc
    LIBS mneme::mneme mneme::migration)
  target_include_directories(test_migration_migrator_${name} PRIVATE ${PROJECT_SOURCE_DIR}/migration/src)
endforeach()
set_tests_properties(migration_migrator_workers PROPERTIES LABELS concurrent)

mneme_test(NAME migration_migrator
  SOURCES migrator_test.cc migrator_fixture.cc migrator_source.cc
  LIBS mneme::mneme mneme::migration mneme::storage
  LABELS concurrent)
mneme_test(NAME migration_migrator_verify
  SOURCES migrator_verify_test.cc migrator_fixture.cc migrator_source.cc
  LIBS mneme::mneme mneme::migration mneme::storage)
mneme_test(NAME migration_migrator_resume
  SOURCES migrator_resume_test.cc migrator_fixture.cc migrator_source.cc
  LIBS mneme::mneme mneme::migration mneme::storage)
target_compile_definitions(test_migration_migrator_resume PRIVATE MNEME_MIGRATE_ONCE="$<TARGET_FILE:migrate_once>")
add_dependencies(test_migration_migrator_resume migrate_once)
