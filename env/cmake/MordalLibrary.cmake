# The installed library: one shared object with the public interface alone, its header, pkg-config
# file and CMake package (find_package(mordal), target mordal::cka).
include(CMakePackageConfigHelpers)
add_library(mordal_cka SHARED ${CMAKE_SOURCE_DIR}/stages/similarity/library.c)
target_link_libraries(mordal_cka PRIVATE mordal::similarity)
target_link_libraries(mordal_cka PUBLIC MPI::MPI_C)
target_include_directories(mordal_cka PUBLIC $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
set_target_properties(mordal_cka PROPERTIES
    OUTPUT_NAME mordal-cka EXPORT_NAME cka VERSION ${PROJECT_VERSION} SOVERSION 0)
add_library(mordal::cka ALIAS mordal_cka)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/mordal)
install(TARGETS mordal_cka EXPORT mordal LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT mordal FILE mordal-targets.cmake NAMESPACE mordal:: DESTINATION ${package})
install(FILES ${CMAKE_SOURCE_DIR}/stages/similarity/mordal_cka.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/mordal RENAME cka.h)
configure_package_config_file(${CMAKE_SOURCE_DIR}/env/cmake/mordal-config.cmake.in
                              ${CMAKE_BINARY_DIR}/mordal-config.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/mordal-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/mordal-config.cmake ${CMAKE_BINARY_DIR}/mordal-config-version.cmake
        DESTINATION ${package})

# From the folder of the pkg-config file up to the prefix, so that the installation can be moved.
string(REGEX REPLACE "[^/]+" ".." MORDAL_PC_PREFIX ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
pkg_search_module(MORDAL_PC_MPI QUIET ompi-c mpich mpi-c)
set(MORDAL_PC_MPI ${MORDAL_PC_MPI_MODULE_NAME})
configure_file(${CMAKE_SOURCE_DIR}/env/cmake/mordal-cka.pc.in ${CMAKE_BINARY_DIR}/mordal-cka.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/mordal-cka.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
