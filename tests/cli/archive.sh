#!/bin/bash
# mordal-archive by hand: import from real arrays on any number of ranks, ls, verify, export, plans,
# results that are current, mistakes.
set -euo pipefail
# shellcheck source=cka_fixture.sh
source "$MORDAL_SOURCE_DIR/tests/cli/cka_fixture.sh"
zoo=$MORDAL_SOURCE_DIR/docs/quickstart/zoo
vision=$zoo/vision

nothing_in() {
    [ ! -e "$1" ] || [ -z "$(ls -A "$1")" ] || { ls -A "$1"; fail "something was left in $1"; }
}

echo "-- help"
for command in import extract ls verify export; do
    expect 0 "  $command " mordal-archive --help
    expect 0 "usage: mordal-archive $command" mordal-archive "$command" --help
done
expect 64 "did you mean import?" mordal-archive impot
expect 64 "no command is given" mordal-archive
expect 64 "did you mean --encoding?" mordal-archive import --encodign keep

echo "-- every rank count writes the same bytes"
for ranks in 1 2 3 4; do
    expect 0 "wrote out$ranks/svtrv2.h5: 1536 rows, float16" \
        mpiexec -n $ranks mordal-archive import --side vision --rows "$vision/sample_ids.txt" \
        -o out$ranks "dinov2s=$vision/dinov2s.npy" "svtrv2=$vision/svtrv2.npy"
    cmp out1/dinov2s.h5 out$ranks/dinov2s.h5 || fail "dinov2s differs on $ranks ranks"
    cmp out1/svtrv2.h5 out$ranks/svtrv2.h5 || fail "svtrv2 differs on $ranks ranks"
done

echo "-- a program alone shares no folder of MPI's with others, and leaves none"
mkdir lone
touch "lone/ompi.$HOSTNAME.$(id -u)" "lone/ompi.${HOSTNAME%%.*}.$(id -u)"
TMPDIR=$PWD/lone expect 0 "dinov2s" mordal-archive ls out1/dinov2s.h5
rm lone/ompi.*
nothing_in lone

echo "-- a current archive is left alone"
import() { mordal-archive import --side vision -o out1 "dinov2s=$vision/dinov2s.npy" "$@"; }
expect 0 "up to date: out1/dinov2s.h5" import --rows "$vision/sample_ids.txt"
expect 0 "wrote out1/dinov2s.h5" import --rows "$vision/sample_ids.txt" --force
expect 0 "inputs changed" import
expect 0 "settings changed, now label=CLS token" import --label "CLS token"
expect 0 "settings changed, now encoding=float32" import --label "CLS token" --encoding float32

