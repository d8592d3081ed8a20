#!/bin/bash
# A search in rounds with real training decides the same on 1, 2 and 4 ranks, and after kills.
# shellcheck source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

decided() { # FOLDER
    for set in candidate status predicted low high point_error round round_candidate round_kept; do
        print_value regress "$1/regress/regress.h5" "/$set"
    done
}

write() { # FOLDER STRATEGY
    search="strategy: $2, start_ratio: 0.125" language="unicode devil" write_study "$1" efflite0 svtrv2
}

for strategy in cross interval; do
    for ranks in 1 2 4; do
        write "$strategy-$ranks" "$strategy"
        "$bin/mordal" run "$strategy-$ranks/STUDY.yaml" -n "$ranks" >"$strategy-$ranks.log"
        no_leftovers "$strategy-$ranks"
        decided "$strategy-$ranks" >"$strategy-$ranks.txt"
    done
    cmp "$strategy-1.txt" "$strategy-2.txt" || fail "$strategy: 2 ranks decide otherwise than 1"
    cmp "$strategy-1.txt" "$strategy-4.txt" || fail "$strategy: 4 ranks decide otherwise than 1"
    [[ $(wc -l <"$strategy-1/report/ranking.csv") -eq 5 ]] || fail "the ranking isn't whole"
done

# Killed in the middle of the rounds, twice, without a warning.
write struck interval
kills=0
checkpoints() { { find struck/candidates -name 'checkpoint-*.h5' 2>/dev/null || true; } | wc -l; }
for _ in 1 2; do
    before=$(checkpoints)
    setsid "$bin/mordal" run struck/STUDY.yaml -n 2 >struck.log 2>&1 &
    run=$!
    while kill -0 "$run" 2>/dev/null && [[ $(checkpoints) -le $before ]]; do
        sleep 0.05
    done
    if kill -0 "$run" 2>/dev/null; then
        kill -KILL -- "-$run"
        kills=$((kills + 1))
    fi
    wait "$run" 2>/dev/null || true
    pkill -KILL -f "$PWD/struck/STUDY.yaml" || true
    while pgrep -f "$PWD/struck/STUDY.yaml" >/dev/null; do sleep 0.05; done
done
"$bin/mordal" run struck/STUDY.yaml -n 2
echo "killed $kills times"
[[ $kills -ge 1 ]] || fail "the run was over before it could be killed"
no_leftovers struck
decided struck | cmp interval-1.txt - || fail "the struck study decided otherwise"
