#!/bin/bash
# Sequential stopping: fewer rows where the clusters are clear, the same clusters as of all rows,
# the same file from any number of ranks, and "undecided" where samples don't suffice.
set -euo pipefail
# shellcheck source=cka_fixture.sh
source "$MORDAL_SOURCE_DIR/tests/cli/cka_fixture.sh"
import_zoo ve dinov2s svtrv2 tesseranet ppocrdet mobilenetv2

echo "-- a clear case stops early, with the clusters of all rows"
expect 0 "similarity from" mordal-cka --batch 16 -o all.h5 ve/*.h5
for ranks in 1 2 3 4 7; do
    expect 0 "clusters settled after" \
        mpiexec -n $ranks mordal-cka --stop clusters --batch 16 -o stop-$ranks.h5 ve/*.h5
    same stop-1.h5 stop-$ranks.h5
done
rows=$(grep -o 'after [0-9]* of 1536 rows' out.txt | grep -o '^after [0-9]*' | grep -o '[0-9]*')
[ "$rows" -lt 768 ] || fail "$rows rows were read"
mordal-cluster -o all-c.h5 all.h5 | grep -E '^ +[0-9]+ ' >all.txt
mordal-cluster -o stop-c.h5 stop-1.h5 | grep -E '^ +[0-9]+ ' >stop.txt
diff all.txt stop.txt || fail "other clusters"

echo "-- another seed is another order"
expect 0 "settings changed, now" \
    mordal-cka --stop clusters --batch 16 --seed 2 -o stop-1.h5 ve/*.h5
expect 0 "up to date" mordal-cka --stop clusters --batch 16 --seed 2 -o stop-1.h5 ve/*.h5

echo "-- a threshold between two estimates leaves them undecided"
highest=$(mordal-cka --force --batch 16 -o all.h5 ve/*.h5 2>&1 | grep -oE 'to 0\.[0-9]+' | grep -oE '0\.[0-9]+')
for linkage in average complete single; do
    expect 0 "clusters undecided after all 1536 rows" mordal-cka --stop clusters --batch 16 \
        --linkage $linkage --threshold "$highest" -o undecided.h5 ve/*.h5
done
grep -q "least sure: the clusters of" out.txt || fail "it isn't said where"
expect 0 "left the clusters undecided" mordal-cluster -o c.h5 undecided.h5
if command -v h5diff >/dev/null; then
    h5diff -p 1e-9 all.h5 undecided.h5 /similarity || fail "all rows in another order differ"
fi

echo "-- through a study"
zoo=$MORDAL_SOURCE_DIR/docs/quickstart/zoo/vision
mkdir lm
touch lm/corpus.h5
{
    echo "similarity: {stop: clusters, batch: 16, gram_cache: true}"
    echo "zoo:"
    echo "  vision:"
    for name in efflite0 efflite1 dinov2s; do
        echo "    - {name: $name, activations: $zoo/$name.npy}"
    done
    echo "  language:"
    echo "    - {name: one, checkpoint: lm, corpus: lm/corpus.h5}"
    echo "  sample_ids: $zoo/sample_ids.txt"
} >STUDY.yaml
expect 0 "" mordal-archive import --study STUDY.yaml
expect 0 "cka/grams/vision: Gram matrices of 3 models are kept" mordal-cka --study STUDY.yaml --side vision
grep -q "clusters settled after" out.txt || fail "nothing was settled"
sed -i 's/stop: clusters, //' STUDY.yaml
expect 0 "cka/grams/vision: Gram matrices of 3 models are kept" \
    mpiexec -n 2 mordal-cka --study STUDY.yaml --side vision
rm archive/vision/efflite1.h5
expect 0 "cka/vision.h5: similarity from" mordal-cka --study STUDY.yaml --side vision --force

echo "-- mistakes"
expect 64 "needs the estimator minibatch" \
    mordal-cka --stop clusters --estimator unbiased -o x.h5 ve/*.h5
expect 64 "must be above 0 and at most 0.5" mordal-cka --stop clusters --alpha 0 -o x.h5 ve/*.h5
expect 64 "must be between -1 and 1" mordal-cka --stop clusters --threshold 2 -o x.h5 ve/*.h5
[ ! -e x.h5 ] || fail "a mistake left a file"
