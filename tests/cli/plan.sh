#!/bin/bash
# mordal-regress --plan: before anything has run, and beside what was used afterwards.
set -euo pipefail
. "$MORDAL_SOURCE_DIR/tests/cli/search_fixture.sh"
study=study/STUDY.yaml
make_replay_study
row() { awk -v stage="$1" '$1 == stage { print $'"$2"' }' out.txt; }

mv study/clusters keep
find study | sort > before
expect 0 'clusters: not known yet' mordal-regress --study $study --plan
find study | sort | cmp before - || fail "the plan touched something"
[ "$(row rung-1 5)" = - ] || fail "something was used"
low=$(row total 2) worst=$(row total 4)
mv keep study/clusters
expect 0 'clusters: 7' mpiexec -n 2 mordal-regress --study $study --plan
expect 0 'full grid: 1500.0 s' mordal-regress --study $study --plan --full-seconds 100
# 7 of 15 pairs to 1/32, then 4 to 1/16, 2 clusters go on to 1/8.
[ "$(row rung-1 3)" = 21.9 ] || fail "rung-1"
[ "$(row rung-2 3)" = 12.5 ] || fail "rung-2"

mordal-rung --study $study
mordal-rung --study $study
mordal-regress --study $study
mordal-regress --study $study --final
expect 0 'total' mordal-regress --study $study --plan
used=$(row total 5)
awk -v low="$low" -v used="$used" -v worst="$worst" \
    'BEGIN { exit !(low <= used && used <= worst) }' || fail "used $used, planned $low to $worst"

# Steps around the training: what their attempts took, in rank seconds; damaged lines are passed over.
expect 0 'archive-extract   not known without the native trainer' mordal-regress --study $study --plan
[ "$(row archive-import 5)" = - ] || fail "an import that wasn't"
mkdir -p study/logs
cat > study/logs/usage << 'END'
begin archive-import 1000 2 -
end archive-import 1010 76
begin archive-import 2000 4 77
end archive-import 2005 0
end archive-import 9000 0
begin archive-import
begin report 3000 4 77
END
expect 0 'wall time of all' mordal-regress --study $study --plan
[ "$(row archive-import 5)" = 40.0 ] || fail "the import's seconds"
[ "$(row report 5)" = - ] || fail "a report that has not ended"
