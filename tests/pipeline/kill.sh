#!/bin/bash
# Killed at any time and run again, a study ends as if it had never been disturbed.
# shellcheck source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

decided() {
    for file in "$1"/rungs/*.h5; do
        for set in candidate error loss promoted; do
            print_value "$(basename "$file")" "$file" "/$set"
        done
    done
    for set in candidate status predicted low high point_error; do
        print_value regress "$1/regress/regress.h5" "/$set"
    done
}

write_study calm
start=$(date +%s.%N)
"$bin/mordal" run calm/STUDY.yaml -n 2 >calm.log
end=$(date +%s.%N)

write_study struck
kills=0
for tenth in 1 3 4 5 6 7 8 9; do
    setsid "$bin/mordal" run struck/STUDY.yaml -n 2 >struck.log 2>&1 &
    run=$!
    sleep "$(awk -v a="$start" -v b="$end" -v t="$tenth" 'BEGIN { print (b - a) * t / 10 }')"
    if kill -0 "$run" 2>/dev/null; then
        kill -KILL -- "-$run" # the driver, mpirun and the ranks: no trap, no warning
        kills=$((kills + 1))
    fi
    wait "$run" 2>/dev/null || true
    pkill -KILL -f "$PWD/struck/STUDY.yaml" || true
    while pgrep -f "$PWD/struck/STUDY.yaml" >/dev/null; do sleep 0.05; done
done
"$bin/mordal" run struck/STUDY.yaml -n 2
echo "killed $kills times"
[[ $kills -ge 2 ]] || fail "the run was over before it could be killed"
no_leftovers struck
decided calm >calm.txt
decided struck >struck.txt
cmp calm.txt struck.txt || fail "the struck study decided otherwise"
