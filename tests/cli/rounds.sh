#!/bin/bash
# The rounds of interval and cross on a replay study: the same files on 1, 2 and 4 ranks and after a
# stop, and what is refused.
set -euo pipefail
. "$MORDAL_SOURCE_DIR/tests/cli/search_fixture.sh"
study=study/STUDY.yaml

make_rounds_study() { # STRATEGY
    make_replay_study
    sed -i "s/^search: .*/search: {strategy: $1, start_ratio: 0.125}/" $study
}

digests() {
    for file in regress/regress.h5 regress/final.h5; do
        printf '%s %s\n' "$file" "$("$MORDAL_BUILD_DIR/tests-bin/content_digest" "study/$file")"
    done
}

for strategy in interval cross; do
    for ranks in 1 2 4; do
        make_rounds_study "$strategy"
        mpiexec -n "$ranks" mordal-regress --study $study
        mpiexec -n "$ranks" mordal-regress --study $study --final
        digests > "$strategy-$ranks"
        expect 0 'up to date' mpiexec -n "$ranks" mordal-regress --study $study
        rm -r study
    done
    cmp "$strategy-1" "$strategy-2" || fail "$strategy: 2 ranks give other results than 1"
    cmp "$strategy-1" "$strategy-4" || fail "$strategy: 4 ranks give other results than 1"
done

# Stopped at once, twice, and run again.
make_rounds_study cross
expect 75 'stopped cleanly' mpiexec -n 2 mordal-regress --study $study --time-limit 0.001
[ ! -e study/regress ] || fail "a stopped search left a result"
expect 75 'stopped cleanly' mordal-regress --study $study --time-limit 0.001
mpiexec -n 3 mordal-regress --study $study
mordal-regress --study $study --final
digests | cmp cross-1 - || fail "a stopped search gives other results"

# There are no rungs, and a changed setting is named.
expect 0 'in rounds' mordal-study check $study
expect 64 'has no rungs' mpiexec -n 2 mordal-rung --study $study
sed -i 's/start_ratio: 0.125/start_ratio: 0.125, floor: 0.25/' $study
expect 0 'settings changed, now search.floor=0.25' mordal-regress --study $study
rm -r study

# A dry run touches nothing and says what comes first: the column of the cheapest language model.
make_rounds_study cross
find study | sort > before
expect 0 'first round: 5 of 15 candidates to ratio 0.125' mpiexec -n 2 mordal-regress --study $study --dry-run
find study | sort | cmp before - || fail "the dry run touched something"

# A candidate that fails is out, and the search goes on without it; when all fail it is said.
sed -i '/^efflite0,tinygpt_foldoc/d' study/curves.csv
expect 0 'candidate efflite0+tinygpt_foldoc failed' mpiexec -n 2 mordal-regress --study $study
mordal-report --study $study
grep -q '^15,efflite0,tinygpt_foldoc,[0-9]*,failed' study/report/ranking.csv || fail "the failed one isn't last"
[ "$(grep -c ',estimated,[0-9]' study/report/ranking.csv)" -eq 6 ] || fail "not 6 pairs added up"
[ "$(grep -c '^[0-9]*,efflite0,.*,not tried,,,,' study/report/ranking.csv)" -eq 2 ] || fail "not 2 pairs that nothing tells of"
grep -qi nan study/report/ranking.csv && fail "NaN in the ranking"
rm -r study
make_rounds_study interval
sed -i '/^[a-z]/!b; /^ve,/b; s/^/x/' study/curves.csv
expect 76 'all candidates that were trained failed; ' mpiexec -n 2 mordal-regress --study $study
[ ! -e study/regress/regress.h5 ] || fail "a result although all failed"
