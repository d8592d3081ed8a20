#!/bin/bash
# mordal-regress --simulate: searches on measured curves, sweeps on ranks, what can't be used.
set -euo pipefail
. "$MORDAL_SOURCE_DIR/tests/cli/search_fixture.sh"
curves=$MORDAL_SOURCE_DIR/docs/quickstart/curves.csv
simulate() { mordal-regress --simulate "$@"; }

expect 64 '--simulate needs --curves' mordal-regress --simulate
expect 64 "did you mean t_ve" simulate --curves "$curves" --sweep t_va=0.5
expect 64 'keep: 2.5 is not a whole number' simulate --curves "$curves" --sweep keep=2.5
expect 64 "is no FIRST:LAST:STEP" simulate --curves "$curves" --sweep eta=2:3
expect 64 'is given twice' simulate --curves "$curves" --sweep eta=2,eta=3
expect 66 'none.csv' simulate --curves none.csv

# The full grid: the best pair of the quick start at the grid's price, by definition.
expect 0 'all,efflite1+devil,1,1,1,0,0,1' simulate --curves "$curves" --strategy grid
expect 0 'mean,,1,1,1,0,0,1' simulate --curves "$curves" --strategy grid
# The paper's rule without halving, clusters and prediction is everybody's error at R.
expect 0 'opennsfw+austen' simulate --curves "$curves" --sweep halving=0,prediction=0

# A table is the same on any number of ranks, and holds every combination.
for ranks in 1 2 3 4; do
    mpiexec -n "$ranks" mordal-regress --simulate --curves "$curves" --seeds 3 -o "np$ranks.h5" \
        --sweep strategy=paper,interval,cross,additive,random,eta=2:4:0.5,confidence=0.5,0.9 \
        > "np$ranks.csv" 2> log.txt || { cat log.txt; fail "$ranks ranks"; }
    cmp np1.csv "np$ranks.csv" || fail "other numbers on $ranks ranks"
    cmp np1.svg "np$ranks.svg" || fail "another picture on $ranks ranks"
    h5diff np1.h5 "np$ranks.h5" || fail "another table on $ranks ranks"
done
[ "$(wc -l < np1.csv)" -eq 51 ] || fail "not 50 settings"
grep -q '^interval,2.5,0.9,' np1.csv || fail "a setting is missing"
grep -qi nan np1.csv && fail "NaN in the table"
head -n 1 np1.svg | grep -q '<svg' || fail "no picture"

# Scores that need no training: the order by score alone costs nothing; of the two best encoders'
# pairs, trained, the best is the best of all.
printf 've,llm,score\n' > few.csv
expect 64 'strategy score needs --scores' simulate --curves "$curves" --strategy score
printf 'model,score\n' > scores.csv
expect 65 'holds no scores' simulate --curves "$curves" --strategy score --scores scores.csv
awk -F, 'NR > 1 && $1 !~ /^#/ && !seen[$1]++ {
    print $1 "," ($1 == "efflite1" ? 2 : $1 == "svtrv2" ? 3 : 1) }' "$curves" >> scores.csv
expect 0 'all,svtrv2+' simulate --curves "$curves" --strategy score --scores scores.csv
grep -q '^all,svtrv2+.*,0$' out.txt || { cat out.txt; fail "not the best score, or not for nothing"; }
expect 0 'all,efflite1+devil,' simulate --curves "$curves" --scores scores.csv \
    --sweep strategy=score,share=0.2
grep -q '^all,efflite1+devil,[0-9.]*,1,1,0,0,0.1' out.txt || { cat out.txt; fail "a fifth trained"; }
sed 1q few.csv > pairs.csv
awk -F, 'NR > 1 && $1 !~ /^#/ && !seen[$1 $2]++ { print $1 "," $2 "," (-NR) }' "$curves" >> pairs.csv
best=$(sed -n 2p pairs.csv | awk -F, '{ print $1 "+" $2 }')
expect 0 "all,$best," simulate --curves "$curves" --strategy score --scores pairs.csv
grep -v '^efflite1' scores.csv > less.csv
expect 65 'no score of efflite1' simulate --curves "$curves" --strategy score --scores less.csv
printf 'model,score\nefflite1,nan\n' > nan.csv
expect 65 'score must be a finite number' simulate --curves "$curves" --scores nan.csv
awk 'BEGIN { print "model,score"; for (i = 0; i <= 20000; i++) print "m" i ",1" }' > many.csv
expect 65 'more than 20000 scores' simulate --curves "$curves" --scores many.csv
printf 'model,score\na,1\na,2\n' > twice.csv
expect 65 'two scores of a' simulate --curves "$curves" --scores twice.csv

# What can't be used is named; what can be is.
cat > bad.csv << 'END'
model,task,fraction,err
a,one,0.25,0.5
a,one,1,0.4
b,lone,1,0.3
a,two,0.125,0.4
a,two,1,0.2
b,two,0.125,0.5
b,two,0.25,nan
b,two,1,0
c,two,0.125,0.4
c,two,0.5,0.45
d,two,1,0.3
END
for strategy in paper interval halving random grid; do
    expect 0 'two: c is left out: no point at ratio 1' simulate --curves bad.csv --strategy $strategy
    grep -q 'task one has one model' out.txt || fail "no word of the lone model"
    grep -E '^(one|lone|two|mean),' out.txt > rows.txt
    [ "$(wc -l < rows.txt)" -eq 4 ] || fail "a task is missing"
    grep -qi nan rows.txt && fail "NaN in a row"
done
expect 65 'strategy additive needs every pair' simulate --curves bad.csv --strategy additive
printf 'model,task,fraction,err\na,t,0.5,0.1\n' > short.csv
expect 65 'no task has a model with a point at ratio 1' simulate --curves short.csv
