#!/bin/bash
# Bad input ends with a sentence that says what, where, why and what to do, the documented exit
# code, on all ranks together, and no partial result in place.
# shellcheck source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mpi() { mpiexec -n 2 "$@"; }
ids=$zoo/vision/sample_ids.txt

# patch FILE OFFSET BYTES: overwrites bytes (given as for printf) in place; negative from the end.
patch() {
    local offset=$2
    ((offset >= 0)) || offset=$(($(stat -c %s "$1") + offset))
    # shellcheck disable=SC2059
    printf "$3" | dd of="$1" bs=1 seek="$offset" conv=notrunc status=none
}

copy() { cp "$1" "$2" && chmod u+w "$2"; }

# npy FILE ROWS COLUMNS: a float32 .npy file with the values 0 1 2 ... in its low bytes
npy() {
    local header="{'descr': '<f4', 'fortran_order': False, 'shape': ($2, $3), }" i
    printf -v header '%-117s\n' "$header"
    {
        printf '\x93NUMPY\x01\x00\x76\x00%s' "$header"
        for ((i = 0; i < $2 * $3; i++)); do
            # shellcheck disable=SC2059
            printf "\\x$(printf %02x $((i * 37 % 251)))\x00\x80\x3f"
        done
    } >"$1"
}

echo "-- arrays that cannot be imported"
copy "$zoo/vision/svtrv2.npy" nan.npy
patch nan.npy 77968 '\x00\x7e'
expect 65 "nan" mpi "$bin/mordal-archive" import "nan=nan.npy" --side vision --rows "$ids" -o arrays
copy "$zoo/vision/svtrv2.npy" inf.npy
patch inf.npy -2 '\x00\x7c'
expect 65 "inf" mpi "$bin/mordal-archive" import "inf=inf.npy" --side vision --rows "$ids" -o arrays
head -c 100000 "$zoo/vision/svtrv2.npy" >short.npy
expect 65 "short.npy" mpi "$bin/mordal-archive" import "short=short.npy" --side vision -o arrays
head -n 100 "$ids" >ids100.txt
expect 65 "ids100.txt" mpi "$bin/mordal-archive" import "a=$zoo/vision/svtrv2.npy" --side vision \
    --rows ids100.txt -o arrays
[[ -z $(find arrays -name '*.h5*' 2>/dev/null) ]] || fail "a refused array left a file"

echo "-- models that cannot be compared"
npy three.npy 3 5
npy three2.npy 3 4
"$bin/mordal-archive" import a=three.npy b=three2.npy --side vision -o few
expect 65 "4" mpi "$bin/mordal-cka" -o few.h5 few/a.h5 few/b.h5
head -c 128 three.npy >flat.npy
npy flat.npy 8 4
patch flat.npy 128 "$(for _ in {1..32}; do printf '%s' '\x00\x00\x80\x3f'; done)"
npy eight.npy 8 3
"$bin/mordal-archive" import flat=flat.npy eight=eight.npy --side vision -o const
expect 0 "model flat: its activations do not vary" mpi "$bin/mordal-cka" --estimator unbiased \
    -o undefined.h5 const/flat.h5 const/eight.h5
printf 'x%s\n' {1..8} >other-ids.txt
"$bin/mordal-archive" import other=eight.npy --side vision --rows other-ids.txt -o const
expect 65 "sample" mpi "$bin/mordal-cka" -o mix.h5 const/eight.h5 const/other.h5
[[ ! -e few.h5 && ! -e mix.h5 ]] || fail "a refused comparison left a file"

echo "-- damaged files"
write_study damaged
"$bin/mordal-archive" import --study damaged/STUDY.yaml 2>/dev/null
archive=damaged/archive/vision/svtrv2.h5
cp "$archive" whole.h5
patch "$archive" -5000 '\xff'
expect 65 "svtrv2" mpi "$bin/mordal-cka" --study damaged/STUDY.yaml --side vision
cp whole.h5 "$archive"
truncate -s -4096 "$archive"
expect 65 "svtrv2" mpi "$bin/mordal-cka" --study damaged/STUDY.yaml --side vision
[[ ! -e damaged/cka/vision.h5 ]] || fail "a damaged archive gave a similarity"
cp whole.h5 "$archive"
"$bin/mordal-cka" --study damaged/STUDY.yaml --side vision 2>/dev/null
patch damaged/cka/vision.h5 -200 '\x7f'
expect 65 "vision.h5" mpi "$bin/mordal-cluster" --study damaged/STUDY.yaml --side vision

