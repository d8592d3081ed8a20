#!/bin/bash
# Standard errors of the full estimators against a jackknife in NumPy. Skipped without Python, NumPy
# or h5py.
set -euo pipefail
# shellcheck source=cka_fixture.sh
source "$MORDAL_SOURCE_DIR/tests/cli/cka_fixture.sh"
python=/usr/bin/python3
check="$MORDAL_SOURCE_DIR/tests/reference/check_cka_errors.py"
"$python" -c 'import numpy, h5py' 2>/dev/null || exit 77
"$python" "$check" make arrays
arrays=()
for array in arrays/*.npy; do arrays+=("$(basename "$array" .npy)=$array"); done
mordal-archive import --side vision -o archives "${arrays[@]}" 2>import.txt ||
    { cat import.txt; fail "import"; }

# The units of the Gram route are the jackknife's; a sample of 256 rows has an error of its own.
for estimator in biased unbiased; do
    expect 0 "route gram" mordal-cka --estimator $estimator --route gram -o gram.h5 --force archives/*.h5
    "$python" "$check" check arrays gram.h5 0.03
    expect 0 "route feature" mpiexec -n 2 mordal-cka --estimator $estimator --route feature \
        -o feature.h5 --force archives/*.h5
    "$python" "$check" check arrays feature.h5 0.2
    expect 0 "route gram" mpiexec -n 2 mordal-cka --estimator $estimator --kernel rbf \
        -o rbf.h5 --force archives/*.h5
    "$python" "$check" check arrays rbf.h5 0.01
done
