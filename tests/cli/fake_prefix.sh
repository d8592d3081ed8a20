# shellcheck shell=bash
# For tests of the driver and the job scripts: an install prefix whose stages are shell scripts.
# A fake stage writes its result files after a moment and obeys files in the study's folder:
#   fail-STEP    holds an exit code: say so with an ERROR line and leave with it
#   again-STEP   exists: remove it and stop with a checkpoint (75), as upon a signal
#   slow-STEP    holds seconds: work so long, in steps, and stop with 75 when USR1 comes
# Every call is a line in the file calls.

make_fake_prefix() { # PREFIX
    local name
    mkdir -p "$1/bin" "$1/share"
    ln -sfn "$MORDAL_BUILD_DIR/share/mordal" "$1/share/mordal"
    cp "$MORDAL_BUILD_DIR/bin/mordal" "$MORDAL_BUILD_DIR/bin/mordal-study" "$1/bin/"
    write_fake_stage "$1/bin/mordal-archive"
    for name in cka cluster rung regress report score; do
        cp "$1/bin/mordal-archive" "$1/bin/mordal-$name"
    done
}

write_fake_stage() { # FILE
    cat >"$1" <<'STAGE'
#!/bin/bash
set -u
program=$(basename "$0") all="$*" dry='' study='' rung=1 step=''
if [[ $all == --version ]]; then echo "$program 0.0.0"; exit 0; fi
while (($# > 0)); do
    case $1 in
        --study) study=$2; shift ;;
        --rung) rung=$2; shift ;;
        --dry-run | --plan) dry=1 ;;
    esac
    shift
done
folder=$(dirname "$study")
case "$program $all" in
    *import*) step=archive-import files=archive/vision/a.h5 ;;
    *extract*) step=archive-extract files=archive/language/a/lm.h5 ;;
    *cka*vision*) step=cka-vision files=cka/vision.h5 ;;
    *cka*language*) step=cka-language files=cka/language-a.h5 ;;
    *cluster*vision*) step=cluster-vision files=clusters/vision.h5 ;;
    *cluster*language*) step=cluster-language files='clusters/candidates.h5 clusters/language-a.h5' ;;
    *rung*) step=rung-$rung files=rungs/rung-$rung.h5 ;;
    *--final*) step=final files=regress/final.h5 ;;
    *regress*) step=regress files=regress/regress.h5 ;;
    *report*) step=report files='report/ranking.csv report/report.html' ;;
esac
if [[ $dry ]]; then echo "plan of $step"; exit 0; fi
stop=''
trap 'stop=1' USR1 TERM
rank=${OMPI_COMM_WORLD_RANK:-${PMIX_RANK:-0}}
if [[ $rank == 0 ]]; then
    echo "$step ${OMPI_COMM_WORLD_SIZE:-1} $(hostname)" >>"$folder/calls"
fi
say() { [[ $rank != 0 ]] || echo "2026-01-01T00:00:00 0.1s fake $*" >&2; }
if [[ -e $folder/slow-$step ]]; then
    for ((i = 0; i < 5 * $(cat "$folder/slow-$step"); i++)); do
        if [[ $stop ]]; then say "INFO stopped cleanly"; exit 75; fi
        sleep 0.2
    done
fi
if [[ -e $folder/again-$step ]]; then
    sleep 0.3
    rm -f "$folder/again-$step"
    exit 75
fi
if [[ -e $folder/fail-$step ]]; then
    say "ERROR the fake $step fails, as told"
    [[ $rank == 0 ]] || sleep 1 # no rank leaves before rank 0 has said why
    exit "$(cat "$folder/fail-$step")"
fi
if [[ $rank == 0 ]]; then
    for file in $files; do
        mkdir -p "$(dirname "$folder/$file")"
        echo "$step" >"$folder/$file"
    done
    [[ $step != rung-1 ]] || mkdir -p "$folder/candidates/a+lm"
    [[ $step != report ]] || cat >"$folder/report/ranking.csv" <<'CSV'
rank,ve,llm,cluster,status,error,error_low,error_high,ratio_trained,train_seconds
1,a,lm,0,trained,0.25,0.2,0.3,1,12
2,b,lm,1,predicted,0.5,0.4,0.6,0.125,3
CSV
fi
exit 0
STAGE
    chmod +x "$1"
}

make_fake_study() { # FOLDER, then more lines of the study from stdin
    mkdir -p "$1/zoo/lm"
    touch "$1/zoo/a.npy" "$1/zoo/b.npy" "$1/zoo/ids.txt" "$1/zoo/lm/corpus.h5"
    cat >"$1/STUDY.yaml" <<'YAML'
zoo:
  vision:
    - {name: a, activations: zoo/a.npy}
    - {name: b, activations: zoo/b.npy}
  language:
    - {name: lm, checkpoint: zoo/lm, corpus: zoo/lm/corpus.h5}
  sample_ids: zoo/ids.txt
YAML
    cat >>"$1/STUDY.yaml"
    grep -q '^search:' "$1/STUDY.yaml" || echo 'search: {strategy: paper}' >>"$1/STUDY.yaml"
}

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

expect_code() { # CODE COMMAND...: its output into the file out
    local want=$1 code=0
    shift
    "$@" >out 2>&1 || code=$?
    [[ $code == "$want" ]] || { cat out; fail "exit code $code, not $want, of: $*"; }
}

expect_text() { # PATTERN [FILE]
    grep -q -- "$1" "${2:-out}" || { cat "${2:-out}"; fail "no '$1' in ${2:-out}"; }
}
