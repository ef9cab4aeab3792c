# Installs the libraries, the public headers, the command, and what find_package(Mneme) and pkg-config read.
#
# Headers of base, engine and migration are installed, by their FILE_SETs. storage and index are linked, and therefore
# installed as archives, but nobody includes them. Installed targets: Mneme::mneme (all an application needs),
# Mneme::migration, and below them Mneme::base, Mneme::storage, Mneme::index.

include(CMakePackageConfigHelpers)

set(MNEME_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/Mneme)

# CMake records the link options of what a static library needs privately, so the flags are exported as well.
set_target_properties(mneme_flags PROPERTIES EXPORT_NAME flags)
set_target_properties(mneme_storage PROPERTIES EXPORT_NAME storage)
set_target_properties(mneme_index PROPERTIES EXPORT_NAME index)
set_target_properties(mneme PROPERTIES EXPORT_NAME mneme)
set_target_properties(mneme_migration PROPERTIES EXPORT_NAME migration)

install(TARGETS mneme_base mneme mneme_migration EXPORT MnemeTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS mneme_flags mneme_storage mneme_index EXPORT MnemeTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

install(EXPORT MnemeTargets NAMESPACE Mneme:: DESTINATION ${MNEME_CMAKE_DIR})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/MnemeConfig.cmake.in ${PROJECT_BINARY_DIR}/MnemeConfig.cmake
  INSTALL_DESTINATION ${MNEME_CMAKE_DIR} NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor release may change the API.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/MnemeConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/MnemeConfig.cmake ${PROJECT_BINARY_DIR}/MnemeConfigVersion.cmake
  DESTINATION ${MNEME_CMAKE_DIR})

# The paths in mneme.pc follow the prefix of `cmake --install --prefix`, which is known only then: it is relative to
# the place of mneme.pc itself.
file(RELATIVE_PATH MNEME_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${CMAKE_CURRENT_LIST_DIR}/mneme.pc.in ${PROJECT_BINARY_DIR}/mneme.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/mneme.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
