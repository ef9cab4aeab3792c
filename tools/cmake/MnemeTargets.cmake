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

# What nearly every test reads before its first line is read once: a quarter of the time that a test took to compile. A test
# includes what it uses all the same, and one whose flags differ reads the headers as before.
function(mneme_test_headers)
  if(TARGET mneme_test_headers)
    return()
  endif()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/test_headers.cc CONTENT "")
  add_library(mneme_test_headers OBJECT ${PROJECT_BINARY_DIR}/test_headers.cc)
  # As the tests are: executables, whose code may be position-independent in the executables' way.
  set_target_properties(mneme_test_headers PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(mneme_test_headers PRIVATE -fPIE)
  target_link_libraries(mneme_test_headers PRIVATE mneme_flags GTest::gtest)
  target_precompile_headers(mneme_test_headers PRIVATE <gtest/gtest.h>
    <algorithm> <array> <atomic> <chrono> <cstdint> <filesystem> <fstream> <functional> <map> <memory> <mutex> <optional>
    <random> <set> <span> <sstream> <string> <string_view> <thread> <tuple> <unordered_map> <utility> <variant> <vector>)
endfunction()

# mneme_test(NAME storage_wal SOURCES wal_test.cc LIBS mneme::storage [LABELS concurrent] [INSIDE storage])
# One executable, one ctest entry per file of tests. Label `concurrent` is what the thread sanitizer runs.
# INSIDE: it includes what those folders keep to themselves.
function(mneme_test)
  cmake_parse_arguments(T "" "NAME;TIMEOUT" "SOURCES;LIBS;LABELS;INSIDE" ${ARGN})
  add_executable(test_${T_NAME} ${T_SOURCES})
  target_link_libraries(test_${T_NAME} PRIVATE ${T_LIBS} mneme_flags GTest::gtest GTest::gtest_main)
  target_include_directories(test_${T_NAME} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support)
  foreach(folder ${T_INSIDE})
    target_include_directories(test_${T_NAME} PRIVATE ${PROJECT_SOURCE_DIR}/${folder}/src)
  endforeach()
  mneme_test_headers()
  target_precompile_headers(test_${T_NAME} REUSE_FROM mneme_test_headers)
  # So that ccache sees which headers are in there.
  target_compile_options(test_${T_NAME} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
  add_test(NAME ${T_NAME} COMMAND test_${T_NAME} --gtest_brief=1)
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  set_tests_properties(${T_NAME} PROPERTIES LABELS "${T_LABELS}" TIMEOUT ${T_TIMEOUT}
    ENVIRONMENT "MNEME_DATA_DIR=${MNEME_DATA_DIR}")
endfunction()
