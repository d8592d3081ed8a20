#!/bin/bash
# The chain on four hosts: to the end, refused twice, killed half way, a failing step.
set -euo pipefail
# shellcheck source=with_cluster.sh
source "$MORDAL_SOURCE_DIR/tests/slurm/with_cluster.sh"
cluster_up 4
make_fake_study study <<'YAML'
slurm: {nodes: 4, tasks_per_node: 2, time: 10, launcher: mpirun}
YAML

echo "-- submit returns at once; a second submit is refused"
echo 3 >study/slow-cka-vision
expect_code 0 "$mordal" submit study
expect_text "queued 12 jobs"
expect_code 69 "$mordal" submit study
expect_text "queued already"
wait_for 30 state_is cka-vision running
grep -q 'regress .*waits for the step before' status.out || fail "no reason for regress"

echo "-- one rank is killed half way: the step failed, those behind it are cancelled"
kill_a_rank mordal-cka
wait_for 30 queue_is_empty
state_is cka-vision failed || { cat status.out; fail "the killed step is not failed"; }
grep -q 'run or submit again' status.out || fail "no advice"
grep -q '^report .*was cancelled' status.out || { cat status.out; fail "report"; }

echo "-- job and script are killed at once; submit again goes on"
expect_code 0 "$mordal" submit study
wait_for 30 state_is cka-vision running
kill_the_job
wait_for 30 queue_is_empty
state_is cka-vision failed || { cat status.out; fail "the killed step is not failed"; }
grep -q '^cka-vision .*without a word' status.out || { cat status.out; fail "reason"; }
rm study/slow-cka-vision
expect_code 0 "$mordal" submit study
expect_text "queued 11 jobs"
wait_for 90 all_done
[[ $(grep -c '^archive-import 8 ' study/calls) == 1 ]] || fail "archive-import ran twice"
[[ $(awk '$1 == "report" {print $2}' study/calls) == 8 ]] || fail "not on 8 ranks"

echo "-- a failing step: the rest is cancelled and status says why"
expect_code 0 "$mordal" rerun regress study --submit
wait_for 60 all_done
echo 65 >study/fail-regress
expect_code 0 "$mordal" rerun regress study --submit
wait_for 60 queue_is_empty
state_is regress failed || fail "regress is not failed"
grep -q 'exit code 65: the fake regress fails, as told' status.out || { cat status.out; fail "reason"; }
grep -q '^report *pending .*was cancelled' status.out || { cat status.out; fail "report"; }

echo "-- the same with srun"
rm study/fail-regress
sed -i 's/launcher: mpirun/launcher: srun/' study/STUDY.yaml
: >study/calls
expect_code 0 "$mordal" submit study
wait_for 90 all_done
