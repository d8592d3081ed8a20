#!/bin/bash
# The driver on fake stages: help, mistakes, a run to the end, a failing step, going on, rerun.
set -euo pipefail
# shellcheck source=fake_prefix.sh
source "$MORDAL_SOURCE_DIR/tests/cli/fake_prefix.sh"
make_fake_prefix "$PWD/prefix"
mordal=$PWD/prefix/bin/mordal
make_fake_study study </dev/null

echo "-- help and version"
for sub in run submit status plan rerun check; do
    "$mordal" --help | grep -q "mordal $sub" || fail "help without $sub"
done
"$mordal" --version | grep -Eq '^mordal [0-9]+\.[0-9]+' || fail "version"

echo "-- usage mistakes"
expect_code 64 "$mordal"
expect_code 64 "$mordal" fly study/STUDY.yaml
expect_text "unknown sub-command 'fly'"
expect_code 64 "$mordal" run
expect_code 64 "$mordal" run --json study/STUDY.yaml
expect_text "isn't an option of"
expect_code 64 "$mordal" run study/STUDY.yaml -n 0
expect_code 64 "$mordal" rerun nothing study/STUDY.yaml
expect_text "archive-import"
expect_code 66 "$mordal" run nowhere/STUDY.yaml
expect_text "nowhere"
sed 's/sample_ids/sampel_ids/' study/STUDY.yaml >study/bad.yaml
expect_code 65 "$mordal" status study/bad.yaml
expect_text "bad.yaml:7: unknown key 'sampel_ids' in zoo; did you mean zoo.sample_ids"

echo "-- plan and check touch nothing"
expect_code 0 "$mordal" plan study
expect_text "plan of rung-3"
[[ ! -e study/logs ]] || fail "plan made logs/"
expect_code 0 "$mordal" check study
expect_text "all is well"

echo "-- a run to the end on two ranks"
expect_code 0 "$mordal" run study/STUDY.yaml -n 2
expect_text "\[12/12\] report"
expect_text "a + lm .* 0.2500  0.2000 to 0.3000"
expect_text "report: $PWD/study/report/report.html"
[[ $(wc -l <study/calls) == 12 ]] || fail "not 12 calls"
[[ $(awk '{print $2}' study/calls | sort -u) == 2 ]] || fail "not on two ranks"
expect_code 0 "$mordal" status study
[[ $(grep -c ' done ' out) == 12 ]] || { cat out; fail "not 12 steps done"; }

echo "-- a changed study file counts as to be checked again"
echo 'seed: 2' >>study/STUDY.yaml
expect_code 0 "$mordal" status study
expect_text "changed since it was done"

echo "-- rerun sets aside what it and what depends on it made, and no more"
expect_code 0 "$mordal" rerun rung-2 study -n 1
aside=$(echo study/logs/replaced-*)
for file in rungs/rung-2.h5 rungs/rung-3.h5 regress/regress.h5 regress/final.h5 report/report.html; do
    [[ -e $aside/$file && -e study/$file ]] || fail "$file was not set aside and made anew"
done
[[ ! -e $aside/rungs/rung-1.h5 && ! -e $aside/clusters ]] || fail "too much was set aside"
[[ ! -e $aside/candidates ]] || fail "checkpoints were set aside"
rm -r study/logs/replaced-*
expect_code 0 "$mordal" rerun rung study -n 1
[[ -e $(echo study/logs/replaced-*)/candidates ]] || fail "checkpoints were not set aside"

echo "-- a failing step ends the run with its code and sentence"
echo 76 >study/fail-regress
expect_code 76 "$mordal" run study -n 2
expect_text "regress failed (exit code 76): the fake regress fails, as told"
expect_text "logs/regress.log"
expect_code 0 "$mordal" status study --json
python3 - <<'PY'
import json
steps = {s["step"]: s for s in json.load(open("out"))["steps"]}
assert steps["regress"]["state"] == "failed", steps["regress"]
assert "as told" in steps["regress"]["reason"], steps["regress"]
assert steps["rung-3"]["state"] == "done", steps["rung-3"]
PY
rm study/fail-regress

echo "-- a step that stopped by itself goes on"
touch study/again-rung-2
expect_code 0 "$mordal" run study -n 1
[[ ! -e study/again-rung-2 ]] || fail "rung-2 was not run"

echo "-- a signal stops cleanly; the same command goes on"
echo 30 >study/slow-rung-1
"$mordal" run study -n 2 >slow.out 2>&1 &
driver=$!
for _ in $(seq 100); do
    [[ $(head -c 7 study/logs/state/rung-1 2>/dev/null) == running ]] && break
    sleep 0.1
done
sleep 1
kill -TERM "$driver"
code=0
wait "$driver" || code=$?
[[ $code == 75 ]] || { cat slow.out; fail "exit code $code after SIGTERM, not 75"; }
expect_text "the same command goes on" slow.out
rm study/slow-rung-1
expect_code 0 "$mordal" run study -n 2

echo "-- the chain without Slurm"
rm -r study/logs
expect_code 0 "$mordal" submit study --dry-run
expect_text "chain: archive-import cka-vision"
expect_text "--dependency=afterok:JOB_OF_regress"
expect_text "mordal-rung --rung 3 --study"
expect_text "rung.sbatch"
[[ ! -e study/logs ]] || fail "the dry run made logs/"

echo "-- every key is in docs/study.md as the program prints it"
"$MORDAL_BUILD_DIR/bin/mordal-study" --keys >keys.md
sed -n '/^| key | default/,/^$/p' "$MORDAL_SOURCE_DIR/docs/study.md" | sed '/^$/d' >documented.md
diff keys.md documented.md || fail "docs/study.md is behind mordal-study --keys"
