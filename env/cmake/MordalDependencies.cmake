# Everything that Mordal links to; a missing package stops here with the package's name.
find_package(PkgConfig REQUIRED)
find_package(MPI REQUIRED COMPONENTS C)
set(HDF5_PREFER_PARALLEL ON)
find_package(HDF5 REQUIRED COMPONENTS C)
if(NOT HDF5_IS_PARALLEL)
    message(FATAL_ERROR "The HDF5 that CMake found has no MPI support. Install libhdf5-openmpi-dev "
                        "or point HDF5_ROOT at a parallel build.")
endif()
pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)
# Debian's CMake package of ScaLAPACK names a library that isn't there; its pkg-config file is right.
if(MORDAL_ENABLE_SCALAPACK)
    pkg_search_module(SCALAPACK REQUIRED IMPORTED_TARGET scalapack-openmpi scalapack)
endif()
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(CMINPACK REQUIRED IMPORTED_TARGET cminpack)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
find_path(RANDOM123_INCLUDE_DIR Random123/philox.h REQUIRED)

add_library(mordal_hdf5 INTERFACE)
target_include_directories(mordal_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_link_libraries(mordal_hdf5 INTERFACE ${HDF5_C_LIBRARIES} MPI::MPI_C)
