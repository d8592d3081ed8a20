#!/bin/bash
# A study through both sides of mordal-cka and mordal-cluster, to the candidate clusters; then the
# same candidates from the files by hand.
set -euo pipefail
# shellcheck source=cka_fixture.sh
source "$MORDAL_SOURCE_DIR/tests/cli/cka_fixture.sh"
zoo=$MORDAL_SOURCE_DIR/docs/quickstart/zoo/vision
mkdir -p lm
touch lm/corpus.h5
{
    echo "zoo:"
    echo "  vision:"
    for name in efflite0 efflite1 dinov2s; do
        echo "    - {name: $name, activations: $zoo/$name.npy}"
    done
    echo "  language:"
    for name in one two three; do
        echo "    - {name: $name, checkpoint: lm, corpus: lm/corpus.h5}"
    done
    echo "  sample_ids: $zoo/sample_ids.txt"
} >STUDY.yaml

echo "-- a stage before its input"
expect 66 "archive/vision/" mordal-cka --study STUDY.yaml --side vision
expect 66 "run mordal-cka first" mordal-cluster --study STUDY.yaml --side vision
expect 66 "run mordal-cluster first" mordal-cka --study STUDY.yaml --side language
expect 0 "waits for" mordal-cka --study STUDY.yaml --side vision --dry-run
expect 0 "waits for" mordal-cka --study STUDY.yaml --side language --dry-run
expect 64 "give --side" mordal-cka --study STUDY.yaml
expect 64 "give --side" mordal-cluster --study STUDY.yaml

echo "-- the vision side"
expect 0 "" mordal-archive import --study STUDY.yaml
expect 0 "cka/vision.h5: similarity from" mpiexec -n 2 mordal-cka --study STUDY.yaml --side vision
expect 0 "3 models in 2 clusters at similarity 0.7" \
    mpiexec -n 2 mordal-cluster --study STUDY.yaml --side vision
grep -q "efflite0 efflite1" out.txt || fail "the two EfficientNets are not together"

echo "-- the language side, with vision arrays in the place of hidden states"
for medoid in dinov2s efflite0; do
    expect 0 "" mordal-archive import --side language --rows "$zoo/sample_ids.txt" \
        -o archive/language/$medoid "one=$zoo/svtrv2.npy" "two=$zoo/ppocrdet.npy" \
        "three=$zoo/tesseranet.npy"
done
expect 0 "cka/language-efflite0.h5: similarity" mordal-cka --study STUDY.yaml --side language
expect 0 "9 candidates in 6 candidate clusters" mordal-cluster --study STUDY.yaml --side language
expect 0 "up to date: " mordal-cluster --study STUDY.yaml --side language
[ "$(grep -c 'up to date' out.txt)" = 3 ] || fail "not all three results are current"

echo "-- the same by hand"
expect 0 "9 candidates in 6 candidate clusters" mordal-cluster --vision clusters/vision.h5 \
    -o by-hand.h5 efflite0=clusters/language-efflite0.h5 dinov2s=clusters/language-dinov2s.h5
same by-hand.h5 clusters/candidates.h5
expect 64 "give dinov2s=CLUSTERS.h5" mordal-cluster --vision clusters/vision.h5 -o x.h5 \
    efflite0=clusters/language-efflite0.h5
expect 64 "once for each" mordal-cluster --vision clusters/vision.h5 -o x.h5 \
    efflite0=clusters/language-efflite0.h5 dinov2s=clusters/language-dinov2s.h5 more=x
expect 65 "these are vision clusters" mordal-cluster --vision clusters/vision.h5 -o x.h5 \
    efflite0=clusters/vision.h5 dinov2s=clusters/language-dinov2s.h5
[ ! -e x.h5 ] || fail "a failed run left a file"

echo "-- a new threshold makes clusters and candidates again"
echo "clusters: {language_threshold: 0}" >>STUDY.yaml
expect 0 "9 candidates in 2 candidate clusters" mordal-cluster --study STUDY.yaml --side language
