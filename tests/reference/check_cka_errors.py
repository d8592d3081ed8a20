#!/usr/bin/env python3
"""Checks the standard errors of mordal-cka's full estimators against a jackknife in NumPy.

usage: check_cka_errors.py make FOLDER
       check_cka_errors.py check FOLDER CKA.h5 TOLERANCE

With the linear kernel the jackknife leaves out each of 128 runs of rows and computes the ratio of
all pairs again from covariances, in float64. With the RBF kernel it leaves out each of the 128 rows
that mordal-cka takes, and each of all rows; TOLERANCE is for the first, and 0.2 for the second,
whose rows are others. The bandwidth stays. TOLERANCE is relative. Needs numpy and h5py.
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


def kernel(x):
    """the RBF kernel with zeros on the diagonal, which centring makes no difference to once it is 1"""
    spaced = x[np.arange(1000) * N // 1000]
    def squares(a):
        own = np.sum(a * a, axis=1)
        return own[:, None] + own - 2 * a @ a.T
    median = np.median(squares(spaced - x.mean(0))[np.triu_indices(1000, 1)])
    k = np.exp(-squares(x - x.mean(0)) / (2 * median))
    np.fill_diagonal(k, 0)
    return k


def rbf_hsics(k, l, biased):
    """HSIC of all rows but one, for every row: sums of products, of row sums, and of all"""
    n = N - 1
    products = np.sum(k * l) - 2 * np.sum(k * l, axis=1)
    rows_k, rows_l = k.sum(1), l.sum(1)
    left_k, left_l = rows_k.sum() - 2 * rows_k, rows_l.sum() - 2 * rows_l
    # sum over j but i of (r_j - k_ij) (s_j - l_ij)
    rows = rows_k @ rows_l - rows_k * rows_l - k @ rows_l - l @ rows_k + np.sum(k * l, axis=1)
    if not biased:
        return products + left_k * left_l / ((n - 1) * (n - 2)) - 2 / (n - 2) * rows
    # the diagonal is 1
    products, rows = products + n, rows + left_k + left_l + n
    return products + (left_k + n) * (left_l + n) / n ** 2 - 2 / n * rows


def rbf_jackknife(k, l, biased):
    ratios = rbf_hsics(k, l, biased) / np.sqrt(rbf_hsics(k, k, biased) * rbf_hsics(l, l, biased))
    taken = ratios[np.arange(128) * N // 128]
    return [np.sqrt((N - 1) * np.var(of)) for of in (taken, ratios)]


def check(folder, path, tolerance):
    with h5py.File(path) as file:
        names = [name.decode() for name in file["models"]]
        errors = file["standard_error"][:]
        biased = "estimator=biased" in file.attrs["configuration"]
        rbf = "kernel=rbf" in file.attrs["configuration"]
    models = [np.load(folder / f"{name}.npy") for name in names]
    if rbf:
        models = [kernel(model) for model in models]
    for i in range(len(names)):
        for j in range(i):
            found = errors[i, j]
            expected = (rbf_jackknife(models[i], models[j], biased) if rbf
                        else [jackknife(models[i], models[j], biased)])
            for value, bound in zip(expected, (float(tolerance), 0.2)):
                assert abs(found / value - 1) < bound, \
                    f"{path}: error of {names[i]}, {names[j]} is {found}, expected {value}"
            assert found == errors[j, i] and errors[i, i] == 0


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    {"make": make, "check": check}[command](*map(Path, arguments[:2]), *arguments[2:])
