#!/bin/bash
# A stage that comes near its time limit stops with a checkpoint and goes on in a next job of the
# same id, for which the steps behind it wait; the number of next jobs is bounded.
set -euo pipefail
# shellcheck source=with_cluster.sh
source "$MORDAL_SOURCE_DIR/tests/slurm/with_cluster.sh"
cluster_up 2
make_fake_study study <<'YAML'
regress: {train_choice: false}
search: {strategy: paper, start_ratio: 0.125}
slurm: {nodes: 2, time: 4, launcher: mpirun, max_requeues: 1}
YAML

restarts() { squeue -h -j "$1" -O RestartCnt 2>/dev/null | tr -d ' '; }
requeued() { [[ $(restarts "$1") == 1 ]]; }

echo "-- USR1, as Slurm sends it, with less than five minutes left: a next job"
echo 60 >study/slow-rung-1
expect_code 0 "$mordal" submit study
job=$(awk '$1 == "rung-1" {print $2}' study/logs/jobs)
wait_for 60 grep -qs '^rung-1 ' study/calls
sleep 1
scancel --signal=USR1 --batch "$job"
wait_for 30 requeued "$job"
"$mordal" status study >status.out
grep -q '^rung-1 .*was queued again' status.out || { cat status.out; fail "reason after requeue"; }
grep -q '^report .*waits for the step before' status.out || { cat status.out; fail "report"; }

echo "-- the next job goes on to the end"
echo 1 >study/slow-rung-1
wait_for 150 queue_is_empty
"$mordal" status study >status.out
[[ $(grep -c ' done ' status.out) == 9 ]] || { cat status.out; fail "not all steps are done"; }
[[ $(grep -c '^rung-1 ' study/calls) == 2 ]] || fail "rung-1 was not run twice"
log=study/logs/mordal-study-rung-1-$job.log
expect_text "restart 0" "$log"
expect_text "restart 1" "$log"

echo "-- no more next jobs than the study allows"
sed -i 's/max_requeues: 1/max_requeues: 0/' study/STUDY.yaml
echo 60 >study/slow-rung-1
: >study/calls
expect_code 0 "$mordal" rerun rung study --submit
wait_for 60 grep -q '^rung-1 ' study/calls
sleep 1
scancel --signal=USR1 --batch "$(awk '$1 == "rung-1" {print $2}' study/logs/jobs)"
wait_for 60 queue_is_empty
state_is rung-1 failed || { cat status.out; fail "rung-1 is not failed"; }
grep -q 'raise slurm.time or slurm.max_requeues' status.out || { cat status.out; fail "reason"; }
