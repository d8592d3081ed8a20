#!/usr/bin/env python3
"""Writes what studies of one zoo have measured as one table of learning curves, on stdout.

usage: curves_of_studies.py STUDY_FOLDER... > curves.csv

Every candidates/VE+LLM/history.h5 of every folder gives its points; of a ratio that several
folders have, the last one counts. All points are stages of one run (kind checkpoint), which is
what the native trainer makes. Needs h5py. docs/simulation.md says how docs/quickstart/curves.csv
was made with it.
"""
import glob
import os
import sys

import h5py


def points(folder):
    for path in sorted(glob.glob(f"{folder}/candidates/*/history.h5")):
        pair = os.path.basename(os.path.dirname(path))
        if ".old-" in pair:
            continue
        with h5py.File(path) as f:
            columns = [f[name][:] for name in ("ratio", "error", "error_stderr", "loss", "train_seconds")]
        for ratio, *rest in zip(*columns):
            yield (*pair.split("+", 1), round(float(ratio), 9)), rest


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    table = {}
    for folder in sys.argv[1:]:
        table.update(points(folder))
    print("ve,llm,ratio,kind,err,err_stderr,loss,seconds")
    for (ve, llm, ratio), (error, stderr, loss, seconds) in sorted(table.items()):
        print(f"{ve},{llm},{ratio:.9g},checkpoint,{error:.6g},{stderr:.6g},{loss:.6g},{seconds:.4g}")


main()
