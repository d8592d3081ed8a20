message(STATUS "Mordal ${PROJECT_VERSION}: build type ${CMAKE_BUILD_TYPE}, "
               "tests ${MORDAL_ENABLE_TESTS}, docs ${MORDAL_ENABLE_DOCS}, "
               "sanitizers ${MORDAL_SANITIZE}, ScaLAPACK ${MORDAL_ENABLE_SCALAPACK}, CUDA ${MORDAL_CUDA_SUMMARY}, "
               "HDF5 ${HDF5_VERSION}, MPI ${MPI_C_VERSION}")
