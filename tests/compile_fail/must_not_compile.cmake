# Compiles CASE twice. With MNEME_RIGHT defined it is correct and must compile, so that the second time can fail only
# for what it is about. Without, it must be refused with a message that matches the regular expression in its line
# `// expect: ...`.
#
#   cmake -DCXX=c++ -DCASE=case.cc -DINCLUDE=DIR -P must_not_compile.cmake

file(STRINGS ${CASE} expected REGEX "^// expect: ")
string(REGEX REPLACE "^// expect: " "" expected "${expected}")
if(expected STREQUAL "")
  message(FATAL_ERROR "${CASE} has no line `// expect: REGEX`")
endif()
set(ENV{LC_ALL} C) # plain quotes in messages
set(compile ${CXX} -std=c++20 -fsyntax-only -Wall -Werror=unused-result -I${INCLUDE} ${CASE})

execute_process(COMMAND ${compile} -DMNEME_RIGHT RESULT_VARIABLE result ERROR_VARIABLE errors)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${CASE} does not compile when it is right:\n${errors}")
endif()

execute_process(COMMAND ${compile} RESULT_VARIABLE result ERROR_VARIABLE errors)
if(result EQUAL 0)
  message(FATAL_ERROR "${CASE} compiles")
endif()
if(NOT errors MATCHES "${expected}")
  message(FATAL_ERROR "${CASE} is refused, but not with a message that matches ${expected}:\n${errors}")
endif()
