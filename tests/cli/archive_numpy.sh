#!/bin/bash
# Archive files against NumPy and h5py: values, types and ids of every kind of source and encoding,
# hostile arrays, the recipe for bfloat16. Skipped without Python, NumPy or h5py.
set -euo pipefail
# shellcheck source=cka_fixture.sh
source "$MORDAL_SOURCE_DIR/tests/cli/cka_fixture.sh"
python=/usr/bin/python3
"$python" -c 'import numpy, h5py' 2>/dev/null || exit 77
check=$MORDAL_SOURCE_DIR/tests/reference/check_archive.py

"$python" "$check" make
import() { mordal-archive import --side language -o "$@"; }

echo "-- every kind of source"
expect 0 "wrote kinds/bf16.h5" mpiexec -n 3 mordal-archive import --side language -o kinds \
    f2=f2.npy f4=f4.npy f8=f8.npy three=three.npy v2=v2.npy st=a.safetensors#w \
    bf16=a.safetensors#half.bf h5=a.h5#/deep/er/x chunked=a.h5#chunked
"$python" "$check" kinds

echo "-- every encoding, rounded as NumPy does"
for encoding in float16 bfloat16 float32 float64; do
    expect 0 "$encoding" mpiexec -n 2 mordal-archive import --side language -o $encoding \
        --encoding $encoding f8=f8.npy three=three.npy
    expect 0 "wrote" mordal-archive export $encoding/f8.h5 -o $encoding/f8.npy
    expect 0 "wrote" mordal-archive export $encoding/three.h5 -o $encoding/three.npy \
        --encoding float64
done
"$python" "$check" encodings

echo "-- an archive is a source too"
expect 0 "wrote again/f8.h5" import again f8=bfloat16/f8.h5#activation
expect 0 "wrote again.npy" mordal-archive export again/f8.h5 -o again.npy
cmp again.npy bfloat16/f8.npy || fail "not the same"

echo "-- hostile arrays"
run() { mordal-archive import --side language -o bad "$@"; }
expect 65 "model a, sample '17', column 2 (from 0) is NaN or infinite" run a=nan.npy
expect 65 "model a, sample '17', token 1, column 2" run a=inf3.npy
expect 65 "sample '3', column 4 does not fit float16 (at most 65504)" \
    run a=large.npy --encoding float16
expect 65 "dtype '<i8' is integers" run a=integers.npy
expect 65 "big-endian" run a=big.npy
expect 65 "Fortran order" run a=fortran.npy
expect 65 "Python objects" run a=objects.npy
expect 65 "at least one sample" run a=empty.npy
expect 65 "at least one sample" run a=narrow.npy
expect 65 "is of type I32" run a=a.safetensors#ints
expect 65 "big-endian floats" run a=a.h5#big
expect 65 "the dataset holds integers" run a=a.h5#ints
expect 65 "the dataset holds not numbers" run a=a.h5#texts
expect 65 "has 1 dimensions" run a=a.h5#flat
run3() { mpiexec -n 3 mordal-archive import --side language -o bad "$@"; }
expect 65 "model a, sample '17', column 2 (from 0) is NaN or infinite" run3 a=nan.npy
expect 65 "sample '3', column 4 does not fit float16" run3 a=large.npy --encoding float16
expect 65 "big-endian floats" run3 a=a.h5#big
[ -z "$(ls -A bad)" ] || fail "something was left"
