#!/bin/bash
# A real study on four hosts, with srun, killed once: decides as the same study on this machine.
set -euo pipefail
# shellcheck source=../pipeline/lib.sh
source "$MORDAL_SOURCE_DIR/tests/pipeline/lib.sh"
# shellcheck source=with_cluster.sh
source "$MORDAL_SOURCE_DIR/tests/slurm/with_cluster.sh"
cluster_up 4
mordal=$MORDAL_BUILD_DIR/bin/mordal

decided() {
    local file set
    for file in "$1"/rungs/*.h5; do
        for set in candidate error loss promoted; do
            echo "$(basename "$file") $set $(value "$file" "/$set")"
        done
    done
    for set in candidate status predicted low high; do
        echo "$set $(value "$1/regress/regress.h5" "/$set")"
    done
}

echo "-- on this machine"
write_study calm
expect_code 0 "$mordal" run calm -n 2

echo "-- on the cluster; one rank of the first rung is killed"
write_study study
echo 'slurm: {nodes: 4, tasks_per_node: 1, time: 10, launcher: srun}' >>study/STUDY.yaml
expect_code 0 "$mordal" submit study
wait_for 120 kill_if_there mordal-rung
wait_for 60 queue_is_empty
state_is rung-1 failed || { cat status.out; fail "the killed rung is not failed"; }
expect_code 0 "$mordal" submit study
wait_for 150 queue_is_empty
state_is report "done" || { cat status.out; fail "the chain did not end"; }
cmp <(decided calm) <(decided study) || fail "the cluster decided otherwise"
no_leftovers study
