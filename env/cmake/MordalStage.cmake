# mordal_add_library(NAME SOURCES... LINK LIBS...): a static library of the suite.
function(mordal_add_library name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
    add_library(mordal_${name} STATIC ${ARG_SOURCES})
    add_library(mordal::${name} ALIAS mordal_${name})
    target_link_libraries(mordal_${name} PUBLIC mordal_flags ${ARG_LINK})
endfunction()

# mordal_add_stage(NAME SOURCES...): the executable mordal-NAME (main.c) over a library with the
# stage's science, so that tests can link the science without the main.
function(mordal_add_stage name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
    mordal_add_library(stage_${name} SOURCES ${ARG_SOURCES}
                       LINK mordal::stage mordal::io mordal::mpi mordal::core ${ARG_LINK})
    add_executable(mordal-${name} main.c)
    target_link_libraries(mordal-${name} PRIVATE mordal_stage_${name})
    set_target_properties(mordal-${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
    install(TARGETS mordal-${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()
