#!/bin/bash
# mordal-rung: bad input, edge cases, dry run, by hand, changed settings.
set -euo pipefail
. "$MORDAL_SOURCE_DIR/tests/cli/search_fixture.sh"
study=study/STUDY.yaml

# Help, wrong options, missing inputs.
expect 0 'Runs one rung' mordal-rung --help
expect 64 'give --study STUDY.yaml' mordal-rung
expect 66 'cannot be opened' mpiexec -n 2 mordal-rung --study nowhere.yaml
make_replay_study
expect 64 'did you mean' mordal-rung --study $study --rumg 1
expect 64 'is not an option' mordal-rung --study $study extra
expect 64 '--rung counts from 1' mordal-rung --study $study --rung -2
mv study/clusters/candidates.h5 study/keep.h5
expect 66 'run mordal-cluster --study STUDY.yaml --side language first' \
    mpiexec -n 2 mordal-rung --study $study
head -c 3000 study/keep.h5 > study/clusters/candidates.h5
expect 65 'candidates.h5' mpiexec -n 2 mordal-rung --study $study
mv study/keep.h5 study/clusters/candidates.h5
expect 66 'run mordal-rung --study STUDY.yaml --rung 1 first' mordal-rung --study $study --rung 2

# A dry run touches nothing.
find study | sort > before
expect 0 'dinov2s+tinygpt_foldoc' mpiexec -n 2 mordal-rung --study $study --dry-run
grep -q '^time: about' out.txt || fail "the plan has no time"
grep -q '^memory: ' out.txt || fail "the plan has no memory"
find study | sort | cmp before - || fail "the dry run touched something"

# Current results are left alone; a changed setting runs again and says which.
mordal-rung --study $study
expect 0 'up to date' mordal-rung --study $study --rung 1
sed -i 's/keep: 2/keep: 3/' $study
expect 0 'settings changed, now search.keep=3' mordal-rung --study $study
sed -i 's/keep: 3/keep: 2/' $study
mordal-rung --study $study
mordal-rung --study $study
expect 0 'rung 2' mordal-rung --study $study --rung 2 --force

# By hand, on files outside of the study, the same as in the study.
mkdir hand
mordal-rung --study $study --candidates study/clusters/candidates.h5 -o hand/r1.h5
mordal-rung --study $study --candidates study/clusters/candidates.h5 --previous hand/r1.h5 -o hand/r2.h5
expect 0 'up to date' mordal-rung --study $study --previous hand/r1.h5 -o hand/r2.h5
expect 0 'has finished' mordal-rung --study $study --previous hand/r2.h5 -o hand/r3.h5
expect 64 'go with -o' mordal-rung --study $study --previous hand/r1.h5
digest="$MORDAL_BUILD_DIR/tests-bin/content_digest"
[ "$("$digest" hand/r1.h5)" = "$("$digest" study/rungs/rung-1.h5)" ] || fail "by hand differs"

# The damaged rung is found and made again.
printf 'x' | dd of=study/rungs/rung-1.h5 bs=1 seek=2000 conv=notrunc 2> /dev/null
expect 0 'is made again' mordal-rung --study $study
rm -r study

# Fewer clusters than K: nothing is trained.
make_replay_study
printf '%s\n' 'dinov2s tinygpt_kjv 0 1' 'efflite0 tinygpt_kjv 1 1' | make_clusters
expect 0 'clusters: 2, no more than K = 2: nothing to halve' mpiexec -n 2 mordal-rung --study $study
[ ! -e study/candidates ] || fail "something was trained"
rm -r study

# One encoder only, one language model only, one candidate only.
make_study "dinov2s" "tinygpt_kjv" 'search: {strategy: paper, start_ratio: 0.0625, eta: 2, max_ratio: 0.125, keep: 1}
regress: {divisor: 2, points: 2, max_points: 3}
trainer: {kind: replay, replay: {curves: curves.csv}}'
cp "$MORDAL_SOURCE_DIR/tests/cli/curves.csv" study/
echo 'dinov2s tinygpt_kjv 0 1' | make_clusters
mordal-rung --study $study
expect 0 'the choice is dinov2s+tinygpt_kjv' mordal-regress --study $study
rm -r study

# A candidate that the table doesn't have fails alone; when all do, it is said.
make_replay_study
sed -i '/^dinov2s,tinyllama/d; /^svtrv2,tinygpt_foldoc/d' study/curves.csv
expect 0 'dinov2s+tinyllama_wordnet failed: ' mpiexec -n 3 mordal-rung --study $study
rm -r study
make_replay_study
sed -i '/^[a-z]/!b; /^ve,/b; s/^/x/' study/curves.csv
expect 76 'all 7 candidates of rung 1 failed' mpiexec -n 2 mordal-rung --study $study
[ ! -e study/rungs/rung-1.h5 ] || fail "a result although all failed"

# A bad table, a folder that can't be written.
echo 'dinov2s,tinygpt_kjv,2,0,.5,1,1' >> study/curves.csv
expect 65 'ratio must be a number' mpiexec -n 2 mordal-rung --study $study
