#!/bin/bash
# The PyTorch example of the command trainer, for real: two encoders and a language model of the
# quick-start zoo, a small budget; every call goes on from the checkpoint of the one before.
set -euo pipefail
. "$MORDAL_SOURCE_DIR/tests/cli/search_fixture.sh"
python3 -c 'import torch, numpy, h5py' 2> /dev/null || { echo "no PyTorch here"; exit 77; }

example=$MORDAL_SOURCE_DIR/docs/quickstart/command/train_candidate.py
zoo=$MORDAL_SOURCE_DIR/docs/quickstart/zoo
make_study "dinov2s efflite0" "unicode" "search: {strategy: paper, start_ratio: 0.1, eta: 2, max_ratio: 0.1, keep: 1}
regress: {divisor: 2, points: 2, max_points: 3}
trainer:
  kind: command
  command: {line: 'python3 $example --zoo $zoo --eval-limit 32', time_limit: 120}"
printf 'dinov2s unicode 0 1\nefflite0 unicode 1 1\n' | make_clusters
expect 0 'rung 1 is the last' mpiexec -n 2 mordal-rung --study study/STUDY.yaml

[ "$(cat study/candidates/*/command.log | grep -c 'steps')" -eq 6 ] || fail "not 3 calls for each"
for file in study/candidates/*/command.log; do
    sed -n 's/.*steps \([0-9]*\) to \([0-9]*\),.*/\1 \2/p' "$file" |
        awk 'NR > 1 && $1 != last { exit 1 } { last = $2 }' || fail "$file: trained something twice"
done
