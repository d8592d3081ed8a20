#!/bin/bash
# The command trainer with scripts that work, fail, hang, answer nonsense, work at the second try,
# and that are stopped or killed half way.
set -euo pipefail
. "$MORDAL_SOURCE_DIR/tests/cli/search_fixture.sh"

# make_command_study SCRIPT_TEXT [MORE_TRAINER_YAML]: four candidate clusters of one candidate each.
make_command_study() {
    make_study "good slow bad odd" "lm" "search: {strategy: paper, start_ratio: 0.125, eta: 2, max_ratio: 0.25, keep: 1}
regress: {divisor: 2, points: 2, max_points: 3}
trainer:
  kind: command
  command: {line: 'sh train.sh', tries: 2, time_limit: ${2:-20}}"
    printf '%s\n' "$1" > study/train.sh
    printf 'good lm 0 1\nslow lm 1 1\nbad lm 2 1\nodd lm 3 1\n' | make_clusters
}

# shellcheck disable=SC2016 # for the trainer's shell
answer='printf "{\"error\": 0.%s, \"error_stderr\": 0.01, \"train_seconds\": 2}" "$1" > "$MORDAL_RESULT"'
# shellcheck disable=SC2016
log='echo "$MORDAL_VE $MORDAL_RATIO_FROM $MORDAL_RATIO_TO" >> "$MORDAL_STUDY_FOLDER/calls.txt"'

has_ended() { # PID; within some seconds
    for ((tenth = 0; tenth < 100; tenth++)); do
        kill -0 "$1" 2> /dev/null || return 0
        sleep 0.1
    done
    return 1
}

# The environment, the working folder, and one call for each mark.
make_command_study "set -eu
[ \"\$PWD\" = \"\$MORDAL_STUDY_FOLDER\" ] && [ -d \"\$MORDAL_CHECKPOINT_DIR\" ]
[ \"\$MORDAL_LM\" = lm ] && [ \"\$MORDAL_SEED\" = 7 ] && [ \"\$MORDAL_RANKS\" = 1 ]
[ -z \"\${OMPI_COMM_WORLD_RANK:-}\" ]
$log
case \$MORDAL_VE in good) set -- 20 ;; slow) set -- 30 ;; bad) set -- 40 ;; odd) set -- 50 ;; esac
$answer"
expect 0 'good+lm' mpiexec -n 2 mordal-rung --study study/STUDY.yaml
grep -q '^good 0 0.0625$' study/calls.txt || fail "no call from 0 to the first mark"
grep -q '^good 0.0625 0.125$' study/calls.txt || fail "no call from mark to mark"
mpiexec -n 2 mordal-rung --study study/STUDY.yaml
mordal-regress --study study/STUDY.yaml
mordal-regress --study study/STUDY.yaml --final
sort study/calls.txt | uniq -d | grep . && fail "a mark was trained twice"
expect 0 'up to date' mordal-regress --study study/STUDY.yaml
rm -r study

# One candidate fails, one hangs past the limit, one answers nonsense: the search goes on.
make_command_study "$log
case \$MORDAL_VE in
good) set -- 20; $answer ;;
slow) trap '' TERM; sleep 300 & echo \$! > \"\$MORDAL_STUDY_FOLDER/child\"; wait; sleep 300 ;;
bad) echo working; echo 'CUDA out of memory' >&2; exit 3 ;;
odd) echo '{\"eror\": 0.1}' > \"\$MORDAL_RESULT\" ;;
esac" 5
sed -i 's/tries: 2/tries: 1/' study/STUDY.yaml
expect 0 'good+lm' mpiexec -n 4 mordal-rung --study study/STUDY.yaml
grep -q 'bad+lm failed: .*exit code 3; its last words: CUDA out of memory' out.txt || fail "bad"
grep -q "odd+lm failed: .*unknown key 'eror'; did you mean 'error'" out.txt || fail "odd"
grep -q 'slow+lm failed: .*it took longer than 5 s' out.txt || fail "slow"
has_ended "$(cat study/child)" || fail "the hanging script's children are still there"
# Run again, nothing is trained and the result is the same, reasons and all.
digest="$MORDAL_BUILD_DIR/tests-bin/content_digest"
before=$("$digest" study/rungs/rung-1.h5) calls=$(wc -l < study/calls.txt)
rm -r study/rungs
mordal-rung --study study/STUDY.yaml
[ "$("$digest" study/rungs/rung-1.h5)" = "$before" ] || fail "another result when run again"
[ "$(wc -l < study/calls.txt)" -eq "$calls" ] || fail "something was trained again"
rm -r study

