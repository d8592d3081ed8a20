#!/bin/bash
# How fast `mordal simulate` sweeps: 10,000 searches of 50 candidates (20 tasks, 500 settings), by
# strategy and number of ranks. The table of curves is made up: 10 encoders x 5 language models,
# power laws with noise at eight ratios. Usage: sweep.sh [RANKS...] (default 1), the build's bin/ in
# PATH; the tables of all of them have to be the same. docs/simulation.md has what it measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
awk 'BEGIN {
    srand(6)
    print "task,ve,llm,fraction,err,err_stderr,seconds"
    for (t = 1; t <= 20; t++) for (v = 1; v <= 10; v++) for (l = 1; l <= 5; l++) {
        low = 0.2 + 0.02 * v + 0.03 * l + 0.05 * rand(); slope = 0.2 + 0.3 * rand()
        for (k = 7; k >= 0; k--)
            printf "t%d,v%d,l%d,%.9g,%.6f,0.01,%.6f\n", t, v, l, 2 ^ -k,
                   low * 2 ^ (k * slope) / (1 + low * (2 ^ (k * slope) - 1)) + 0.01 * rand(), l * 2 ^ -k
    } }' > "$folder/curves.csv"
confidence='confidence=0.50:0.98:0.02'
start='start_ratio=0.0078125,0.015625,0.03125,0.0625'
declare -A sweep=(
    [paper]="strategy=paper,eta=1.5:3.9:0.1,$start,keep=1:5:1"
    [interval]="strategy=interval,$confidence,$start,max_ratio=0.25,0.4,0.5,0.7,1"
    [cross]="strategy=cross,$confidence,$start,max_ratio=0.25,0.4,0.5,0.7,1"
    [halving]="strategy=halving,eta=1.5:3.9:0.1,$start,keep=1:5:1"
)
for name in paper interval cross halving; do
    for n in "${@:-1}"; do
        printf '%-9s %d ranks: ' "$name" "$n"
        mpirun --bind-to none --oversubscribe -n "$n" mordal-regress --simulate \
            --curves "$folder/curves.csv" --sweep "${sweep[$name]}" 2>&1 >"$folder/now.csv" |
            sed -n 's/.*INFO searches: //p'
        [[ -e $folder/$name.csv ]] || cp "$folder/now.csv" "$folder/$name.csv"
        cmp "$folder/now.csv" "$folder/$name.csv"
    done
done