echo "-- ls, verify, export"
expect 0 "CLS token; dinov2s.npy" mordal-archive ls out1/dinov2s.h5 out2/svtrv2.h5
grep -Eq '^svtrv2 +vision +1536 +- +384 float16 ' out.txt || { cat out.txt; fail "ls"; }
expect 0 "out2/svtrv2.h5: ok, 1536 rows" mpiexec -n 3 mordal-archive verify out1/*.h5 out2/*.h5
expect 0 "wrote back/svtrv2.npy" \
    mordal-archive export out2/svtrv2.h5 -o back/svtrv2.npy --rows back/ids.txt
cmp back/svtrv2.npy "$vision/svtrv2.npy" || fail "the exported array is another"
cmp back/ids.txt "$vision/sample_ids.txt" || fail "the exported ids are others"
expect 64 "wants one archive file" mordal-archive export out2/svtrv2.h5
expect 64 "is none of" mordal-archive export out2/svtrv2.h5 -o x.npy --encoding bfloat16
expect 64 "give the archive files" mordal-archive verify
expect 66 "nowhere.h5: not there" mordal-archive ls nowhere.h5

echo "-- a plan touches nothing"
expect 0 "1536 rows of 384 float32, 2.4 MB" mpiexec -n 2 mordal-archive import --dry-run \
    --side vision -o plan "a=$vision/svtrv2.npy" --encoding float32
[ ! -e plan ] || fail "the plan made a folder"

echo "-- mistakes leave no file"
head -1535 "$vision/sample_ids.txt" >short.txt
{ cat short.txt; head -1 short.txt; } >doubled.txt
{ cat short.txt; echo; } >empty.txt
run() { mordal-archive import --side vision -o bad "$@"; }
expect 65 "has 1535 lines but the array has 1536 rows" run "a=$vision/svtrv2.npy" --rows short.txt
expect 65 "rows 0 and 1535 have the same sample id" run "a=$vision/svtrv2.npy" --rows doubled.txt
expect 65 "the sample id of row 1535 is empty" run "a=$vision/svtrv2.npy" --rows empty.txt
expect 66 "nowhere.txt" run "a=$vision/svtrv2.npy" --rows nowhere.txt
expect 66 "nowhere.npy" run a=nowhere.npy
expect 64 "expected NAME=FILE" run "$vision/svtrv2.npy"
expect 64 "expected NAME=FILE" run "../a=$vision/svtrv2.npy"
expect 64 "model a is given twice" run "a=$vision/svtrv2.npy" "a=$vision/dinov2s.npy"
expect 64 "unknown type of file" run "a=$vision/images.csv"
expect 64 "leave out #x" run "a=$vision/svtrv2.npy#x"
expect 65 "has no tensor 'x'" run "a=$zoo/language/kjv/model.safetensors#x"
expect 65 "tensors; name one, as in" run "a=$zoo/language/kjv/model.safetensors"
expect 65 "has 1 dimensions" run "a=$zoo/language/kjv/model.safetensors#model.norm.weight"
expect 65 "datasets; name one, as in" run "a=$zoo/language/kjv/corpus.h5"
expect 65 "has no dataset '/x/y'" run "a=$zoo/language/kjv/corpus.h5#/x/y"
expect 65 "the dataset holds integers" run "a=$zoo/language/kjv/corpus.h5#/token"
head -c 100000 "$vision/svtrv2.npy" >cut.npy
expect 65 "truncated" run a=cut.npy
run3() { mpiexec -n 3 mordal-archive import --side vision -o bad "$@"; }
expect 65 "has 1535 lines but the array has 1536 rows" run3 "a=$vision/svtrv2.npy" --rows short.txt
expect 66 "nowhere.txt" run3 "a=$vision/svtrv2.npy" --rows nowhere.txt
expect 66 "nowhere.npy" run3 a=nowhere.npy
expect 65 "truncated" run3 a=cut.npy
nothing_in bad
expect 64 "needs --side" mordal-archive import "a=$vision/svtrv2.npy"
expect 64 "nothing to import" mordal-archive import --side vision -o bad
expect 64 "not both" mordal-archive import --study x.yaml "a=$vision/svtrv2.npy"

echo "-- a folder that can't be written, a disk that is full"
touch file
for ranks in 1 3; do
    expect 74 "file" mpiexec -n $ranks mordal-archive import --side vision -o file/x \
        "a=$vision/svtrv2.npy"
    expect 74 "/proc/x" mpiexec -n $ranks mordal-archive import --side vision -o /proc/x \
        "a=$vision/svtrv2.npy"
    # Open MPI's own files have up to 5 MB, so the archive has more than the limit allows.
    expect 74 "make room" bash -c "ulimit -f 6000; exec mpiexec -n $ranks mordal-archive import \
        --side vision -o full a=$vision/efflite0.npy --encoding float64"
    nothing_in full
done
expect 0 "wrote full/a.h5" mordal-archive import --side vision -o full "a=$vision/svtrv2.npy"
expect 74 "file" mordal-archive export full/a.h5 -o file/x.npy
expect 74 "/proc/x.npy" mordal-archive export full/a.h5 -o /proc/x.npy

echo "-- damage is found and named"
offset=$(head -c 512 full/a.h5 | grep -a mordal-guard | cut -d' ' -f3)
for row in 0 700 1535; do
    cp full/a.h5 damaged.h5
    byte=$((offset + row * 768 + 11))
    old=$(od -An -tu1 -j $byte -N 1 damaged.h5)
    printf '%b' "\\0$(printf %o $((old ^ 1)))" |
        dd of=damaged.h5 bs=1 seek=$byte conv=notrunc status=none
    for ranks in 1 4; do
        expect 65 "row $row (sample '$row') does not match its digest" \
            mpiexec -n $ranks mordal-archive verify damaged.h5 full/a.h5
        grep -q "full/a.h5: ok" out.txt || fail "verify stopped at the first bad file"
    done
done
expect 65 "sample '1535'" mordal-archive export damaged.h5 -o x.npy
compgen -G 'x.npy*' >/dev/null && fail "a failed export left a file"
head -c 100000 full/a.h5 >cut.h5
expect 65 "cut.h5" mpiexec -n 2 mordal-archive verify cut.h5
expect 65 "cut.h5" mordal-archive ls cut.h5

echo "-- stopped cleanly"
expect 75 "run the same command again" mpiexec -n 2 mordal-archive import --side vision -o stop \
    --time-limit 1e-9 "a=$vision/efflite0.npy"
nothing_in stop
