#!/bin/bash
# All tests in one command: installs the packages (as root), builds into build/, runs ctest and
# closes with the line "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/.."
./env/install.sh --test-packages --no-quickstart

log=build/tests.log
code=0
ctest --test-dir build --output-on-failure --no-tests=error -j 2 2>&1 | tee "$log" || code=$?
failed=$(sed -n 's/^ *\([0-9]*\)% tests passed, \([0-9]*\) tests failed out of \([0-9]*\)$/\2/p' "$log")
total=$(sed -n 's/^ *\([0-9]*\)% tests passed, \([0-9]*\) tests failed out of \([0-9]*\)$/\3/p' "$log")
skipped=$(grep -c '\*\*\*Skipped' "$log" || true)
echo "$((${total:-0} - ${failed:-1} - skipped)) passed, ${failed:-1} failed, $skipped skipped"
exit "$code"
