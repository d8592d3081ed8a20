#!/bin/bash
# mordal-score: the numbers, on any number of ranks; in a study; and what can't be scored.
set -euo pipefail
. "$MORDAL_SOURCE_DIR/tests/cli/cka_fixture.sh"
/usr/bin/python3 -c 'import numpy, scipy' 2> /dev/null || exit 77
check() { /usr/bin/python3 "$MORDAL_SOURCE_DIR/tests/reference/check_scores.py" "$@"; }
score() { mordal-score "$@"; }

check make made
arrays=()
for file in made/*.npy; do arrays+=("$(basename "$file" .npy)=$file"); done
mordal-archive import --side vision --rows made/ids.txt -o a "${arrays[@]}" 2> log.txt
models=(a/plain.h5 a/offset.h5 a/constant.h5 a/doubled.h5 a/noise.h5 a/wide.h5)
embeddings=a/label-one.h5,a/label-three.h5,a/label-two.h5
for ranks in 1 2 4; do
    for method in logme nleep leep emms; do
        files=("${models[@]}") options=(--labels made/labels.csv)
        [ $method != leep ] || files=(a/probability-flat.h5 a/probability-sharp.h5)
        [ $method != emms ] || { options=(--embeddings "$embeddings"); unset 'files[5]'; }
        mpiexec -n $ranks mordal-score --method $method "${options[@]}" --print csv \
            -o $method.np$ranks.h5 "${files[@]}" > $method.np$ranks.csv 2> log.txt ||
            { cat log.txt; fail "$method on $ranks ranks"; }
        same $method.np1.h5 $method.np$ranks.h5
        [ $ranks -gt 1 ] || check $method made $method.np1.csv
    done
done
expect 0 'up to date' score --labels made/labels.csv -o logme.np1.h5 "${models[@]}"
expect 0 'plain: at most 120 rows of 12 features' score --dry-run --print csv \
    --labels made/labels.csv "${models[@]}"

# Labels that don't fit.
grep -v '^s1[0-9],' made/labels.csv > fewer.csv
printf 'elsewhere,kind 1\n' >> fewer.csv
expect 0 '1 labels have no row and 10 rows have no label; the other 110 count' \
    score --labels fewer.csv --print csv a/plain.h5
printf 'sample_id,label\ns1,a\ns2,b\ns3,a\n' > three.csv
expect 65 'logme of plain: 3 labelled rows' score --labels three.csv --print csv a/plain.h5
sed 's/,kind.*/,same/' made/labels.csv > same.csv
expect 65 "all rows are labelled 'same'" score --labels same.csv --print csv a/plain.h5
printf 'sample_id,label\ns1,a\ns1,b\n' > twice.csv
expect 65 "same sample id 's1'" score --labels twice.csv --print csv a/plain.h5
printf 'sample_id,label\ns1,\n' > empty.csv
expect 65 'a sample without id or label' score --labels empty.csv --print csv a/plain.h5
printf 'sample,label\ns1,a\n' > column.csv
expect 65 'needs the columns sample_id and label' score --labels column.csv --print csv a/plain.h5
expect 65 'no column split' score --labels made/labels.csv --split eval --print csv a/plain.h5
expect 66 'none.csv' score --labels none.csv --print csv a/plain.h5

# Features that can't be scored.
expect 65 'row 0 holds no probabilities' \
    score --method leep --labels made/labels.csv --print csv a/plain.h5
expect 65 'needs more rows than features' score --method emms --embeddings $embeddings \
    --print csv a/wide.h5
expect 65 'label embeddings have to be of one length' score --method emms \
    --embeddings a/label-one.h5,a/noise.h5 --print csv a/plain.h5
/usr/bin/python3 -c 'import numpy; numpy.save("flat.npy", numpy.full((120, 3), 2, "f4"))'
mordal-archive import --side vision --rows made/ids.txt -o b flat=flat.npy plain=made/plain.npy \
    2> log.txt
expect 0 'flat,' score --labels made/labels.csv --print csv b/flat.h5
expect 65 'the features of all rows are the same' \
    score --method nleep --labels made/labels.csv --print csv b/flat.h5
expect 65 'label embedding 1 is the same in all rows' \
    score --method emms --embeddings b/flat.h5 --print csv a/plain.h5
expect 65 'both hold model plain' score --labels made/labels.csv --print csv a/plain.h5 b/plain.h5

# What is asked for.
expect 64 'no archives to score' score --labels made/labels.csv --print csv
expect 64 'no output' score --labels made/labels.csv a/plain.h5
expect 64 'emms needs --embeddings' score --method emms --labels made/labels.csv --print csv a/plain.h5
expect 64 'give neither files nor labels' score --study x.yaml --labels made/labels.csv

# A study: encoders by image, a pair by evaluation sample.
zoo=$MORDAL_SOURCE_DIR/docs/quickstart/zoo
mkdir study
sed "s|zoo/|$zoo/|g" "$MORDAL_SOURCE_DIR/docs/quickstart/STUDY.yaml" > study/STUDY.yaml
mordal-archive import --study study/STUDY.yaml 2> log.txt
awk -F, '$7 == "eval" { print $2 "#0" }' "$zoo/vision/images.csv" > eval.txt
/usr/bin/python3 - "$zoo" << 'END'
import csv, sys, numpy
rows = [r["split"] == "eval" for r in csv.DictReader(open(sys.argv[1] + "/vision/images.csv"))]
numpy.save("kjv.npy", numpy.load(sys.argv[1] + "/vision/efflite0.npy")[rows])
END
mordal-archive import --side language --rows eval.txt -o study/archive/language/dinov2s \
    kjv=kjv.npy 2> log.txt
expect 64 'which leep needs' score --study study/STUDY.yaml --method leep
mpiexec -n 2 mordal-score --study study/STUDY.yaml --print csv > study.csv 2> log.txt
score --labels "$zoo/vision/images.csv" --split eval --print csv study/archive/vision/*.h5 \
    > files.csv 2> log.txt
grep -v '+' study.csv | cmp - files.csv || fail "a study scores otherwise than files"
# the pair was given the features of efflite0
awk -F, '{ value[$1] = $2 } END { d = value["dinov2s+kjv"] - value["efflite0"]
    exit !(value["efflite0"] > 0.2 && d < 1e-9 && d > -1e-9) }' study.csv || fail "the pair's score"
expect 0 'up to date' score --study study/STUDY.yaml
