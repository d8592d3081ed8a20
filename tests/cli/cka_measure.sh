#!/bin/bash
# mordal-cka --measure on process grids against NumPy, and what it refuses. Skipped without Python,
# NumPy, SciPy or h5py, or in a build without ScaLAPACK.
set -euo pipefail
# shellcheck source=cka_fixture.sh
source "$MORDAL_SOURCE_DIR/tests/cli/cka_fixture.sh"
python=/usr/bin/python3
check="$MORDAL_SOURCE_DIR/tests/reference/check_measure.py"
"$python" -c 'import numpy, scipy, h5py' 2>/dev/null || exit 77
"$python" "$check" make arrays
mordal-archive import --side vision -o ve a=arrays/a.npy b=arrays/b.npy c=arrays/c.npy 2>import.txt ||
    { cat import.txt; fail "import"; }
zoo=$MORDAL_SOURCE_DIR/docs/quickstart/zoo/vision
mordal-archive import --side vision -o large dinov2s="$zoo/dinov2s.npy" \
    efflite0="$zoo/efflite0.npy" 2>import.txt || { cat import.txt; fail "import"; }
mordal-cka --measure svcca -o any.h5 ve/*.h5 2>any.txt ||
    { grep -q "built without it" any.txt && exit 77; cat any.txt; fail "svcca"; }

for run in svcca:1x3 pwcca:3x1 procrustes:2x2; do
    echo "-- $run"
    measure=${run%:*} grid=${run#*:}
    expect 0 "ScaLAPACK on a grid of ${grid/x/ x } ranks" mpiexec -n 4 mordal-cka --force \
        --measure "$measure" --grid "$grid" -o "$measure.h5" ve/*.h5
    "$python" "$check" "$measure" "$measure.h5" ve/*.h5
done
expect 0 "up to date" mordal-cka --measure svcca -o svcca.h5 ve/*.h5
expect 0 "running again" mordal-cka --measure procrustes -o svcca.h5 ve/*.h5
expect 0 "3 models in" mordal-cluster --threshold 0.5 -o clusters.h5 svcca.h5

echo "-- plan and refusals"
expect 0 "pwcca in float64 by ScaLAPACK on 1 rank: needs" \
    mordal-cka --dry-run --measure pwcca -o none.h5 ve/*.h5
for ranks in 1 4; do
    mpiexec -n $ranks mordal-cka --dry-run --measure pwcca -o none.h5 large/*.h5 >plan-$ranks.txt
done
needs() { sed -n 's/.*needs \([0-9.]*\) MB a rank.*/\1/p' "$1"; }
awk -v one="$(needs plan-1.txt)" -v four="$(needs plan-4.txt)" \
    'BEGIN { exit !(four > 0 && four < one / 2.5) }' || fail "four ranks need as much as one"
expect 64 "a grid of 2 x 2 needs 4 ranks, and there are 2" \
    mpiexec -n 2 mordal-cka --measure svcca --grid 2x2 -o none.h5 ve/*.h5
expect 64 "such as 2x4" mordal-cka --measure svcca --grid 4 -o none.h5 ve/*.h5
expect 64 "measure" mordal-cka --measure cca -o none.h5 ve/*.h5
[ ! -e none.h5 ] || fail "a refused run left a file"
