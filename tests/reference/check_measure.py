#!/usr/bin/env python3
"""Checks mordal-cka --measure against NumPy on the archives that it read.

usage: check_measure.py make FOLDER                    arrays a.npy, b.npy, c.npy
       check_measure.py MEASURE OUT.h5 ARCHIVE.h5...

Needs numpy, scipy and h5py.
"""
import sys
from pathlib import Path

import h5py
import numpy as np

import make_measure_reference


def make(folder):
    folder.mkdir()
    for name, x in zip("abc", make_measure_reference.related(200, (70, 40, 90))):
        np.save(folder / f"{name}.npy", x.astype(np.float32))


def main():
    if sys.argv[1] == "make":
        return make(Path(sys.argv[2]))
    name, path, *archives = sys.argv[1:]
    measure = getattr(make_measure_reference, name)
    models = {}
    for archive in archives:
        with h5py.File(archive) as file:
            models[file.attrs["model"]] = file["activation"][:].astype(float)
    with h5py.File(path) as file:
        names = [n.decode() for n in file["models"]]
        found = file["similarity"][:]
        assert f"measure={name}" in file.attrs["configuration"].split()
        assert "standard_error" not in file
    assert names == sorted(models)
    for a, one in enumerate(names):
        for b, other in enumerate(names[:a]):
            expected = measure(models[one], models[other])
            assert abs(found[a, b] - expected) <= 1e-10, (one, other, found[a, b], expected)
    assert np.array_equal(found, found.T) and np.all(np.diag(found) == 1)


if __name__ == "__main__":
    main()
