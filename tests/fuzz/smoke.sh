#!/bin/bash
# Builds the fuzzers with clang and lets each run for a few seconds from the references.
set -euo pipefail
source=$MORDAL_SOURCE_DIR
if ! cmake -S "$source" -B "$MORDAL_BUILD_DIR/fuzz-build" -G Ninja -DCMAKE_C_COMPILER=clang \
    -DMORDAL_ENABLE_FUZZ=ON -DMORDAL_ENABLE_DOCS=OFF >configure.log 2>&1; then
    echo "clang can't build fuzzers here"
    tail -5 configure.log
    exit 77
fi
cmake --build "$MORDAL_BUILD_DIR/fuzz-build" --target fuzz_safetensors fuzz_json fuzz_image \
    >build.log 2>&1 || { tail -30 build.log; exit 1; }
bash "$source/tests/fuzz/run.sh" "$MORDAL_BUILD_DIR/fuzz-build" 5
