#!/bin/bash
# mordal-regress: stages before it missing, stale inputs, dry run, failures.
set -euo pipefail
. "$MORDAL_SOURCE_DIR/tests/cli/search_fixture.sh"
study=study/STUDY.yaml

expect 0 'predicts errors at ratio 1' mordal-regress --help
expect 64 'give --study STUDY.yaml' mordal-regress
make_replay_study
expect 64 'is not an option' mordal-regress --study $study file.csv
expect 66 'run mordal-rung --study STUDY.yaml until it says that it has finished' \
    mpiexec -n 2 mordal-regress --study $study
mordal-rung --study $study
expect 66 'rung-2.h5' mordal-regress --study $study
mordal-rung --study $study
expect 64 'none of auto|cpu|cuda' mordal-regress --study $study --backend gpu
expect 66 'run mordal-regress --study STUDY.yaml first' mordal-regress --study $study --final

find study | sort > before
expect 0 'efflite0+tinygpt_kjv' mordal-regress --study $study --dry-run
find study | sort | cmp before - || fail "the dry run touched something"

mpiexec -n 2 mordal-regress --study $study
sed -i 's/confidence: 0.9/confidence: 0.5/' $study
expect 0 'settings changed, now regress.confidence=0.5' mordal-regress --study $study
expect 0 'at ratio 1: error' mordal-regress --study $study --final --backend strict
expect 0 'up to date' mordal-regress --study $study --final

# Other candidate clusters than the rungs were made from.
cp study/clusters/candidates.h5 keep.h5
printf '%s\n' 'dinov2s tinygpt_kjv 0 1' 'efflite0 tinygpt_kjv 1 1' 'ppocrdet tinygpt_kjv 2 1' | make_clusters
expect 66 'its inputs changed since it was made' mordal-regress --study $study
cp keep.h5 study/clusters/candidates.h5

# A surviving candidate that fails is ranked behind the predicted ones; all failing is said.
rm -r study/regress study/candidates
sed -i '/^efflite0,tinygpt_kjv,0.12500/d; /^efflite0,tinygpt_kjv,[01]\.[25]/d; /^efflite0,tinygpt_kjv,1/d' study/curves.csv
mordal-rung --study $study
mordal-rung --study $study
expect 0 'efflite0+tinygpt_kjv failed: ' mpiexec -n 2 mordal-regress --study $study
grep -q 'the choice is mobilenetv2+tinygpt_kjv' out.txt || fail "another choice"
