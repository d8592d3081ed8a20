#!/bin/bash
# Arrays and archives that can't be compared: each message says what, where and what to do. And what
# looks bad and isn't. Skipped without Python, NumPy or h5py.
set -euo pipefail
# shellcheck source=cka_fixture.sh
source "$MORDAL_SOURCE_DIR/tests/cli/cka_fixture.sh"
python=/usr/bin/python3
make="$MORDAL_SOURCE_DIR/tests/reference/make_bad_arrays.py"
"$python" -c 'import numpy, h5py' 2>/dev/null || exit 77
"$python" "$make" arrays

run() { mordal-archive import --side vision -o "$@"; }

# archive NAME [AS]: archives/NAME/AS.h5 from arrays/NAME.npy with its ids, as model AS
archive() {
    run "archives/$1" --rows "arrays/$1.txt" "${2:-$1}=arrays/$1.npy" 2>import.txt ||
        { cat import.txt; fail "import $1"; }
}
for name in base near later wide; do archive $name; done
archive turned near
base=archives/base/base.h5 near=archives/near/near.h5

echo "-- a dataset whose filter isn't installed, no rows, a file that is being written"
expect 65 "bad.h5: dataset /filtered was written through the filter 300, which isn't installed" \
    run x a=arrays/bad.h5#filtered
grep -q "set HDF5_PLUGIN_PATH, or write the dataset without it" out.txt || fail "what to do?"
expect 65 "there must be at least one sample" run x a=arrays/bad.h5#empty
expect 65 "held.h5: HDF5 file: cannot be opened; truncated, damaged, or still being written" \
    "$python" "$make" hold held.h5 mordal-archive import --side vision -o x a=held.h5#x
expect 0 "wrote" run gzip gzip=arrays/bad.h5#gzip
size=$(stat -c %s $near)
head -c $((size - 1000)) $near >growing.h5
expect 65 "growing.h5: " mordal-cka -o x.h5 $base growing.h5
grep -q "cut short\|damaged" out.txt || fail "it isn't said that the file isn't whole"

echo "-- sample ids"
expect 65 "rows 0 and 79 have the same sample id" run x --rows arrays/twice.txt a=arrays/twice.npy
expect 65 "sample 'img0' is not in the second: archive both from the same samples, or give --rows" \
    mordal-cka -o x.h5 $base archives/later/later.h5
expect 0 "75 of 80 samples are in every file" \
    mordal-cka --rows common -o common.h5 $base archives/later/later.h5
expect 0 "similarity from" mordal-cka --batch 16 -o plain.h5 $base $near
expect 0 "similarity from" mordal-cka --batch 16 -o turned.h5 $base archives/turned/near.h5
"$python" - <<'PY'
import h5py
a, b = (h5py.File(name)["similarity"][0, 1] for name in ("plain.h5", "turned.h5"))
assert a == b, (a, b)
PY

echo "-- models"
expect 65 "one file: CKA compares models; give the archive files of at least two" \
    mordal-cka -o x.h5 $base
expect 65 "both hold model near; leave one out, or import it under another name" \
    mordal-cka -o x.h5 $near archives/turned/near.h5

echo "-- batches"
expect 0 "1 batches on 1 rank" mordal-cka --batch 200 -o one.h5 $base $near
expect 0 "the last 2 rows are fewer than 4 and make no batch: they are left out" \
    mordal-cka --batch 26 -o tail.h5 $base $near
expect 64 "a batch of 3 rows: HSIC_1 is undefined for fewer than 4" \
    mordal-cka --batch 3 -o x.h5 $base $near
# 1 / sqrt((1 + 80 / 100) (1 + 80 / 12))
expect 0 "biased CKA of 80 samples with up to 100 features: independent noise would already give 0.27" \
    mordal-cka --estimator biased -o biased.h5 $base archives/wide/wide.h5
expect 0 "similarity from" mordal-cka --estimator biased -o biased-few.h5 $base $near
if grep -q independent out.txt; then fail "80 samples of 12 features are enough"; fi
for left in x x.h5; do
    [ ! -e $left ] || fail "a refused run left $left"
done
