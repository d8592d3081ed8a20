#!/bin/bash
# Every C file is formatted by .clang-format.
set -euo pipefail
command -v clang-format >/dev/null || exit 77
cd "$MORDAL_SOURCE_DIR"
git ls-files '*.c' '*.h' '*.cu' | xargs clang-format --dry-run -Werror
