# How tests are registered. Every test has a label for its area and a time limit; MPI tests take
# the resource lock cpu_mpi so that they don't fight for cores. A launcher whose ranks failed would
# wait a second or two before it ends (odls_base_sigkill_timeout).
find_package(cmocka REQUIRED CONFIG)
get_filename_component(MORDAL_MPI_BIN ${MPIEXEC_EXECUTABLE} DIRECTORY)
set(MORDAL_TEST_ENV OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
    OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_odls_base_sigkill_timeout=0
    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 
    "PATH=${CMAKE_BINARY_DIR}/bin:${MORDAL_MPI_BIN}:/usr/bin:/bin:$ENV{PATH}"
    MORDAL_SOURCE_DIR=${CMAKE_SOURCE_DIR} MORDAL_BUILD_DIR=${CMAKE_BINARY_DIR}
    "ASAN_OPTIONS=detect_leaks=0" "HDF5_USE_FILE_LOCKING=FALSE")

function(mordal_test_properties name label timeout)
    set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${timeout}
                         ENVIRONMENT "${MORDAL_TEST_ENV}" SKIP_RETURN_CODE 77)
endfunction()

# mordal_add_unit_test(NAME SOURCE LINK LIBS... [RANKS 1 2 3 4]): a cmocka program; with RANKS it
# runs once for each rank count under mpiexec, named NAME.npN.
function(mordal_add_unit_test name source)
    cmake_parse_arguments(ARG "" "TIMEOUT" "LINK;RANKS" ${ARGN})
    if(NOT ARG_TIMEOUT)
        set(ARG_TIMEOUT 60)
    endif()
    add_executable(test_${name} ${source})
    target_link_libraries(test_${name} PRIVATE ${ARG_LINK} ${CMOCKA_LIBRARIES})
    target_include_directories(test_${name} PRIVATE ${CMOCKA_INCLUDE_DIR})
    target_compile_definitions(test_${name} PRIVATE
        MORDAL_SOURCE_DIR="${CMAKE_SOURCE_DIR}" MORDAL_BUILD_DIR="${CMAKE_BINARY_DIR}")
    set_target_properties(test_${name} PROPERTIES
                          RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests-bin)
    set(folder ${CMAKE_BINARY_DIR}/tests-run/${name})
    file(MAKE_DIRECTORY ${folder})
    if(NOT ARG_RANKS)
        add_test(NAME unit.${name} COMMAND test_${name} WORKING_DIRECTORY ${folder})
        mordal_test_properties(unit.${name} unit ${ARG_TIMEOUT})
        return()
    endif()
    foreach(ranks ${ARG_RANKS})
        add_test(NAME mpi.${name}.np${ranks}
                 COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks}
                         $<TARGET_FILE:test_${name}>
                 WORKING_DIRECTORY ${folder})
        mordal_test_properties(mpi.${name}.np${ranks} mpi ${ARG_TIMEOUT})
        set_tests_properties(mpi.${name}.np${ranks} PROPERTIES PROCESSORS ${ranks}
                             RESOURCE_LOCK cpu_mpi)
    endforeach()
endfunction()

# mordal_add_script_test(NAME SCRIPT [LABEL cli] [TIMEOUT 120]): a shell script run in a fresh
# folder; exit 0 passes, 77 skips.
function(mordal_add_script_test name script)
    cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "" ${ARGN})
    if(NOT ARG_LABEL)
        set(ARG_LABEL cli)
    endif()
    if(NOT ARG_TIMEOUT)
        set(ARG_TIMEOUT 120)
    endif()
    set(folder ${CMAKE_BINARY_DIR}/tests-run/${name})
    add_test(NAME ${ARG_LABEL}.${name}
             COMMAND ${CMAKE_SOURCE_DIR}/tests/run-in-folder.sh ${folder} ${CMAKE_CURRENT_SOURCE_DIR}/${script})
    mordal_test_properties(${ARG_LABEL}.${name} ${ARG_LABEL} ${ARG_TIMEOUT})
    set_tests_properties(${ARG_LABEL}.${name} PROPERTIES RESOURCE_LOCK cpu_mpi)
endfunction()
