#!/bin/bash
# Archives written from Python by docs/python are as good as Mordal's own. Skipped without h5py or
# xxhash; hooks only where there is PyTorch.
set -euo pipefail
# shellcheck source=cka_fixture.sh
source "$MORDAL_SOURCE_DIR/tests/cli/cka_fixture.sh"
python=/usr/bin/python3
make="$MORDAL_SOURCE_DIR/tests/reference/check_python_archive.py"
"$python" -c 'import numpy, h5py, xxhash' 2>/dev/null || exit 77

echo "-- NumPy arrays in every encoding"
mkdir made
"$python" "$make" numpy made
mv made/plain.h5 plain.h5
for file in made/*.h5; do
    expect 0 "ok, 50 rows" mordal-archive verify "$file"
    stored=$("$python" -c "import h5py; print(h5py.File('$file').attrs['content_digest'])")
    [ "$stored" = "$("$MORDAL_BUILD_DIR/tests-bin/content_digest" "$file")" ] ||
        fail "content digest of $file"
done

echo "-- a plain HDF5 file, imported, is the same model"
mordal-archive import --side vision --rows made/ids.txt -o imported "plain=plain.h5#/layer/x" 2>log
expect 0 "similarity from 1.0000 (float32, plain) to 1.0000" \
    mordal-cka --batch 25 -o same.h5 made/float32.h5 imported/plain.h5
expect 0 "similarity" mordal-cka --batch 25 -o all.h5 made/*.h5

echo "-- a model's name that would lead out of a folder of Gram files, or says nothing"
mkdir names
"$python" "$make" names names
for file in slash empty control; do
    expect 65 "names/$file.h5: the model's name" mordal-cka --batch 25 --gram-cache grams/deep \
        -o x.h5 made/float32.h5 names/$file.h5
done
for left in evil.h5 grams x.h5; do
    [ ! -e $left ] || fail "a refused name left $left"
done

echo "-- a flipped byte is found"
cp made/float32.h5 flipped.h5
printf 'X' | dd of=flipped.h5 bs=1 seek=$(($(stat -c %s flipped.h5) / 2)) conv=notrunc 2>dd.txt
expect 65 "flipped.h5" mordal-archive verify flipped.h5

"$python" -c 'import torch' 2>/dev/null || exit 0
echo "-- PyTorch hooks"
mkdir hooks
"$python" "$make" torch hooks
expect 0 "ok, 50 rows" mordal-archive verify hooks/hook-float32.h5 hooks/hook-bfloat16.h5
