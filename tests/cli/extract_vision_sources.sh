#!/bin/bash
# mordal-archive extract-vision: killed at any moment it goes on, on any ranks, to the same bits;
# images from HDF5 files give what the same files in a folder give; a study that starts from a
# published checkpoint.
set -euo pipefail
# shellcheck source=cka_fixture.sh
source "$MORDAL_SOURCE_DIR/tests/cli/cka_fixture.sh"
reference=$MORDAL_SOURCE_DIR/tests/reference
cp -r "$reference/parity/encoders/clip" clip
cp "$reference/preprocess/clip.json" clip/preprocessor_config.json
mkdir images
for copy in $(seq 40); do
    for file in "$reference"/preprocess/images/*; do
        name=$(basename "$file")
        cp "$file" "images/$copy-$name"
    done
done
rows() { mordal-archive export "$1" -o "${1%.h5}.npy" >/dev/null 2>&1 || fail "no export of $1"; }
leaves_nothing() { ! compgen -G "$1.rows-*" >/dev/null || fail "$1 leaves its journal"; }

echo "-- killed again and again, on 1 to 3 ranks"
extract=(mordal-archive extract-vision --checkpoint clip --images images)
expect 0 "wrote whole.h5" "${extract[@]}" -o whole.h5
n_killed=0
for delay in 0.30 0.35 0.40 0.45 0.50 0.55 0.60 0.7 0.8 0.9; do
    # The same ranks that will go on are not those that were killed.
    if timeout -s KILL $delay mpiexec -n $((1 + n_killed % 3)) "${extract[@]}" -o killed.h5 \
        >/dev/null 2>&1; then
        break
    fi
    n_killed=$((n_killed + 1))
done
echo "killed $n_killed times, journal: $(echo killed.h5.rows-*)"
expect 0 "" mpiexec -n 2 "${extract[@]}" -o killed.h5
rows whole.h5
rows killed.h5
cmp whole.npy killed.npy || fail "a killed run ends with other rows"
cmp whole.h5 killed.h5 || fail "a killed run ends with another file"
leaves_nothing killed.h5

echo "-- stopped, then gone on with"
status=0
"${extract[@]}" -o stopped.h5 --time-limit 1 >out.txt 2>&1 || status=$?
[ $status = 0 ] || [ $status = 75 ] || fail "exit $status of a stopped run: $(cat out.txt)"
expect 0 "" "${extract[@]}" -o stopped.h5
cmp whole.h5 stopped.h5 || fail "a stopped run ends with another file"

echo "-- half a journal, the last record torn"
printf 'x' >other.h5.rows-7
expect 0 "wrote other.h5" "${extract[@]}" -o other.h5
leaves_nothing other.h5

echo "-- images in HDF5 files"
python3 - <<'PYTHON'
import pathlib, struct, zlib
import h5py
import numpy as np

files = sorted(pathlib.Path("images").iterdir(), key=lambda path: path.name.encode())
with h5py.File("encoded.h5", "w") as file:
    image = file.create_dataset("image", (len(files),), h5py.vlen_dtype(np.uint8))
    for i, path in enumerate(files):
        image[i] = np.frombuffer(path.read_bytes(), np.uint8)
    file["sample_id"] = [path.name.rpartition(".")[0] for path in files]

def png(rgb):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    height, width, _ = rgb.shape
    raw = b"".join(b"\0" + row.tobytes() for row in rgb)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))

pixels = np.random.default_rng(5).integers(0, 256, (6, 31, 45, 3), dtype=np.uint8)
pathlib.Path("noise").mkdir()
with h5py.File("pixels.h5", "w") as file:
    file["image"] = pixels
    file["sample_id"] = [f"noise-{i}" for i in range(6)]
for i, rgb in enumerate(pixels):
    pathlib.Path(f"noise/noise-{i}.png").write_bytes(png(rgb))
for name, data in {"floats": pixels / 255.0, "flat": pixels[:, 0]}.items():
    with h5py.File(f"{name}.h5", "w") as file:
        file["image"] = data
        file["sample_id"] = [str(i) for i in range(6)]
with h5py.File("short.h5", "w") as file:
    file["image"] = pixels
    file["sample_id"] = ["one"]
PYTHON
from() { mordal-archive extract-vision --checkpoint clip --images "$1" -o "$2"; }
expect 0 "wrote of-encoded.h5: 360 rows" from encoded.h5 of-encoded.h5
expect 0 "wrote of-pixels.h5: 6 rows" mpiexec -n 2 mordal-archive extract-vision \
    --checkpoint clip --images pixels.h5 -o of-pixels.h5
expect 0 "wrote of-noise.h5: 6 rows" from noise of-noise.h5
for name in of-encoded of-pixels of-noise; do rows $name.h5; done
cmp whole.npy of-encoded.npy || fail "encoded images in HDF5 give other rows"
cmp of-noise.npy of-pixels.npy || fail "pixels in HDF5 give other rows than PNG files"
expect 65 "must be uint8" from floats.h5 bad.h5
expect 65 "has 3 dimensions" from flat.h5 bad.h5
expect 65 "sample_id" from short.h5 bad.h5
expect 66 "nowhere.h5" from nowhere.h5 bad.h5
head -c 4000 encoded.h5 >damaged.h5
expect 65 "damaged.h5" from damaged.h5 bad.h5

echo "-- a study that starts from a checkpoint"
mkdir -p study
lm=$reference/parity/llama-2
cat >study/STUDY.yaml <<YAML
zoo:
  images: ../noise
  vision:
    - {name: eye, checkpoint: ../clip}
    - {name: eye-class, checkpoint: ../clip, pooling: cls, layer: -1}
  language: [{name: mouth, checkpoint: $lm, corpus: $lm/config.json}]
trainer: {backend: strict}
YAML
expect 0 "wrote 2 files in archive/vision" mpiexec -n 2 mordal-archive import --study study/STUDY.yaml
expect 0 "up to date: all 2 files" mordal-archive import --study study/STUDY.yaml
rows study/archive/vision/eye.h5
cmp study/archive/vision/eye.npy of-noise.npy || fail "a study's encoder gives other rows"
expect 0 "class token of layer 3" mordal-archive ls study/archive/vision/eye-class.h5
expect 0 "6 rows" mordal-archive import --study study/STUDY.yaml --dry-run
