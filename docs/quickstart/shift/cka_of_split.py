#!/usr/bin/env python3
"""Vision features of one split of a table of samples, to be imported and compared by mordal-cka.

usage: cka_of_split.py SAMPLES.csv train|eval FOLDER      needs NumPy

Writes FOLDER/NAME.npy for every encoder of the zoo, and FOLDER/ids.txt.
"""
import csv
import sys
from pathlib import Path

import numpy as np


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    zoo, folder = Path(__file__).parent.parent / "zoo" / "vision", Path(sys.argv[3])
    with open(sys.argv[1]) as file:
        wanted = [r["sample_id"] for r in csv.DictReader(file) if r["split"] == sys.argv[2]]
    ids = (zoo / "sample_ids.txt").read_text().split()
    at = [ids.index(i) for i in wanted]
    folder.mkdir(exist_ok=True)
    (folder / "ids.txt").write_text("".join(f"{i}\n" for i in wanted))
    for path in zoo.glob("*.npy"):
        np.save(folder / path.name, np.load(path)[at])


main()
