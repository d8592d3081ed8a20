#!/bin/bash
# Sourced by the tests of mordal-rung, mordal-regress and the command trainer: a study in ./study
# whose candidate clusters are given. Usage: make_study VES LMS (space-separated lists) TRAINER_YAML
# then make_clusters < TABLE.
make_study() {
    local ves=$1 lms=$2 trainer=$3 name
    mkdir -p study/zoo
    printf '%s\n' s1 s2 s3 s4 > study/zoo/ids.txt
    {
        printf 'name: test\nseed: 7\nzoo:\n  sample_ids: zoo/ids.txt\n  vision:\n'
        for name in $ves; do
            : > "study/zoo/$name.npy"
            printf '  - name: %s\n    activations: zoo/%s.npy\n' "$name" "$name"
        done
        printf '  language:\n'
        for name in $lms; do
            mkdir -p "study/zoo/$name"
            : > "study/zoo/$name.h5"
            printf '  - name: %s\n    checkpoint: zoo/%s\n    corpus: zoo/%s.h5\n' "$name" "$name" "$name"
        done
        printf '%s\n' "$trainer"
    } > study/STUDY.yaml
}

make_clusters() {
    mkdir -p study/clusters
    "$MORDAL_BUILD_DIR/tests-bin/make_candidates" study/clusters/candidates.h5
}

# The replay study: five encoders, three language models, seven candidate clusters.
make_replay_study() {
    make_study "dinov2s efflite0 mobilenetv2 svtrv2 ppocrdet" \
        "tinygpt_foldoc tinygpt_kjv tinyllama_wordnet" \
        'search: {strategy: paper, start_ratio: 0.03125, eta: 2, max_ratio: 0.125, keep: 2}
regress: {divisor: 2, points: 2, max_points: 3, confidence: 0.9}
trainer:
  kind: replay
  replay: {curves: curves.csv}'
    cp "$MORDAL_SOURCE_DIR/tests/cli/curves.csv" study/curves.csv
    make_clusters << 'END'
dinov2s tinygpt_foldoc 0 1
dinov2s tinygpt_kjv 0 0
dinov2s tinyllama_wordnet 1 1
efflite0 tinygpt_foldoc 2 0
efflite0 tinygpt_kjv 2 0
efflite0 tinyllama_wordnet 3 0
mobilenetv2 tinygpt_foldoc 2 1
mobilenetv2 tinygpt_kjv 2 0
mobilenetv2 tinyllama_wordnet 3 1
svtrv2 tinygpt_foldoc 4 1
svtrv2 tinygpt_kjv 4 0
svtrv2 tinyllama_wordnet 4 0
ppocrdet tinygpt_foldoc 5 0
ppocrdet tinygpt_kjv 5 1
ppocrdet tinyllama_wordnet 6 1
END
}

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# expect CODE TEXT COMMAND...: the command's exit code and a text in its output.
expect() {
    local code=$1 text=$2 got=0
    shift 2
    "$@" > out.txt 2>&1 || got=$?
    [ "$got" -eq "$code" ] || { cat out.txt >&2; fail "exit code $got, expected $code: $*"; }
    grep -qF -- "$text" out.txt || { cat out.txt >&2; fail "no '$text' in the output of: $*"; }
}
