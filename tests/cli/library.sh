#!/bin/bash
# The library from an installation, by pkg-config and by CMake, against the command.
set -euo pipefail
# shellcheck source=cka_fixture.sh
source "$MORDAL_SOURCE_DIR/tests/cli/cka_fixture.sh"
example=$MORDAL_SOURCE_DIR/docs/library
cmake --install "$MORDAL_BUILD_DIR" --prefix "$PWD/first" >install.log
nm -D first/lib/libmordal-cka.so | grep -q __asan_init && exit 77 # needs the program's own
mv first prefix # an installation can be moved
prefix=$PWD/prefix
export LD_LIBRARY_PATH=$prefix/lib PKG_CONFIG_PATH=$prefix/lib/pkgconfig

echo "-- pkg-config"
# shellcheck disable=SC2046 # words are meant
cc -Wall -Wextra -Werror -o example "$example/example.c" $(pkg-config --cflags --libs mordal-cka)
# the exact value of tests/reference/cka_fixtures.csv, F2
expect 0 "1 0: 0.171419" ./example
expect 0 "1 0: 0.171419" mpiexec -n 3 ./example

if command -v g++ >/dev/null; then
    echo "-- C++"
    cat >example.cc <<'CC'
#include <mordal/cka.h>

#include <cstdio>

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    std::printf("version %s\n", mordal_version());
    MPI_Finalize();
}
CC
    # shellcheck disable=SC2046 # words are meant
    g++ -Wall -Wextra -Werror -o example-cc example.cc $(pkg-config --cflags --libs mordal-cka)
    expect 0 "version " ./example-cc
fi

echo "-- CMake"
cmake -S "$example" -B build -DCMAKE_PREFIX_PATH="$prefix" >cmake.log || { cat cmake.log; exit 1; }
cmake --build build >build.log || { cat build.log; exit 1; }
expect 0 "1 0: 0.171419" build/example

echo "-- files, in the order of the arguments"
import_zoo ve dinov2s captchacrnn
"$prefix/bin/mordal-cka" -o cka.h5 ve/*.h5 2>log
value=$(grep -o "from [0-9.-]*" log | cut -d" " -f2) # rounded to four digits
expect 0 "1 0: ${value%?}" mpiexec -n 2 ./example ve/dinov2s.h5 ve/captchacrnn.h5
expect 66 "none.h5" ./example ve/dinov2s.h5 none.h5
expect 65 "both hold model dinov2s" ./example ve/dinov2s.h5 ve/dinov2s.h5

echo "-- options, states, refusals"
# shellcheck disable=SC2046 # words are meant
cc -Wall -Wextra -Werror -o options "$MORDAL_SOURCE_DIR/tests/cli/library_options.c" \
    $(pkg-config --cflags --libs mordal-cka) -lm
expect 0 "model flat: its activations do not vary" mpiexec -n 2 ./options

echo "-- the symbols of the library are its interface"
nm -D --defined-only "$prefix/lib/libmordal-cka.so" | awk '$2 == "T" {print $3}' >symbols.txt
printf '%s\n' mordal_cka mordal_cka_files mordal_version mordal_why | diff - symbols.txt
