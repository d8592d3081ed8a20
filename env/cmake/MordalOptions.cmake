# Compiler settings shared by every target.
if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, Debug or RelWithDebInfo" FORCE)
endif()
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
# For the shared library, which shows its public interface alone.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)

add_library(mordal_flags INTERFACE)
target_compile_definitions(mordal_flags INTERFACE _POSIX_C_SOURCE=200809L)
target_compile_options(mordal_flags INTERFACE -Wall -Wextra -Wshadow -Wstrict-prototypes
                       $<$<CONFIG:Release>:-O3> -fno-math-errno -ffp-contract=off)
target_include_directories(mordal_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}
                           ${CMAKE_SOURCE_DIR}/stages)
if(MORDAL_ENABLE_FUZZ)
    target_compile_options(mordal_flags INTERFACE -g -fno-omit-frame-pointer
                           -fsanitize=fuzzer-no-link,address,undefined
                           -fno-sanitize-recover=undefined)
    target_link_options(mordal_flags INTERFACE -fsanitize=address,undefined)
endif()
if(MORDAL_SANITIZE)
    target_compile_options(mordal_flags INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer -g)
    target_link_options(mordal_flags INTERFACE -fsanitize=address,undefined)
endif()
