#!/bin/bash
# A zoo with one encoder, one language model, or both, is searched all the same, with a
# warning; when every candidate diverges the search says so.
# shellcheck source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

run_to_the_end() { # FOLDER ROWS
    "$bin/mordal" run "$1/STUDY.yaml" -n 2 >"$1.log" 2>&1 || { cat "$1.log"; fail "$1"; }
    [[ $(wc -l <"$1/report/ranking.csv") -eq $(($2 + 1)) ]] || fail "$1: not $2 pairs in the ranking"
}

language="unicode devil" write_study one-ve efflite0
run_to_the_end one-ve 2
grep -q "WARN.*one model on the vision side" one-ve/logs/cka-vision.log || fail "no warning"

language=unicode write_study one-lm efflite0 svtrv2
run_to_the_end one-lm 2
grep -q "WARN.*one model on the language side" one-lm/logs/cka-language.log || fail "no warning"

language=unicode write_study one-pair efflite0
run_to_the_end one-pair 1

# adapters scaled by 1e30 overflow in the second step of every candidate
language="unicode devil" write_study diverges efflite0 svtrv2
sed -i 's/alpha: 8/alpha: 1.0e30/' diverges/STUDY.yaml
code=0
"$bin/mordal" run diverges/STUDY.yaml -n 2 >diverges.log 2>&1 || code=$?
[[ $code -eq 76 ]] || { cat diverges.log; fail "exit code $code, expected 76"; }
grep -q "training diverged" diverges/logs/rung-1.log || fail "the log doesn't say why the candidates failed"
[[ ! -e diverges/rungs/rung-1.h5 ]] || fail "a rung without a candidate left a result"
