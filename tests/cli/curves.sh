#!/bin/bash
# mordal-regress --curves: predictions from a table, good and bad.
set -euo pipefail
. "$MORDAL_SOURCE_DIR/tests/cli/search_fixture.sh"
table=$MORDAL_SOURCE_DIR/tests/reference/lcdb_subset.csv

# predict FILE [OPTION...]: predictions into rows.csv, messages into log.txt.
predict() { mordal-regress --curves "$@" --print csv > rows.csv 2> log.txt; }
# warned TEXT: the last call said so.
warned() { grep -qF -- "$1" log.txt || { cat log.txt; fail "no warning: $1"; }; }
no_nan() { ! cut -d, -f3- rows.csv | grep -qi 'nan\|inf' || { cat rows.csv; fail "NaN in a ranking"; }; }

predict "$table" --at 0.125 --method pooled --confidence 0.9
head -1 rows.csv | grep -qx 'task,model,predicted,low,high' || fail "another header"
[ "$(cut -d, -f1 rows.csv | sort -u | wc -l)" = 15 ] || fail "tasks are missing"
no_nan
cp rows.csv first.csv

# Only fractions up to --at count; other ranks give nothing twice.
awk -F, '/^#/ || $3 == "fraction" || $3 <= 0.125' "$table" > cut.csv
predict cut.csv
cmp rows.csv first.csv || fail "points beyond --at were used"
mpiexec -n 3 mordal-regress --curves "$table" --print csv 2> log.txt | cmp - first.csv || fail "ranks differ"

for method in calibrated-slope last-value log-linear power-law; do
    predict "$table" --method $method
    no_nan
    [ "$(wc -l < rows.csv)" = "$(wc -l < first.csv)" ] || fail "$method leaves models out"
done

# What was measured at ratio 1 is taken as it is, however small.
printf 'model,task,fraction,err\na,t,0.5,0.002\na,t,1,0.0003\nb,t,0.5,0.002\nb,t,1,0.0001\n' > small.csv
predict small.csv --at 1
[ "$(awk -F, '$2 == "b" {print ($3 > .00009999 && $3 < .00010001)}' rows.csv)" = 1 ] || { cat rows.csv; fail "small errors"; }

# What can't be used is named; the rest is used.
cat > bad.csv <<'END'
# one line a problem
model,task,fraction,err,err_stderr,kind
good,t,0.03125,0.6,0.01,fresh
good,t,0.0625,0.5,0.01,fresh
good,t,0.125,0.4,0.01,fresh
good,t,0.125,0.4,0.01,fresh
good,t,1,0.2,0.01,fresh
twice,t,0.0625,0.5,0.01,fresh
twice,t,0.125,0.4,0.01,fresh
twice,t,0.125,0.42,0.01,fresh
zero,t,0.0625,0.01,0.003,fresh
zero,t,0.125,0,0,fresh
rising,t,0.0625,0.3,,fresh
rising,t,0.125,0.5,,fresh
nan,t,0.0625,0.5,0.01,fresh
nan,t,0.125,NaN,0.01,fresh
negative,t,0.0625,0.5,-1,fresh
negative,t,0.125,-0.1,0.01,fresh
single,t,0.125,0.5,0.01,fresh
early,t,0.03125,0.5,0.01,fresh
late,t,0.5,0.5,0.01,fresh
nowhere,t,2,0.5,0.01,fresh
both,t,0.125,0.5,0.01,fresh
both,t,0.125,0.9,0.01,checkpoint
runs,t,0.0625,0.5,0.01,checkpoint
runs,t,0.125,0.45,0.01,checkpoint
alone,u,0.125,0.5,0.01,fresh
END
predict bad.csv
no_nan
[ "$(wc -l < rows.csv)" = 12 ] || { cat rows.csv; fail "another number of models"; }
warned 'lines 5 and 6: both are for good on t at fraction 0.125; one counts'
warned 'lines 9 and 10: both are for twice on t at fraction 0.125; their mean counts'
warned "line 16: nan on t at fraction '0.125' with err 'NaN' is left out"
warned 't, nan: has no point at fraction 0.125; it is predicted from 0.0625'
warned "line 17: err_stderr '-1' isn't used"
warned "line 18: negative on t at fraction '0.125' with err '-0.1' is left out"
warned 't, single: has a single point'
warned 't, early: has no point at fraction 0.125; it is predicted from 0.03125'
warned "t, late: has no point up to fraction 0.125; it can't be predicted and is left out"
warned "line 22: nowhere on t at fraction '2'"
warned 't, both: has runs of its own and checkpoints of one run; the former count'
warned 'u: has one model, alone; there is nothing to rank'
grep '^t,both,' rows.csv | awk -F, '$3 > 0.6 {exit 1}' || fail "kinds were mixed"

