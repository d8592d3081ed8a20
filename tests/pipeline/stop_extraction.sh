#!/bin/bash
# Extraction stops once the clusters of the language models are settled: fewer samples with the
# clusters of all, the same bytes from any number of ranks and after any kill, and undecided where
# the samples don't suffice.
# shellcheck source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# A study up to its vision clusters: FOLDER SIMILARITY THRESHOLD
prepare() {
    language="${models:-unicode devil jargon kjv}" write_study "$1" efflite0 efflite1 svtrv2
    sed -i "s/samples: 64/samples: 320, language_threshold: $3/" "$1/STUDY.yaml"
    echo "similarity: {batch: 8$2}" >>"$1/STUDY.yaml"
    "$bin/mordal-archive" import --study "$1/STUDY.yaml" 2>/dev/null
    "$bin/mordal-cka" --study "$1/STUDY.yaml" --side vision 2>/dev/null
    "$bin/mordal-cluster" --study "$1/STUDY.yaml" --side vision >/dev/null 2>&1
}

# The language side to its clusters: FOLDER RANKS
finish() {
    mpiexec -n "$2" "$bin/mordal-archive" extract --study "$1/STUDY.yaml" >"$1.txt" 2>&1 ||
        { cat "$1.txt"; fail "extraction in $1"; }
    "$bin/mordal-cka" --study "$1/STUDY.yaml" --side language >"$1-cka.txt" 2>&1
    "$bin/mordal-cluster" --study "$1/STUDY.yaml" --side language >/dev/null 2>&1
}

clusters_of() {
    for file in "$1"/clusters/language-*.h5; do
        print_value "$(basename "$file")" "$file" /label
    done
}

# attribute FILE NAME: its value
attribute() {
    h5dump -a "/$2" "$1" | sed -n 's/^ *(0): //p'
}

echo "-- fewer samples, the same clusters"
prepare full "" 0.9
finish full 2
prepare stop ", stop: clusters" 0.9
expect 0 "at the earliest after 64 of 320 samples, 11 looks" \
    "$bin/mordal-archive" extract --dry-run --study stop/STUDY.yaml
[[ ! -e stop/archive/language ]] || fail "the plan made a folder"
finish stop 1
grep -q "behind svtrv2: clusters settled after [0-9]* of 320 samples" stop.txt || fail "not settled"
grep -q "samples, after which the clusters were settled: all are read" stop-cka.txt ||
    fail "mordal-cka doesn't say so"
clusters_of full >full.labels
clusters_of stop >stop.labels
cmp full.labels stop.labels || fail "other clusters than those of all samples"
for ve in efflite0 svtrv2; do
    one=stop/archive/language/$ve/devil.h5 cka=stop/cka/language-$ve.h5
    n=$("$bin/mordal-archive" ls "$one" | awk 'NR == 2 {print $3}')
    [[ $n -lt 250 ]] || fail "$n of 320 samples were extracted"
    "$bin/mordal-archive" ls "$one" | grep -q "$n of 320 samples: settled" || fail "ls"
    [[ $(attribute "$one" n_available) == 320 && $(attribute "$one" stop) == '"settled"' ]] ||
        fail "$one doesn't say why it stopped"
    [[ $(attribute "$cka" n_sample) == "$n" && $(attribute "$cka" n_available) == 320 &&
        $(attribute "$cka" decided) == 1 ]] || fail "$cka doesn't say of how many samples it is"
done

echo "-- every number of ranks gives the same bytes"
for ranks in 2 3 4; do
    rm -rf stop/archive/language
    cp -r stop "np$ranks"
    finish "np$ranks" $ranks
    (cd "np$ranks/archive/language" && sha256sum ./*/*.h5) >"$ranks.sums"
    [[ $ranks -eq 2 ]] || cmp 2.sums $ranks.sums || fail "$ranks ranks give other archives"
done
finish stop 1
(cd stop/archive/language && sha256sum ./*/*.h5) | cmp - 2.sums || fail "1 rank gives other archives"
expect 0 "up to date: all 8 files in archive/language" \
    "$bin/mordal-archive" extract --study stop/STUDY.yaml

echo "-- killed at any moment and run again"
rm -rf stop/archive/language
cp -r stop struck
kills=0
for pause in 0.15 0.25 0.35 0.5 0.7 1.0; do
    setsid "$bin/mordal-archive" extract --study struck/STUDY.yaml >struck.txt 2>&1 &
    run=$!
    sleep $pause
    kill -KILL -- "-$run" 2>/dev/null && kills=$((kills + 1))
    wait "$run" 2>/dev/null || true
done
[[ $kills -ge 2 ]] || fail "the run was over before it could be killed"
finish struck 2
(cd struck/archive/language && sha256sum ./*/*.h5) | cmp - 2.sums || fail "a kill left its mark"
no_leftovers struck

echo "-- a model that joins is caught up with, and the end is that of a run from nothing"
models="unicode devil jargon" prepare joined ", stop: clusters" 0.9
finish joined 1
write_study joined efflite0 efflite1 svtrv2
cp stop/STUDY.yaml joined/STUDY.yaml
finish joined 1
(cd joined/archive/language && sha256sum ./*/*.h5) | cmp - 2.sums || fail "joining leaves its mark"

echo "-- another threshold, right where two models meet: all samples, and undecided"
edge=0.7355 # devil and jargon on all samples
sed -i "s/language_threshold: 0.9/language_threshold: $edge/" stop/STUDY.yaml
finish stop 2
grep -q "behind svtrv2: clusters undecided after all 320 samples" stop.txt || fail "not undecided"
[[ $(attribute stop/cka/language-svtrv2.h5 decided) == 0 ]] || fail "the similarity says decided"
sed -i "s/language_threshold: $edge/language_threshold: 0.9/" stop/STUDY.yaml
finish stop 1
(cd stop/archive/language && sha256sum ./*/*.h5) | cmp - 2.sums || fail "going back leaves its mark"

echo "-- mistakes"
sed -i 's/batch: 8,/batch: 8, estimator: unbiased,/' stop/STUDY.yaml
expect 65 "needs similarity.estimator: minibatch" \
    "$bin/mordal-archive" extract --study stop/STUDY.yaml
