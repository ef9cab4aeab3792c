# Installs the build tree into a prefix of its own, then builds and runs the consumer against what is installed: once
# by find_package, once by pkg-config.
#
#   cmake -DBUILD=build/dev -DWORK=DIR -DCXX=c++ -DCONFIG=Debug -DLIBDIR=lib -P run.cmake

cmake_minimum_required(VERSION 3.25)

# run(WHAT COMMAND...): prints nothing unless it fails; leaves standard output in RAN.
function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE errors)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "package: ${what} failed (${result})\n${output}\n${errors}")
  endif()
  set(RAN "${output}" PARENT_SCOPE)
endfunction()

function(expect_answer program directory)
  file(REMOVE_RECURSE ${directory})
  run("running ${program}" ${program} ${directory})
  if(NOT RAN MATCHES "^0\\.[0-9]+  Ada prefers tea to coffee\\.\n$")
    message(FATAL_ERROR "package: expected a score and the sentence about tea, got: ${RAN}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
run("install" ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)

# Nothing in the installed tree may speak of the tree it was built in.
file(GLOB_RECURSE texts ${WORK}/prefix/*.cmake ${WORK}/prefix/*.pc ${WORK}/prefix/*.h)
foreach(text IN LISTS texts)
  file(STRINGS ${text} lines)
  foreach(path ${BUILD} ${SOURCE})
    string(FIND "${lines}" "${path}/" found)
    if(NOT found EQUAL -1)
      message(FATAL_ERROR "package: ${text} names ${path}")
    endif()
  endforeach()
endforeach()

run("configuring the consumer" ${CMAKE_COMMAND} -G Ninja -S ${CMAKE_CURRENT_LIST_DIR} -B ${WORK}/build
  -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_CXX_STANDARD=20 -DCMAKE_BUILD_TYPE=${CONFIG}
  -DCMAKE_PREFIX_PATH=${WORK}/prefix -DMNEME_PREFIX=${WORK}/prefix)
run("building the consumer" ${CMAKE_COMMAND} --build ${WORK}/build)
expect_answer(${WORK}/build/remember ${WORK}/by_cmake.mneme)

set(ENV{PKG_CONFIG_PATH} ${WORK}/prefix/${LIBDIR}/pkgconfig)
run("pkg-config" pkg-config --cflags --libs mneme)
separate_arguments(flags UNIX_COMMAND "${RAN}")
run("building by pkg-config" ${CXX} -std=c++20 ${CMAKE_CURRENT_LIST_DIR}/main.cc -o ${WORK}/remember ${flags})
expect_answer(${WORK}/remember ${WORK}/by_pkg_config.mneme)
