#!/bin/bash
# Halving and regression on a replay study: the same files on 1, 2 and 4 ranks, and after a stop.
set -euo pipefail
. "$MORDAL_SOURCE_DIR/tests/cli/search_fixture.sh"

# digests FOLDER: name and content digest of every result of the search.
digests() {
    local file
    for file in rungs/rung-1.h5 rungs/rung-2.h5 regress/regress.h5 regress/final.h5; do
        printf '%s %s\n' "$file" "$("$MORDAL_BUILD_DIR/tests-bin/content_digest" "$1/$file")"
    done
    find "$1/rungs" "$1/regress" -type f | sed "s|$1/||" | sort
}

search() {
    local ranks=$1
    mpiexec -n "$ranks" mordal-rung --study study/STUDY.yaml
    mpiexec -n "$ranks" mordal-rung --study study/STUDY.yaml --rung 2
    expect 0 'halving has finished with rung 2' mpiexec -n "$ranks" mordal-rung --study study/STUDY.yaml
    expect 0 'halving has finished' mordal-rung --study study/STUDY.yaml --rung 9
    mpiexec -n "$ranks" mordal-regress --study study/STUDY.yaml
    mpiexec -n "$ranks" mordal-regress --study study/STUDY.yaml --final
    expect 0 'up to date' mpiexec -n "$ranks" mordal-regress --study study/STUDY.yaml
}

for ranks in 1 2 4; do
    make_replay_study
    search "$ranks"
    digests study > "digests-$ranks"
    mv study "study-$ranks"
done
cmp digests-1 digests-2 || fail "2 ranks give other results than 1"
cmp digests-1 digests-4 || fail "4 ranks give other results than 1"

# Stopped at once (time limit of a millisecond), then run again.
make_replay_study
expect 75 'stopped cleanly' mpiexec -n 2 mordal-rung --study study/STUDY.yaml --time-limit 0.001
[ ! -e study/rungs ] || fail "a stopped rung left a result"
mordal-rung --study study/STUDY.yaml
mordal-rung --study study/STUDY.yaml
expect 75 'stopped cleanly' mordal-regress --study study/STUDY.yaml --time-limit 0.001
[ ! -e study/regress ] || fail "a stopped regression left a result"
mordal-regress --study study/STUDY.yaml
mordal-regress --study study/STUDY.yaml --final
digests study > digests-stopped
cmp digests-1 digests-stopped || fail "a stopped search gives other results"
