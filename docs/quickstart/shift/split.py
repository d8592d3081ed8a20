#!/usr/bin/env python3
"""Splits the quick start's samples so that target and alignment data are alike, or aren't.

usage: split.py ../zoo/vision/images.csv      writes near.csv and far.csv, for prepare_corpus.py

The target task of both is the same: every second emoji. far aligns on 1,000 pictures of clipart and
stamps, none of them an emoji; near on the other half of the emoji and as many of far's pictures as
make 1,000. Kinds that fewer than five emoji or five other pictures have are left out, so that no
answer is unheard of.
"""
import csv
import random
import sys
from collections import Counter

N_TRAIN = 1000


def write(path, train, target):
    with open(path, "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["sample_id", "question", "answer", "split"])
        for split, rows in (("train", train), ("eval", target)):
            for row in sorted(rows, key=lambda r: int(r["row"])):
                out.writerow([row["sample_id"], row["question"], row["answer"], split])


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], newline="") as file:
        rows = list(csv.DictReader(file))
    emoji = [r for r in rows if r["source"] == "noto-emoji"]
    other = [r for r in rows if r["source"] != "noto-emoji"]
    counts = [Counter(r["answer"] for r in group) for group in (emoji, other)]
    kinds = {k for k in counts[0] if min(c[k] for c in counts) >= 5}
    emoji, other = ([r for r in group if r["answer"] in kinds] for group in (emoji, other))
    target, alike = emoji[::2], emoji[1::2]
    random.Random(1).shuffle(other)
    write("far.csv", other[:N_TRAIN], target)
    write("near.csv", alike + other[: N_TRAIN - len(alike)], target)


main()
