# What every target of Mneme is compiled with, and the shape of a test.

add_library(mneme_flags INTERFACE)
target_compile_options(mneme_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers -Wnon-virtual-dtor -Wold-style-cast
  -Woverloaded-virtual -Werror=unused-result -Werror=return-type
  -fstack-protector-strong
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
  $<$<CONFIG:Release>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
target_link_options(mneme_flags INTERFACE -Wl,-z,relro,-z,now)
if(MNEME_SANITIZE)
  target_compile_options(mneme_flags INTERFACE -fsanitize=${MNEME_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(mneme_flags INTERFACE -fsanitize=${MNEME_SANITIZE})
endif()

# mneme_test(NAME storage_wal SOURCES wal_test.cc LIBS mneme::storage [LABELS concurrent])
# One executable, one ctest entry per file of tests. Label `concurrent` is what the thread sanitizer runs.
function(mneme_test)
  cmake_parse_arguments(T "" "NAME;TIMEOUT" "SOURCES;LIBS;LABELS" ${ARGN})
  add_executable(test_${T_NAME} ${T_SOURCES})
  target_link_libraries(test_${T_NAME} PRIVATE ${T_LIBS} mneme_flags GTest::gtest GTest::gtest_main)
  target_include_directories(test_${T_NAME} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support)
  add_test(NAME ${T_NAME} COMMAND test_${T_NAME} --gtest_brief=1)
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  set_tests_properties(${T_NAME} PROPERTIES LABELS "${T_LABELS}" TIMEOUT ${T_TIMEOUT}
    ENVIRONMENT "MNEME_DATA_DIR=${MNEME_DATA_DIR}")
endfunction()