# All fail: a sentence and exit code 76, on all ranks, with no result.
make_command_study 'exit 1'
expect 76 'all 4 candidates of rung 1 failed' mpiexec -n 2 mordal-rung --study study/STUDY.yaml
[ ! -e study/rungs/rung-1.h5 ] || fail "a result although all failed"
# With --force and a script that was mended they are tried again.
printf '%s\n' "set -- 25; $answer" > study/train.sh
expect 76 'failed before' mordal-rung --study study/STUDY.yaml
expect 0 'rung 1' mordal-rung --study study/STUDY.yaml --force
rm -r study

# Nonsense of all kinds.
for nonsense in '' '[]' '{}' '{"error": 2}' '{"error": "0.1"}' '{"error": NaN}' '{"error": 0.1' \
    '{"error": 0.1, "error": 0.2}' '{"error": 0.1, "loss": -1}' '{"error": 0.1, "train_seconds": null}'; do
    make_command_study "printf '%s' '$(printf '%s' "$nonsense")' > \"\$MORDAL_RESULT\""
    expect 76 'its answer is unusable' mordal-rung --study study/STUDY.yaml
    rm -r study
done

# Works at the second try.
make_command_study "if [ ! -e \$MORDAL_CHECKPOINT_DIR/tried ]; then
touch \$MORDAL_CHECKPOINT_DIR/tried; kill -SEGV \$\$; fi
set -- 25; $answer"
expect 0 'try 1 of 2 failed: exit code 139' mordal-rung --study study/STUDY.yaml
rm -r study

# Stopped by the time limit: the script gets SIGTERM, saves and ends with 75; run again, it goes on.
make_command_study "$log
set -- 25
if [ ! -e \$MORDAL_CHECKPOINT_DIR/saved ]; then
    trap 'touch \$MORDAL_CHECKPOINT_DIR/saved; exit 75' TERM
    sleep 60 & wait
fi
$answer"
expect 75 'run the same command again' mpiexec -n 2 mordal-rung --study study/STUDY.yaml --time-limit 2
[ -e study/candidates/good+lm/checkpoints/saved ] || fail "the script had no time to save"
[ ! -e study/rungs/rung-1.h5 ] || fail "a stopped rung left a result"
touch study/candidates/*/checkpoints/saved
mkdir -p study/candidates/{bad,odd}+lm/checkpoints
touch study/candidates/{bad,odd}+lm/checkpoints/saved
expect 0 'rung 1' mpiexec -n 2 mordal-rung --study study/STUDY.yaml
rm -r study

# Killed by SIGKILL: the script goes too, and the same command goes on.
make_command_study "$log
echo \$\$ > \$MORDAL_STUDY_FOLDER/child.new; mv \$MORDAL_STUDY_FOLDER/child.new \$MORDAL_STUDY_FOLDER/child
[ -e \$MORDAL_STUDY_FOLDER/free ] || sleep 300
set -- 25; $answer"
mordal-rung --study study/STUDY.yaml > /dev/null 2>&1 &
rung=$!
while [ ! -e study/child ]; do sleep 0.1; done
kill -KILL "$rung"
wait "$rung" || true
has_ended "$(cat study/child)" || fail "the script outlived mordal-rung"
touch study/free
expect 0 'rung 1' mordal-rung --study study/STUDY.yaml
