#!/bin/bash
# The same study on 1, 2 and 4 ranks gives the same files, value for value; 2 and 4 ranks compute
# activations again, and the 4 train two candidates at a time, whose weights each pair of ranks
# shards.
# shellcheck source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

for ranks in 1 2 4; do
    trainer=
    [[ $ranks -lt 2 ]] || trainer="activation_checkpointing: true"
    [[ $ranks -lt 4 ]] || trainer="$trainer, shard: true, ranks_per_candidate: 2"
    write_study "np$ranks"
    "$bin/mordal" run "np$ranks/STUDY.yaml" -n "$ranks"
    no_leftovers "np$ranks"
    # train_seconds differ from run to run: compare what was decided and measured
    for set in candidate error error_stderr loss promoted; do
        for file in np"$ranks"/rungs/*.h5; do
            print_value "$(basename "$file")" "$file" "/$set"
        done
    done >"decided.$ranks"
    for set in candidate status predicted low high point_error point_used; do
        print_value regress "np$ranks/regress/regress.h5" "/$set"
    done >>"decided.$ranks"
    for file in vision.h5 $(cd "np$ranks/cka" && ls language-*); do
        print_value "$file" "np$ranks/cka/$file" /similarity
    done >>"decided.$ranks"
done
cmp decided.1 decided.2 || fail "2 ranks decide otherwise than 1"
cmp decided.1 decided.4 || fail "4 ranks decide otherwise than 1"
[[ -s np1/report/report.html && $(wc -l <np1/report/ranking.csv) -eq 13 ]] ||
    fail "the report isn't whole"

# run again: everything is up to date and nothing is written
touch stamp
"$bin/mordal" run np1/STUDY.yaml -n 1 | tee again.txt
[[ -z $(find np1 -newer stamp -name '*.h5') ]] || fail "a second run wrote results again"

expect 0 'a rank (weights sharded over 2)' \
    mpiexec -n 4 "$bin/mordal-rung" --study np4/STUDY.yaml --rung 1 --dry-run --force
