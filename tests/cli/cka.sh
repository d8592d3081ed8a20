#!/bin/bash
# mordal-cka and mordal-cluster by hand: the same file from any number of ranks, results that are
# current, plans, mistakes, damaged files.
set -euo pipefail
# shellcheck source=cka_fixture.sh
source "$MORDAL_SOURCE_DIR/tests/cli/cka_fixture.sh"
import_zoo ve dinov2s svtrv2 tesseranet ppocrdet

echo "-- every rank count writes the same bytes of similarity"
for estimator in biased unbiased minibatch; do
    for ranks in 1 3 4; do
        expect 0 "4 models, 1536 samples, $estimator CKA in float32" \
            mpiexec -n $ranks mordal-cka --estimator $estimator -o $estimator-$ranks.h5 ve/*.h5
        same $estimator-1.h5 $estimator-$ranks.h5
    done
done

echo "-- the order of the files doesn't matter, and a current result is left alone"
expect 0 "up to date: minibatch-1.h5" \
    mordal-cka -o minibatch-1.h5 ve/t*.h5 ve/s*.h5 ve/p*.h5 ve/d*.h5
expect 0 "settings changed, now batch=32" mordal-cka --batch 32 -o minibatch-1.h5 ve/*.h5
expect 0 "inputs changed" mordal-cka --batch 32 -o minibatch-1.h5 ve/d*.h5 ve/s*.h5
expect 0 "up to date: minibatch-1.h5" mordal-cka --batch 32 --route minibatch \
    -o minibatch-1.h5 ve/d*.h5 ve/s*.h5
expect 0 "settings changed, now precision=float64" mordal-cka --batch 32 --precision float64 \
    -o minibatch-1.h5 ve/d*.h5 ve/s*.h5

echo "-- routes: planned, chosen by cost, asked for"
expect 0 "* minibatch: 24 batches" mordal-cka --dry-run -o plan.h5 ve/*.h5
grep -q "  gram: .*Gflop.* a rank, takes about" out.txt || fail "no plan of the other route"
expect 0 "route gram, 6 Gram tiles on 2 ranks" \
    mpiexec -n 2 mordal-cka --estimator biased --route gram -o gram.h5 ve/*.h5
grep -q "this rank sent .*B of sums" out.txt || fail "what was sent isn't said"
for ranks in 1 3; do
    expect 0 "route feature, 10 covariance blocks" mpiexec -n $ranks \
        mordal-cka --estimator unbiased --route feature -o feature-$ranks.h5 ve/*.h5
    same feature-1.h5 feature-$ranks.h5
done
expect 64 "doesn't go with --estimator minibatch" mordal-cka --route gram -o x.h5 ve/*.h5
expect 64 "doesn't go with --estimator biased" \
    mordal-cka --estimator biased --route minibatch -o x.h5 ve/*.h5
expect 64 "the feature route has no RBF kernel" \
    mordal-cka --estimator biased --kernel rbf --route feature -o x.h5 ve/*.h5
[ ! -e plan.h5 ] || fail "the plan wrote a file"

echo "-- mistakes and damage"
expect 64 "no output" mordal-cka ve/*.h5
expect 64 "no input" mordal-cka -o x.h5
expect 64 "is none of biased|unbiased|minibatch" mordal-cka --estimator best -o x.h5 ve/*.h5
expect 64 "batch of 3 rows" mordal-cka --batch 3 -o x.h5 ve/*.h5
expect 64 "bandwidth must be above 0" mordal-cka --kernel rbf --sigma -1 -o x.h5 ve/*.h5
expect 65 "at least two" mordal-cka -o x.h5 ve/dinov2s.h5
expect 65 "both hold model dinov2s" mordal-cka -o x.h5 ve/dinov2s.h5 ve/dinov2s.h5
expect 65 "doesn't start as a file of Mordal" mordal-cka -o x.h5 ve/dinov2s.h5 import.txt
expect 65 "mordal-similarity" mordal-cka -o x.h5 ve/dinov2s.h5 biased-1.h5
expect 66 "none.h5: not there" mordal-cka -o x.h5 ve/dinov2s.h5 none.h5
expect 74 "nowhere" mordal-cka -o /proc/nowhere/x.h5 ve/*.h5
cp ve/svtrv2.h5 damaged.h5
size=$(stat -c %s damaged.h5)
printf '\125\252' | dd of=damaged.h5 bs=1 seek=$((size / 2)) conv=notrunc status=none
expect 65 "damaged.h5" mpiexec -n 2 mordal-cka -o x.h5 ve/dinov2s.h5 damaged.h5
head -c $((size / 2)) ve/svtrv2.h5 >short.h5
expect 65 "short.h5" mordal-cka -o x.h5 ve/dinov2s.h5 short.h5
if compgen -G 'x.h5*' >/dev/null; then fail "a failed run left a file"; fi

echo "-- clusters"
expect 0 "4 models in 4 clusters at similarity 0.7" mordal-cluster -o c.h5 unbiased-1.h5
expect 0 "up to date: c.h5" mordal-cluster -o c.h5 unbiased-1.h5
expect 0 "settings changed, now threshold" mordal-cluster --threshold -1 -o c.h5 unbiased-1.h5
grep -q "4 models in 1 clusters" out.txt || fail "not one cluster"
expect 0 "under a second" mordal-cluster --dry-run -o plan.h5 unbiased-1.h5
expect 64 "must be between -1 and 1" mordal-cluster --threshold 2 -o x.h5 unbiased-1.h5
expect 64 "give one similarity file" mordal-cluster -o x.h5
expect 64 "no output" mordal-cluster unbiased-1.h5
expect 65 "mordal-archive" mordal-cluster -o x.h5 ve/svtrv2.h5
expect 66 "run mordal-cka first" mordal-cluster -o x.h5 none.h5
