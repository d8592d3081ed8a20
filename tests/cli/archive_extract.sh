#!/bin/bash
# mordal-archive extract on the quick start's models: the same bytes from any number of ranks,
# poolings that agree with each other, plans, mistakes; then a small study up to its hidden states.
set -euo pipefail
# shellcheck source=cka_fixture.sh
source "$MORDAL_SOURCE_DIR/tests/cli/cka_fixture.sh"
language=$MORDAL_SOURCE_DIR/docs/quickstart/zoo/language
import_zoo ve dinov2s svtrv2

extract() { # RANKS OUT OPTION...
    local ranks=$1 out=$2
    shift 2
    mpiexec -n "$ranks" mordal-archive extract --vision ve/dinov2s.h5 --checkpoint "$language/kjv" \
        --corpus "$language/kjv/corpus.h5" --samples 30 -o "$out" "$@"
}

echo "-- every rank count writes the same bytes"
for ranks in 1 2 3 4; do
    expect 0 "wrote kjv$ranks.h5: 30 rows of 128 features" extract $ranks kjv$ranks.h5
    cmp kjv1.h5 kjv$ranks.h5 || fail "hidden states differ on $ranks ranks"
done
expect 0 "up to date: kjv1.h5" extract 1 kjv1.h5
expect 0 "wrote strict.h5" extract 2 strict.h5 --backend strict
cmp kjv1.h5 strict.h5 || fail "memory that only the backend reaches changes hidden states"
expect 0 "settings changed, now seed=2" extract 1 kjv2.h5 --seed 2
expect 0 "settings changed, now warmup_rounds=0" extract 1 kjv3.h5 --warmup 0
cmp -s kjv1.h5 kjv2.h5 && fail "the seed doesn't matter"
cmp -s kjv1.h5 kjv3.h5 && fail "the warm-up doesn't matter"
expect 0 "mean last hidden state after dinov2s; kjv over corpus.h5" mordal-archive ls kjv1.h5
expect 0 "ok, 30 rows" mordal-archive verify kjv1.h5

echo "-- poolings"
expect 0 "wrote" extract 2 last.h5 --pooling last
expect 0 "wrote" extract 2 all.h5 --pooling all
check=$MORDAL_SOURCE_DIR/tests/reference/check_pooling.py
if /usr/bin/python3 -c 'import numpy, h5py' 2>/dev/null; then
    /usr/bin/python3 "$check" "$language/kjv/corpus.h5" all.h5 kjv1.h5 last.h5
fi

echo "-- plans and mistakes leave no file"
expect 0 "30 rows of 128 float32" extract 1 plan.h5 --dry-run
expect 65 "was tokenised for a vocabulary of" extract 2 bad.h5 --corpus "$language/unicode/corpus.h5"
expect 66 "nowhere" extract 2 bad.h5 --checkpoint nowhere
expect 66 "nowhere.h5" extract 1 bad.h5 --corpus nowhere.h5
expect 66 "nowhere.h5" extract 1 bad.h5 --vision nowhere.h5
expect 65 "kjv1.h5" extract 1 bad.h5 --vision kjv1.h5
expect 64 "extract needs" mordal-archive extract --vision ve/dinov2s.h5
expect 64 "none of auto|cpu|cuda" extract 1 bad.h5 --backend gpu
expect 64 "--samples is 0" extract 1 bad.h5 --samples 0
expect 64 "it must be positive" extract 1 bad.h5 --learning-rate 0
expect 64 "takes options alone" extract 1 bad.h5 more
expect 75 "run the same command again" extract 2 bad.h5 --time-limit 1e-9
cp -r "$language/kjv" broken
truncate -s 100000 broken/model.safetensors
expect 65 "model.safetensors" extract 2 bad.h5 --checkpoint broken
compgen -G '*.h5.tmp*' >/dev/null || [ -e bad.h5 ] || [ -e plan.h5 ] && fail "something was left"

echo "-- a study"
mkdir study
{
    echo "zoo:"
    echo "  sample_ids: $MORDAL_SOURCE_DIR/docs/quickstart/zoo/vision/sample_ids.txt"
    echo "  vision:"
    for name in dinov2s efflite0 efflite1; do
        echo "  - {name: $name, activations: $language/../vision/$name.npy}"
    done
    echo "  language:"
    for name in devil unicode; do
        echo "  - {name: $name, checkpoint: $language/$name, corpus: $language/$name/corpus.h5}"
    done
    echo "clusters: {samples: 20}"
    echo "trainer: {backend: strict}"
} >study/STUDY.yaml
stage() { mpiexec -n 2 "$@" --study study/STUDY.yaml; }
expect 66 "run mordal-cluster --side vision first" stage mordal-archive extract
expect 0 "at most 3 x 2 files of 20 rows" stage mordal-archive extract --dry-run
expect 0 "wrote 3 files in archive/vision" stage mordal-archive import
expect 0 "up to date: all 3 files in archive/vision" stage mordal-archive import
expect 0 "3 models" stage mordal-cka --side vision
expect 0 "3 models in 2 clusters" stage mordal-cluster --side vision
expect 0 "dinov2s + unicode" stage mordal-archive extract --dry-run
[ ! -e study/archive/language ] || fail "the plan made a folder"
expect 0 "wrote 4 files in archive/language, 0 were up to date" stage mordal-archive extract
rm study/archive/language/dinov2s/devil.h5
expect 0 "wrote 1 files in archive/language, 3 were up to date" stage mordal-archive extract
expect 0 "up to date: all 4 files" stage mordal-archive extract
sed -i 's/samples: 20/samples: 21/' study/STUDY.yaml
expect 0 "settings changed, now samples=21" stage mordal-archive extract

echo "-- weights that ranks share give the same bytes"
again() { # RANKS TRAINER
    sed -i "s/^trainer: .*/trainer: {backend: strict, $2}/" study/STUDY.yaml
    mpiexec -n "$1" mordal-archive extract --study study/STUDY.yaml --force
}
file=study/archive/language/dinov2s/unicode.h5
cp $file whole.h5
for ranks in 1 2 3 4; do
    expect 0 "wrote 4 files" again $ranks "shard: true, ranks_per_candidate: 2"
    cmp $file whole.h5 || fail "shards of $ranks ranks change hidden states"
done
sed -i "s/, ranks_per_candidate: 2//" study/STUDY.yaml
expect 0 "(weights sharded over 2)" stage mordal-archive extract --dry-run

echo "-- packs give the same on any number of ranks, and what samples alone give but for rounding"
for ranks in 1 2 3; do
    expect 0 "wrote 4 files" again $ranks "shard: true, pack_length: 100"
    [ -e packed.h5 ] || cp $file packed.h5
    cmp $file packed.h5 || fail "packs on $ranks ranks change hidden states"
done
if /usr/bin/python3 -c 'import numpy, h5py' 2>/dev/null; then
    /usr/bin/python3 - <<'END' || fail "packs change hidden states by more than rounding"
import h5py, numpy as np
whole, packed = (np.asarray(h5py.File(name)["activation"]) for name in ("whole.h5", "packed.h5"))
apart = abs(whole - packed).max() / abs(whole).max()
print(f"apart by {apart:.1e}")
assert apart < 1e-5
END
fi
