# Helpers of the pipeline tests: a small study over a part of the quick-start zoo, and checks.
# shellcheck shell=bash
set -euo pipefail

: "${MORDAL_SOURCE_DIR:?run by ctest}"
zoo=$MORDAL_SOURCE_DIR/docs/quickstart/zoo
export bin=$MORDAL_BUILD_DIR/bin

# write_study FOLDER [VE...]: a study of these encoders (default four) and three language models,
# small enough for a test. The variables language, search and trainer say
# otherwise.
write_study() {
    local folder=$1
    shift
    (($#)) || set -- efflite0 efflite1 svtrv2 ppocrdet
    mkdir -p "$folder"
    {
        echo "name: test"
        echo "zoo:"
        echo "  sample_ids: $zoo/vision/sample_ids.txt"
        echo "  vision:"
        for ve in "$@"; do
            echo "    - {name: $ve, activations: $zoo/vision/$ve.npy}"
        done
        echo "  language:"
        for lm in ${language:-unicode devil jargon}; do
            echo "    - {name: $lm, checkpoint: $zoo/language/$lm, corpus: $zoo/language/$lm/corpus.h5}"
        done
        echo "search: {${search:-strategy: paper, start_ratio: 0.03, max_ratio: 0.12, keep: 2}}"
        echo "trainer: {${trainer:+$trainer, }learning_rate: 3.0e-3, lora: {rank: 4, alpha: 8}}"
        cat <<'YAML'
clusters: {warmup_rounds: 4, samples: 64}
regress: {train_choice: false}
YAML
    } >"$folder/STUDY.yaml"
}

# print_value LABEL FILE.h5 DATASET: label, dataset and all its values to the last digit on one line;
# fails when there is none, so that a comparison never compares nothing.
print_value() {
    rm -f values.txt
    h5dump -d "$3" -y -w 0 -m %.17g -o values.txt "$2" >/dev/null
    grep -q '[[:alnum:]]' values.txt || fail "$2: no values in $3"
    echo "$1 $3 $(tr -d ' \n' <values.txt)"
}

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# expect CODE WORDS COMMAND...: the command ends with CODE and says WORDS once.
expect() {
    local code=$1 words=$2 got=0
    shift 2
    "$@" >output.txt 2>&1 || got=$?
    if [[ $got -ne $code ]] || ! grep -qF -- "$words" output.txt; then
        cat output.txt
        fail "'$*' gave exit code $got, expected $code with the words '$words'"
    fi
    if [[ $code -ne 0 && $(grep -c ' ERROR ' output.txt) -gt 1 ]]; then
        cat output.txt
        fail "'$*' reported its error more than once"
    fi
}

# no_leftovers FOLDER: no unfinished file stands in the study.
no_leftovers() {
    local left
    left=$(find "$1" -name '*.tmp.*')
    [[ -z $left ]] || fail "unfinished files: $left"
}
