# shellcheck shell=bash
# For tests of mordal-cka and mordal-cluster: outcomes of commands, and archives of real encoders.

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

# same FILE FILE: both results hold the same datasets and attributes
same() {
    local digests
    digests=$("$MORDAL_BUILD_DIR/tests-bin/content_digest" "$1" "$2") || fail "digests of $*"
    [ "$(echo "$digests" | sort -u | wc -l)" = 1 ] || fail "$1 and $2 differ"
}

# import_zoo FOLDER NAME...: archives of the quick start's encoders
import_zoo() {
    local folder=$1 zoo=$MORDAL_SOURCE_DIR/docs/quickstart/zoo/vision name arrays=()
    shift
    for name in "$@"; do arrays+=("$name=$zoo/$name.npy"); done
    mordal-archive import --side vision --rows "$zoo/sample_ids.txt" -o "$folder" "${arrays[@]}" \
        2>import.txt || { cat import.txt; fail "import"; }
}
