#!/bin/bash
# The Gram cache: the same numbers with and without, a model joins when the other archives are gone,
# stale and damaged files are made again or refused.
set -euo pipefail
# shellcheck source=cka_fixture.sh
source "$MORDAL_SOURCE_DIR/tests/cli/cka_fixture.sh"
import_zoo ve dinov2s svtrv2 tesseranet ppocrdet mobilenetv2
old=(ve/dinov2s.h5 ve/svtrv2.h5 ve/ppocrdet.h5 ve/mobilenetv2.h5)

echo "-- the same file without a cache, while it is made, and from it, on any number of ranks"
expect 0 "similarity from" mordal-cka -o plain.h5 ve/*.h5
for ranks in 1 2 3 4 7; do
    expect 0 "Gram matrices of 4 models are kept" \
        mpiexec -n $ranks mordal-cka --force --gram-cache grams-$ranks -o old.h5 "${old[@]}"
    expect 0 "similarity from" \
        mpiexec -n $ranks mordal-cka --force --gram-cache grams-$ranks -o old-again.h5 "${old[@]}"
    if grep -q kept out.txt; then fail "they were made again"; fi
    same old.h5 old-again.h5
    for model in dinov2s svtrv2 ppocrdet mobilenetv2; do
        same grams-1/$model.h5 grams-$ranks/$model.h5
    done
done

echo "-- a model joins after the archives of the others went"
mkdir gone && mv "${old[@]}" gone/
expect 66 "not there" mordal-cka -o joined.h5 "${old[@]}" ve/tesseranet.h5
expect 0 "2 models" mordal-cka --dry-run --gram-cache grams-1 -o x.h5 ve/dinov2s.h5 ve/svtrv2.h5
expect 0 "Gram matrices of 1 model are kept" \
    mpiexec -n 2 mordal-cka --gram-cache grams-1 -o joined.h5 "${old[@]}" ve/tesseranet.h5
expect 0 "similarity from" mordal-cka -o given.h5 grams-1/*.h5
if command -v h5diff >/dev/null; then
    for file in joined.h5 given.h5; do
        h5diff plain.h5 $file /similarity || fail "$file differs"
        h5diff plain.h5 $file /standard_error || fail "$file differs"
    done
fi

echo "-- what doesn't serve is refused without the archive, and made again with it"
expect 65 "they are of 24 batches of 64 rows, not 48 of 32" \
    mordal-cka --batch 32 --gram-cache grams-1 -o x.h5 "${old[@]}"
expect 65 "they are in float32, not float64" \
    mordal-cka --precision float64 --gram-cache grams-1 -o x.h5 "${old[@]}"
expect 64 "serve the estimator minibatch: the others compare all" \
    mordal-cka --estimator unbiased --gram-cache grams-2 -o x.h5 ve/dinov2s.h5 ve/tesseranet.h5
expect 0 "Gram matrices of svtrv2 are made again: they are of 24 batches of 64 rows" \
    mordal-cka --batch 32 --gram-cache grams-2 -o x.h5 gone/svtrv2.h5 ve/tesseranet.h5
rm x.h5
tail -n +2 "$MORDAL_SOURCE_DIR/docs/quickstart/zoo/vision/sample_ids.txt" >ids.txt
head -1 "$MORDAL_SOURCE_DIR/docs/quickstart/zoo/vision/sample_ids.txt" >>ids.txt
zoo=$MORDAL_SOURCE_DIR/docs/quickstart/zoo/vision
mordal-archive import --side vision --rows ids.txt -o turned dinov2s="$zoo/dinov2s.npy" \
    tesseranet="$zoo/tesseranet.npy" 2>import.txt
expect 0 "they are of other samples, or of the same in another order" \
    mordal-cka --gram-cache grams-3 -o x.h5 turned/*.h5
mordal-archive import --side vision --rows ids.txt -o other dinov2s="$zoo/svtrv2.npy" 2>import.txt
expect 0 "the archive has changed since" \
    mordal-cka --gram-cache grams-3 -o x.h5 other/dinov2s.h5 turned/tesseranet.h5
rm x.h5

echo "-- damage"
size=$(stat -c %s grams-4/svtrv2.h5)
printf '\125\252' | dd of=grams-4/svtrv2.h5 bs=1 seek=$((size / 2)) conv=notrunc status=none
expect 65 "svtrv2.h5: batch" \
    mpiexec -n 2 mordal-cka --gram-cache grams-4 -o x.h5 ve/dinov2s.h5 ve/svtrv2.h5
head -c $((size / 2)) grams-7/svtrv2.h5 >grams-4/svtrv2.h5
expect 65 "damaged or cut short" \
    mordal-cka --gram-cache grams-4 -o x.h5 ve/svtrv2.h5 ve/dinov2s.h5
expect 0 "Gram matrices of svtrv2 are made again" \
    mordal-cka --gram-cache grams-4 -o x.h5 gone/svtrv2.h5 ve/dinov2s.h5
rm x.h5

echo "-- the RBF kernel, whose bandwidth is in its matrices"
expect 0 "similarity from" mordal-cka --kernel rbf --sigma 0.5 -o rbf.h5 gone/*.h5
expect 0 "Gram matrices of 4 models are kept" \
    mordal-cka --kernel rbf --sigma 0.5 --gram-cache rbf -o rbf-made.h5 gone/*.h5
expect 0 "similarity from" mpiexec -n 3 mordal-cka --kernel rbf --sigma 0.5 -o rbf-given.h5 rbf/*.h5
if command -v h5diff >/dev/null; then
    for file in rbf-made.h5 rbf-given.h5; do
        h5diff rbf.h5 $file /similarity || fail "$file differs"
        h5diff rbf.h5 $file /standard_error || fail "$file differs"
    done
fi
expect 65 "they are of another kernel (RBF sigma 0.5, not 1; 0 is linear)" \
    mordal-cka --kernel rbf -o x.h5 rbf/*.h5
expect 65 "they are of another kernel (RBF sigma 0.5, not 0; 0 is linear)" \
    mordal-cka -o x.h5 rbf/*.h5

echo "-- stopping leaves the batches that were read, and a later run goes on from them"
stop=(--stop clusters --threshold 0.5 --batch 16)
expect 0 "clusters settled after" mordal-cka "${stop[@]}" -o stop.h5 gone/*.h5
for ranks in 1 3; do
    expect 0 "Gram matrices of 4 models are kept" \
        mpiexec -n $ranks mordal-cka "${stop[@]}" --gram-cache part-$ranks -o stopped.h5 gone/*.h5
    same stop.h5 stopped.h5
    expect 0 "clusters settled after" mordal-cka "${stop[@]}" --force --gram-cache part-$ranks \
        -o stopped.h5 gone/*.h5
    if grep -q kept out.txt; then fail "they were made again"; fi
    same stop.h5 stopped.h5
    rm stopped.h5
done
for model in dinov2s svtrv2 ppocrdet mobilenetv2; do same part-1/$model.h5 part-3/$model.h5; done
expect 0 "clusters settled after" mordal-cka "${stop[@]}" -o given.h5 --force part-1/*.h5
if command -v h5diff >/dev/null; then
    h5diff stop.h5 given.h5 /similarity || fail "similarities of kept batches differ"
fi
expect 65 "of their 96 batches are there, those of a comparison that stopped early" \
    mordal-cka --batch 16 -o x.h5 part-1/*.h5
expect 65 "none of the batch from row" mordal-cka "${stop[@]}" --seed 7 -o x.h5 part-1/*.h5
expect 0 "Gram matrices of 4 models are kept" \
    mpiexec -n 2 mordal-cka "${stop[@]}" --seed 7 --gram-cache part-1 -o seed.h5 gone/*.h5
expect 0 "clusters settled after" mordal-cka "${stop[@]}" -o given.h5 --force part-1/*.h5
expect 0 "Gram matrices of 4 models are kept" \
    mordal-cka --batch 16 --gram-cache whole -o whole.h5 gone/*.h5
for ranks in 1 3; do
    expect 0 "Gram matrices of 4 models are kept" \
        mpiexec -n $ranks mordal-cka --batch 16 --gram-cache part-$ranks -o all.h5 --force gone/*.h5
    same all.h5 whole.h5
    for model in dinov2s svtrv2 ppocrdet mobilenetv2; do same part-$ranks/$model.h5 whole/$model.h5; done
done

echo "-- plans say what the cache and stopping change"
expect 0 "Gram cache: 4 of 5 models are kept: computes" \
    mordal-cka --dry-run --gram-cache rbf --kernel rbf --sigma 0.5 -o x.h5 gone/*.h5 ve/tesseranet.h5
expect 0 "Gram cache: 0 of 4 models are kept: computes" \
    mordal-cka --dry-run --gram-cache none -o x.h5 gone/*.h5
expect 0 "looked at 16 times; at the earliest after 8 of 96 batches" \
    mordal-cka --dry-run --stop clusters --batch 16 -o x.h5 gone/*.h5
[ ! -e none ] || fail "a plan made a folder"

echo "-- what doesn't go together is refused, also by a plan"
for plan in "" --dry-run; do
    # shellcheck disable=SC2086 # no word where there is none
    expect 64 "serve the estimator minibatch" \
        mordal-cka $plan --estimator biased --gram-cache wrong -o x.h5 gone/*.h5
    for option in "--gram-cache wrong" "--stop clusters" "--route gram" "--precision float32" \
        "--backend auto" "--estimator biased" "--kernel rbf"; do
        # shellcheck disable=SC2086
        expect 64 "and has no ${option%% *}: leave it out" \
            mordal-cka $plan --measure svcca $option -o x.h5 gone/*.h5
    done
done
[ ! -e wrong ] || fail "a refused run made a folder"
expect 74 "nowhere" mordal-cka --gram-cache /proc/nowhere -o x.h5 gone/*.h5
[ ! -e x.h5 ] || fail "a mistake left a file"
