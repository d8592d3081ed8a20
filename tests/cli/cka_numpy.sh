#!/bin/bash
# Values of mordal-cka and mordal-cluster against NumPy and SciPy on arrays made here, and arrays
# that can't be compared. Skipped without Python, NumPy, SciPy or h5py.
set -euo pipefail
# shellcheck source=cka_fixture.sh
source "$MORDAL_SOURCE_DIR/tests/cli/cka_fixture.sh"
python=/usr/bin/python3
check="$MORDAL_SOURCE_DIR/tests/reference/check_cka.py"
"$python" -c 'import numpy, scipy, h5py' 2>/dev/null || exit 77
"$python" "$check" make arrays

# archive FOLDER NAME...: each NAME from arrays/NAME.npy with the ids of arrays/NAME.txt
archive() {
    local folder=$1 name
    shift
    for name in "$@"; do
        mordal-archive import --side vision -o "$folder" --rows "arrays/$name.txt" \
            "${name%%.*}=arrays/$name.npy" 2>import.txt || { cat import.txt; fail "import $name"; }
    done
}

echo "-- similar, narrow, wide, offset (1000, 1e4), scaled (1e8, 1e-3), permuted and token arrays"
archive ok base near wide offset far huge small shuffled tokens single
for estimator in biased unbiased minibatch; do
    expect 0 "10 models, 80 samples" mpiexec -n 2 mordal-cka --estimator $estimator --batch 24 \
        -o $estimator.h5 ok/*.h5
    "$python" "$check" cka arrays $estimator.h5
    expect 0 "CKA in float32" mordal-cka --estimator $estimator --batch 24 --precision float32 \
        -o $estimator-32.h5 ok/*.h5
    "$python" "$check" cka arrays $estimator-32.h5
done
expect 0 "route feature" mordal-cka --estimator unbiased --route feature -o feature.h5 ok/*.h5
"$python" "$check" cka arrays feature.h5
for linkage in average complete single; do
    expect 0 "models in" mordal-cluster --linkage $linkage --threshold 0.5 -o $linkage.h5 unbiased.h5
    "$python" "$check" clusters unbiased.h5 $linkage.h5
done
expect 0 "independent noise would already give 0.34" \
    mordal-cka --estimator biased --force -o biased.h5 ok/wide.h5 ok/base.h5 ok/near.h5

echo "-- a model without similarity is said, and changes no other"
archive bad constant few other fewer
for estimator in biased unbiased minibatch; do
    expect 0 "model constant: its activations do not vary, so its similarity with every model is" \
        mpiexec -n 2 mordal-cka --estimator $estimator --batch 24 -o undefined.h5 ok/*.h5 \
        bad/constant.h5
    grep -q "undefined.h5: similarity from" out.txt || fail "the others aren't compared"
    expect 0 "similarity of constant with all others is undefined (its activations do not vary)" \
        mordal-cluster --threshold 0.5 -o undefined-c.h5 undefined.h5
    "$python" "$check" undefined undefined.h5 undefined-c.h5
done
expect 0 "report" mordal-report -o report undefined.h5 undefined-c.h5
grep -q "The similarity of constant is undefined (dashed)" report/report.html || fail "the report"
if grep -qiw 'nan\|inf' report/report.html; then fail "the report has a nan"; fi

echo "-- what can't be compared"
expect 65 "fewer than 4" mordal-cka -o x.h5 bad/few.h5 bad/fewer.h5
expect 65 "sample 'img7' is not in the" mpiexec -n 2 mordal-cka -o x.h5 ok/base.h5 bad/other.h5
expect 65 "sample 'img3' is not in the" mordal-cka -o x.h5 ok/base.h5 bad/few.h5
[ ! -e x.h5 ] || fail "a failed run left a file"
expect 0 "79 of 80 samples are in every file" \
    mordal-cka --rows common -o common.h5 ok/base.h5 bad/other.h5
mordal-archive import --side language -o language --rows arrays/near.txt near=arrays/near.npy 2>log
expect 0 "are they comparable?" mordal-cka -o mixed.h5 ok/base.h5 language/near.h5
