#!/usr/bin/env python3
"""Checks the standard errors of mordal-cka's full estimators against a jackknife in NumPy.

usage: check_cka_errors.py make FOLDER
       check_cka_errors.py check FOLDER CKA.h5 TOLERANCE

The jackknife leaves out each of 128 runs of rows and computes the ratio of all pairs again from
covariances, in float64. TOLERANCE is relative. Needs numpy and h5py.
"""
import sys
from pathlib import Path

import h5py
import numpy as np

N, GROUPS = 2048, 128
MODELS = {  # width, noise
    "near": (12, 0.3), "far": (16, 2.0), "wide": (40, 1.0), "alone": (9, 1.0)}


def make(folder):
    """three mixtures of what they share with noise, and one model that shares nothing"""
    folder.mkdir()
    random = np.random.default_rng(20261124)
    shared = random.standard_normal((N, 6)) * [3, 2, 1, 1, 0.5, 0.5]
    for name, (width, noise) in MODELS.items():
        x = noise * random.standard_normal((N, width))
        np.save(folder / f"{name}.npy", x + (name != "alone") * shared
                @ random.standard_normal((6, width)) + 10)


def hsic(x, y, biased):
    n = len(x)
    x, y = x - x.mean(0), y - y.mean(0)
    own_x, own_y = (x * x).sum(1), (y * y).sum(1)
    total = np.sum((x.T @ y) ** 2)
    if biased:
        return total
    # the rows sum to 0, so without its diagonal a row of the Gram matrix sums to minus that
    return total + own_x.sum() * own_y.sum() / ((n - 1) * (n - 2)) - n / (n - 2) * own_x @ own_y


def jackknife(x, y, biased):
    ratios = []
    for rows in np.array_split(np.arange(N), GROUPS):
        p, q = np.delete(x, rows, 0), np.delete(y, rows, 0)
        ratios.append(hsic(p, q, biased) / np.sqrt(hsic(p, p, biased) * hsic(q, q, biased)))
    return np.sqrt((GROUPS - 1) * np.var(ratios))


def check(folder, path, tolerance):
    with h5py.File(path) as file:
        names = [name.decode() for name in file["models"]]
        errors = file["standard_error"][:]
        biased = "estimator=biased" in file.attrs["configuration"]
    models = [np.load(folder / f"{name}.npy") for name in names]
    for i in range(len(names)):
        for j in range(i):
            expected = jackknife(models[i], models[j], biased)
            found = errors[i, j]
            assert abs(found / expected - 1) < float(tolerance), \
                f"{path}: error of {names[i]}, {names[j]} is {found}, expected {expected}"
            assert found == errors[j, i] and errors[i, i] == 0


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    {"make": make, "check": check}[command](*map(Path, arguments[:2]), *arguments[2:])
