#!/bin/bash
# How often sequential stopping ends with other clusters than all rows give, and after how many
# rows, on a synthetic workload and on the quick start's real encoders.
#
#   cka_stopping.sh BUILD FOLDER [ORDERS]      # Python with NumPy; 1 GB in FOLDER, kept for later
set -euo pipefail
build=$(realpath "$1") folder=$2 orders=${3:-1000}
source=$(cd "$(dirname "$0")/../.." && pwd)
bench=$build/tests-bin/bench_cka_stopping import=$build/bin/mordal-archive
zoo=$source/docs/quickstart/zoo/vision
export OPENBLAS_NUM_THREADS=1
mkdir -p "$folder"
cd "$folder"
if [ ! -d w2 ]; then
    python3 "$source/tests/bench/cka_workload.py" W2 w2-arrays
    arrays=()
    for file in w2-arrays/*.npy; do arrays+=("$(basename "$file" .npy)=$file"); done
    "$import" import --side vision -o w2 "${arrays[@]}"
    rm -r w2-arrays
fi
arrays=()
for file in "$zoo"/*.npy; do arrays+=("$(basename "$file" .npy)=$file"); done
"$import" import --side vision --rows "$zoo/sample_ids.txt" -o real "${arrays[@]}"
for batch in 64 256; do
    "$bench" "$batch" average 0.05 "$orders" 0.6,0.65,0.7,0.75,0.8 w2/*.h5
done
for linkage in complete single; do
    echo "$linkage linkage:"
    "$bench" 64 "$linkage" 0.05 "$orders" 0.6,0.7,0.8 w2/*.h5
done
for batch in 16 64; do
    "$bench" "$batch" average 0.05 "$orders" 0.4,0.5,0.6,0.7,0.8 real/*.h5
done
