#!/bin/bash
# Fuzzes each reader of foreign files for some seconds, one after the other.
# usage: run.sh BUILD SECONDS [safetensors|json|image]...
# BUILD is a folder that `cmake --preset fuzz` configured. Inputs start from tests/reference; what is
# found, and the grown corpus, stand in BUILD/fuzz/. Exit code 1 when there is a finding.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
reference=$here/../reference
[ $# -ge 2 ] || { sed -n '2,5s/^# //p' "$0"; exit 64; }
build=$1 seconds=$2
shift 2
[ $# -gt 0 ] || set -- safetensors json image
bad=0

seeds() {
    case $1 in
    safetensors) find "$reference/parity" -name '*.safetensors' -size -300k ;;
    json) find "$reference" -name '*.json' ;;
    image) find "$reference/preprocess/images" -type f ;;
    esac
}

for target in "$@"; do
    corpus=$build/fuzz/$target
    mkdir -p "$corpus" "$build/fuzz/found"
    # Whole files of weights teach nothing that their headers don't.
    seeds "$target" | while read -r file; do
        head -c 65536 "$file" >"$corpus/seed-$(echo "$file" | cksum | cut -d' ' -f1)"
    done
    echo "-- $target, $seconds s"
    ASAN_OPTIONS=allocator_may_return_null=1 "$build/tests-bin/fuzz_$target" "$corpus" \
        -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=4096 -malloc_limit_mb=4096 \
        -dict="$here/$target.dict" -artifact_prefix="$build/fuzz/found/$target-" -print_final_stats=1 \
        2>"$build/fuzz/$target.log" || { bad=1; tail -40 "$build/fuzz/$target.log"; }
    grep -E 'stat::number_of_executed_units|^Done|DONE' "$build/fuzz/$target.log" || true
done
exit $bad
