#!/bin/bash
# The driver with a Slurm that talks (a site's plugins), that doesn't answer, or that isn't there.
set -euo pipefail
# shellcheck source=fake_prefix.sh
source "$MORDAL_SOURCE_DIR/tests/cli/fake_prefix.sh"
make_fake_prefix "$PWD/prefix"
mordal=$PWD/prefix/bin/mordal
make_fake_study study </dev/null
mkdir -p slurm
cat >slurm/sbatch <<'SBATCH'
#!/bin/bash
echo "sbatch: lua: job 7 is welcome" >&2
echo "$*" >>"$(dirname "$0")/calls"
echo "$((4710 + $(wc -l <"$(dirname "$0")/calls")));site"
SBATCH
cat >slurm/squeue <<'SQUEUE'
#!/bin/bash
[[ ! -e $(dirname "$0")/silent ]] || { echo "slurm_load_jobs error: Unable to contact controller" >&2; exit 1; }
cat "$(dirname "$0")/queue" 2>/dev/null || true
SQUEUE
chmod +x slurm/*

echo "-- without Slurm, rerun --submit sets nothing aside"
if ! command -v sbatch >/dev/null; then
    expect_code 0 "$mordal" run study -n 1
    expect_code 66 "$mordal" rerun regress study --submit
    [[ -e study/regress/regress.h5 ]] || fail "the result was set aside"
    rm -rf study/regress study/report study/logs
fi

echo "-- a site's plugin speaks with every job"
PATH=$PWD/slurm:$PATH
export PATH
expect_code 0 "$mordal" submit study
grep -q -- '--dependency=afterok:4711 ' slurm/calls || { cat slurm/calls; fail "dependency"; }
read -r step job <study/logs/jobs
[[ $job == 4711 ]] || fail "job $job of $step"

echo "-- no id, no chain: nothing is queued that waits for nobody"
mv study/logs/jobs jobs
mv slurm/sbatch slurm/talks
printf '#!/bin/bash\necho "accepted"\n' >slurm/sbatch
chmod +x slurm/sbatch
expect_code 70 "$mordal" submit study
expect_text "sbatch gave no job: accepted"
mv slurm/talks slurm/sbatch
mv jobs study/logs/jobs

echo "-- Slurm doesn't answer: no step is called dead, and no second chain is queued"
mkdir -p study/logs/state
echo "running 0 digest elsewhere 1 4711 0" >"study/logs/state/$step"
touch slurm/silent
expect_code 0 "$mordal" status study
expect_text "^$step *unknown *job 4711 .*Unable to contact controller"
expect_code 74 "$mordal" submit study
expect_code 74 "$mordal" run study -n 1

echo "-- the chain is queued: it isn't run beside it"
rm slurm/silent
echo "4711|RUNNING|None|0:01 of 10:00 on n1" >slurm/queue
expect_code 69 "$mordal" run study -n 1
expect_text "queued already"

echo "-- another run has the study: what is remembered of a step stays"
: >slurm/queue
rm study/logs/jobs
echo "failed 71 digest elsewhere 1 - 0" >"study/logs/state/$step"
cp "study/logs/state/$step" remembered
echo 69 >"study/fail-$step"
expect_code 69 "$mordal" run study -n 1
cmp remembered "study/logs/state/$step" || fail "the state of $step"
