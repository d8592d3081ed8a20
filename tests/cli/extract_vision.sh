#!/bin/bash
# mordal-archive extract-vision: the features of a folder of images against the reference's, on any
# number of ranks, and what it refuses.
set -euo pipefail
# shellcheck source=cka_fixture.sh
source "$MORDAL_SOURCE_DIR/tests/cli/cka_fixture.sh"
reference=$MORDAL_SOURCE_DIR/tests/reference
encoders=$reference/parity/encoders
cp -r "$encoders/clip" clip
cp "$reference/preprocess/clip.json" clip/preprocessor_config.json
cp -r "$reference/preprocess/images" images
echo "no image" >images/notes.txt

echo "-- the plan, then the archive on 1 and 3 ranks"
expect 0 "clip -> one.h5: 9 rows of 48 float32" \
    mordal-archive extract-vision --checkpoint clip --images images -o one.h5 --dry-run
[ ! -e one.h5 ] || fail "--dry-run wrote a file"
expect 0 "wrote one.h5: 9 rows of 48 features" \
    mordal-archive extract-vision --checkpoint clip --images images -o one.h5
expect 0 "wrote three.h5" mpiexec -n 3 mordal-archive extract-vision --checkpoint clip/ \
    --images images/ -o three.h5
expect 0 "up to date: one.h5" \
    mordal-archive extract-vision --checkpoint clip --images images -o one.h5
for side in one three; do
    mordal-archive export $side.h5 -o $side.npy >/dev/null 2>&1 || fail "no export of $side.h5"
done
cmp one.npy three.npy || fail "1 and 3 ranks differ"
expect 0 "wrote strict.h5" mordal-archive extract-vision --checkpoint clip --images images \
    -o strict.h5 --backend strict
cmp one.h5 strict.h5 || fail "memory that only the backend reaches changes features"
expect 64 "none of auto|cpu|cuda" mordal-archive extract-vision --checkpoint clip --images images \
    -o strict.h5 --backend gpu

echo "-- the reference's features"
python3 - one.npy "$reference/preprocess/features.npy" <<'PYTHON' || fail "other features"
import sys
import numpy as np
got, expected = (np.load(path) for path in sys.argv[1:])
worst = np.abs(got - expected).max() / np.abs(expected).max()
print("largest difference", worst)
sys.exit(got.shape != expected.shape or not worst <= 1e-4)
PYTHON

echo "-- class token, patches, layers"
run() { mordal-archive extract-vision --checkpoint clip --images images -o "$@"; }
expect 0 "wrote cls.h5: 9 rows of 48" run cls.h5 --pooling cls --layer 3
expect 0 "wrote patches.h5: 9 rows of 48" run patches.h5 --pooling patches --layer -1
expect 0 "patches of layer 3; images of images" mordal-archive ls patches.h5
expect 65 "has the layers 1 to 3" run far.h5 --layer 4
expect 65 "has the layers 1 to 3" run far.h5 --layer -4

echo "-- other encoders, and what can't be taken"
for name in convnext siglip; do
    cp -r "$encoders/$name" .
    cp "$reference/preprocess/$name.json" $name/preprocessor_config.json
done
expect 0 "9 rows of 32 features" \
    mordal-archive extract-vision --checkpoint convnext --images images -o convnext.h5
expect 65 "has no class token" mordal-archive extract-vision --checkpoint siglip --images images \
    -o siglip.h5 --pooling cls
cp "$reference/preprocess/bilinear.json" siglip/preprocessor_config.json
expect 65 "takes 28 x 28 alone" \
    mordal-archive extract-vision --checkpoint siglip --images images -o siglip.h5
expect 64 "needs --checkpoint, --images and -o" mordal-archive extract-vision --images images
expect 66 "preprocessor_config.json" \
    mordal-archive extract-vision --checkpoint "$encoders/clip" --images images -o none.h5
expect 66 "nowhere" mordal-archive extract-vision --checkpoint clip --images nowhere -o none.h5
mkdir empty
expect 66 "has no .png" mordal-archive extract-vision --checkpoint clip --images empty -o none.h5
head -c 3000 images/tall.png >images/cut.png
expect 65 "cut.png: a bad PNG" mpiexec -n 3 \
    mordal-archive extract-vision --checkpoint clip --images images -o cut.h5
[ ! -e cut.h5 ] || fail "an archive of bad images"