# ve and llm instead of model, ratio instead of fraction, seeds.
printf '%s\n' ve,llm,ratio,seed,err a,b,0.0625,0,0.5 a,b,0.125,0,0.4 a,b,0.125,1,0.5 > pairs.csv
predict pairs.csv --method last-value
grep -q '^all,a+b,0.45,' rows.csv || { cat rows.csv; fail "seeds aren't averaged"; }

# Repeats count the same in any order, and equal ones once.
printf '%s\n' model,fraction,err a,0.125,0.5 a,0.125,0.4 a,0.125,0.5 > repeats.csv
predict repeats.csv --method last-value
grep -q '^all,a,0.45,' rows.csv || { cat rows.csv; fail "an equal row counts twice"; }
warned 'lines 2 and 3: both are for a on all at fraction 0.125; their mean counts'
warned 'lines 2 and 4: both are for a on all at fraction 0.125; one counts'

# Names in quotes come back in quotes.
printf '%s\n' '"model","task","fraction","err"' '"a, ""b""","#t", 0.125 ,"0.5"' > quotes.csv
predict quotes.csv --method last-value
sed 1d rows.csv | grep -q '^"#t","a, ""b""",0.5,' || { cat rows.csv; fail "quotes"; }

# A loss may be over 1, and so may both ends of its interval.
printf '%s\n' model,fraction,err a,0.015625,8.3 a,0.03125,7.1 a,0.0625,6.2 a,0.125,5.5 > loss.csv
predict loss.csv --method log-linear
awk -F, 'NR == 2 { ratio = $3 * $3 / $4 / $5; exit !(ratio > 0.999 && ratio < 1.001) }' rows.csv ||
    { cat rows.csv; fail "an interval of a loss was cut at 1"; }

# Losses below what predictions tell apart are named.
printf '%s\n' model,fraction,err a,0.125,0.0004 a,0.0625,0.1 b,0.125,0.0002 > small.csv
predict small.csv
warned '2 of 3 errors are over 0 and below 0.0005'

# Errors.
expect 66 'cannot be opened' mordal-regress --curves missing.csv --print csv
printf 'model,task,fraction\na,t,1\n' > no-err.csv
expect 65 "no column 'err'" mordal-regress --curves no-err.csv --print csv
printf 'task,fraction,err\nt,1,0.5\n' > no-model.csv
expect 65 "no column 'model (or ve and llm)'" mordal-regress --curves no-model.csv --print csv
printf 'model,task,fraction,err\na,t,0.1,abc\n' > word.csv
expect 65 "line 2: err must be a number, not 'abc'" mordal-regress --curves word.csv --print csv
printf 'model,task,fraction,err\na,t,0.1,nan\n' > none.csv
expect 65 'has no row that can be used' mordal-regress --curves none.csv --print csv
printf 'model,task,fraction,err\na,t,0.5,0.1\n' > late.csv
expect 65 'give a larger --at' mordal-regress --curves late.csv --print csv
printf 'model,task,fraction,err,kind\na,t,0.1,0.1,old\n' > kind.csv
expect 65 "kind is fresh or checkpoint, not 'old'" mordal-regress --curves kind.csv --print csv
expect 64 '--at must be over 0 to 1' mordal-regress --curves "$table" --at 0
expect 64 '--confidence must be between 0 and 1' mordal-regress --curves "$table" --confidence 1
expect 64 'method' mordal-regress --curves "$table" --method best
