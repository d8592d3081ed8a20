#!/bin/bash
# Every CUDA file compiles without a warning where there is a CUDA compiler, GPU or not.
set -euo pipefail
cd "$MORDAL_SOURCE_DIR"
nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
[ -x "$nvcc" ] || exit 77
for file in $(git ls-files '*.cu'); do
    "$nvcc" -std=c++20 -arch=compute_90 -Werror all-warnings -Xcompiler -Wall,-Wextra -I. -Istages \
        --ptx -o /dev/null "$file"
done