echo "-- stages before the one they need"
expect 66 "clusters/vision.h5" mpi "$bin/mordal-cluster" --study damaged/STUDY.yaml --side language
write_study early
expect 66 "mordal-archive" mpi "$bin/mordal-cka" --study early/STUDY.yaml --side vision
expect 66 "mordal-cluster" mpi "$bin/mordal-archive" extract --study early/STUDY.yaml
expect 66 "mordal-cluster" mpi "$bin/mordal-rung" --study early/STUDY.yaml
expect 66 "mordal-cluster" mpi "$bin/mordal-regress" --study early/STUDY.yaml

echo "-- study files"
write_study named
sed -i 's/svtrv2.npy/nowhere.npy/' named/STUDY.yaml
expect 66 "nowhere.npy" mpi "$bin/mordal-archive" import --study named/STUDY.yaml
sed -i 's/nowhere.npy/svtrv2.npy/; s/warmup_rounds/warmup_round/' named/STUDY.yaml
expect 65 "warmup_rounds" mpi "$bin/mordal-archive" import --study named/STUDY.yaml
printf 'zoo: {sample_ids: %s, vision: [], language: []}\n' "$ids" >named/STUDY.yaml
expect 65 "vision" mpi "$bin/mordal-archive" import --study named/STUDY.yaml

echo "-- weights that lie"
prepare_lm() { # FOLDER: a study whose model devil is a copy to be damaged
    write_study "$1" efflite0
    mkdir -p "$1/devil"
    cp "$zoo/language/devil/"* "$1/devil/"
    chmod -R u+w "$1/devil"
    sed -i "s#checkpoint: $zoo/language/devil,#checkpoint: devil,#" "$1/STUDY.yaml"
    "$bin/mordal-archive" import --study "$1/STUDY.yaml" 2>/dev/null
    "$bin/mordal-cka" --study "$1/STUDY.yaml" --side vision 2>/dev/null
    "$bin/mordal-cluster" --study "$1/STUDY.yaml" --side vision >/dev/null 2>&1
}
prepare_lm weights
truncate -s -1000 weights/devil/model.safetensors
expect 65 "model.safetensors" mpi "$bin/mordal-archive" extract --study weights/STUDY.yaml
cp "$zoo/language/devil/model.safetensors" weights/devil/
patch weights/devil/model.safetensors -2 '\x00\x7e'
expect 65 "not finite" mpi "$bin/mordal-archive" extract --study weights/STUDY.yaml
cp "$zoo/language/devil/model.safetensors" weights/devil/
sed -i 's/"hidden_size": [0-9]*/"hidden_size": 48/' weights/devil/config.json
expect 65 "devil" mpi "$bin/mordal-archive" extract --study weights/STUDY.yaml

echo "-- places that cannot be written"
: >file.txt
expect 74 "file.txt" mpi "$bin/mordal-archive" import "a=three.npy" --side vision -o file.txt/x
mkdir full
if unshare -m mount -t tmpfs -o size=1m tmpfs full 2>/dev/null; then
    # shellcheck disable=SC2016
    full() { unshare -m bash -c 'mount -t tmpfs -o size=1m tmpfs full && "$@"; code=$?
        find full -type f; exit $code' bash "$@"; }
    expect 74 "full/dinov2s.h5" full "$bin/mordal-archive" import \
        "dinov2s=$zoo/vision/dinov2s.npy" --side vision -o full
    ! grep -qx 'full/.*' output.txt || fail "a full disk left a file"
else
    echo "no right to mount a small filesystem: a full disk is not tried"
fi

echo "-- two runs at once"
# This shell stands for the first run: it lives, and the lease names it.
write_study twice
echo "$(uname -n) $$ - nonce" >twice/.lease
expect 69 "in use by process $$" mpi "$bin/mordal-archive" import --study twice/STUDY.yaml
expect 69 "in use by process $$" "$bin/mordal" run twice/STUDY.yaml -n 2
grep -q nonce twice/.lease || fail "the second run took the lease"
