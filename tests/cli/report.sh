#!/bin/bash
# mordal-report on files named by hand, on a study at every stage, and on bad input.
set -euo pipefail
make_search=$MORDAL_BUILD_DIR/tests-bin/make_search

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# expect CODE WORDS COMMAND...: the exit code, and words in what it says
expect() {
    local code=$1 words=$2 got=0
    shift 2
    "$@" >out.txt 2>&1 || got=$?
    [ "$got" -eq "$code" ] || { cat out.txt; fail "exit code $got, not $code: $*"; }
    grep -qF -- "$words" out.txt || { cat out.txt; fail "'$words' isn't said: $*"; }
}

# XML is stricter than HTML, and the page is both.
check_page() {
    command -v python3 >/dev/null || return 0
    python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$1"
}

make_study() {
    mkdir -p "$1/lm"
    touch "$1/ids.txt" "$1/ve.npy" "$1/corpus.h5"
    cat >"$1/STUDY.yaml" <<YAML
name: made-up
zoo:
  sample_ids: ids.txt
  vision:
    - {name: dinov2s, activations: ve.npy}
  language:
    - {name: decoder-000, checkpoint: lm, corpus: corpus.h5}
YAML
}

expect 0 "--print" mordal-report --help
expect 64 "give --study" mordal-report
expect 64 "give -o FOLDER" mordal-report some.h5
expect 66 "nowhere.h5" mordal-report -o by-hand nowhere.h5

"$make_search" files 10 6 6
mapfile -t files < <(find files -name '*.h5' | sort)
expect 0 "dinov2s+decoder" mordal-report --print -o by-hand "${files[@]}"
check_page by-hand/report.html
[ "$(wc -l <by-hand/ranking.csv)" -eq 61 ] || fail "ranking.csv has not one line a pair"
head -1 by-hand/ranking.csv | grep -qx \
    rank,ve,llm,cluster,status,error,error_low,error_high,ratio_trained,train_seconds ||
    fail "ranking.csv has another header"
if grep -qi 'nan\|inf' by-hand/ranking.csv; then fail "ranking.csv has a nan"; fi
awk -F, 'NF != 10 { exit 1 }' by-hand/ranking.csv || fail "ranking.csv has not 10 columns"

expect 65 "an earlier file describes" mordal-report -o twice files/cka/vision.h5 files/cka/vision.h5
[ ! -e twice ] || fail "a failed report left something behind"
head -c 2000 files/cka/vision.h5 >cut.h5
expect 65 "cut.h5" mordal-report -o cut cut.h5

make_study study-0
expect 66 "no result to report on" mordal-report --study study-0/STUDY.yaml
for stage in 0 2 4 6; do
    make_study "study-$stage"
    "$make_search" "study-$stage" 10 6 "$stage"
    expect 0 "report.html" mordal-report --study "study-$stage/STUDY.yaml"
    check_page "study-$stage/report/report.html"
done
[ -e study-6/report/ranking.csv ] || fail "no ranking.csv after the regression"
[ ! -e study-4/report/ranking.csv ] || fail "a ranking.csv before the regression"
grep -q "mordal-regress --study study-4/STUDY.yaml" study-4/report/report.html ||
    fail "the page doesn't name the next command"
grep -q "<dt>seed</dt>" study-6/report/report.html || fail "the page has no settings"

mv study-4/report kept
expect 0 "report.html" mordal-report --dry-run --study study-4/STUDY.yaml
[ ! -e study-4/report ] || fail "a dry run wrote something"

cp study-6/report/report.html first.html
mpiexec -n 3 mordal-report --study study-6/STUDY.yaml
cmp first.html study-6/report/report.html || fail "the page differs on 3 ranks"
