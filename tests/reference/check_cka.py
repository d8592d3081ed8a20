#!/usr/bin/env python3
"""Checks the files of mordal-cka and mordal-cluster against NumPy and SciPy.

usage: check_cka.py make FOLDER              arrays NAME.npy with sample ids NAME.txt
       check_cka.py cka FOLDER CKA.h5        similarity of those arrays
       check_cka.py clusters CKA.h5 CLUSTERS.h5
       check_cka.py undefined CKA.h5 CLUSTERS.h5   where some models have no similarity

CKA is computed from its definition with explicit centring matrices in long double. Needs numpy,
scipy and h5py.
"""
import sys
from pathlib import Path

import h5py
import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

N = 80


def make(folder):
    folder.mkdir()
    random = np.random.default_rng(20250201)
    ids = [f"img{i}" for i in range(N)]
    shared = random.standard_normal((N, 6))

    def mix(width, noise):
        return shared @ random.standard_normal((6, width)) + noise * random.standard_normal((N, width))

    order = random.permutation(N)
    base = mix(12, 0.3)
    arrays = {
        "base": (base, ids),
        "near": ((base + 0.05 * random.standard_normal(base.shape)).astype(np.float16), ids),
        "wide": (mix(700, 2.0).astype(np.float32), ids),
        "offset": ((mix(20, 0.5) + 1000).astype(np.float32), ids),
        "far": ((mix(14, 0.7) + 1e4).astype(np.float32), ids),
        "huge": ((mix(11, 0.7) * 1e8).astype(np.float32), ids),
        "small": ((mix(8, 0.7) * 1e-3).astype(np.float32), ids),
        "shuffled": (mix(15, 1.0)[order], [ids[i] for i in order]),
        "tokens": (np.stack([mix(9, 0.8) for _ in range(5)], axis=1).astype(np.float32), ids),
        "single": (random.standard_normal((N, 1)), ids),
        "constant": (np.full((N, 5), 1234.567), ids),
        "few": (base[:3], ids[:3]),
        "fewer": (base[:3, :4], ids[:3]),
        "other": (base[:, :5], ids[:7] + ["another"] + ids[8:]),
    }
    for name, (values, names) in arrays.items():
        np.save(folder / f"{name}.npy", values)
        (folder / f"{name}.txt").write_text("".join(f"{i}\n" for i in names))


def load(folder, name, order):
    x = np.load(folder / f"{name}.npy").astype(np.longdouble)
    ids = (folder / f"{name}.txt").read_text().split()
    x = x[[ids.index(i) for i in order]]
    return x.mean(axis=1) if x.ndim == 3 else x


def hsic_biased(x, y):
    h = np.eye(len(x)) - np.full((len(x), len(x)), np.longdouble(1) / len(x))
    return np.sum((h @ x @ x.T @ h) * (h @ y @ y.T @ h))


def hsic_1(x, y):
    n = len(x)
    k, l = ((z - z.mean(0)) @ (z - z.mean(0)).T for z in (x, y))
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    total = k.sum() * l.sum() / ((n - 1) * (n - 2))
    return (np.trace(k @ l) + total - 2 / np.longdouble(n - 2) * np.sum(k @ l)) / (n * (n - 3))


def parts_of(configuration):
    """the batches or the whole, and HSIC of one of them"""
    settings = dict(line.split("=") for line in configuration.split())
    if settings["estimator"] != "minibatch":
        return lambda x: [x], hsic_biased if settings["estimator"] == "biased" else hsic_1, settings
    batch = int(settings["batch"])
    return (lambda x: [x[i:i + batch] for i in range(0, len(x), batch) if len(x[i:i + batch]) >= 4],
            hsic_1, settings)


def standard_error(xy, xx, yy):
    """of sum(xy) / sqrt(sum(xx) sum(yy)) by its gradient and the covariance of the batches"""
    k = len(xy)
    covariance = k * np.cov(np.array([xy, xx, yy], dtype=float))
    a, b, c = xy.sum(), xx.sum(), yy.sum()
    root = np.sqrt(b * c)
    gradient = np.array([1 / root, -a / (2 * b * root), -a / (2 * c * root)], dtype=float)
    return np.sqrt(gradient @ covariance @ gradient)


def check_cka(folder, path):
    with h5py.File(path) as file:
        names = [name.decode() for name in file["models"]]
        found = file["similarity"][:]
        errors = file["standard_error"][:]
        split, hsic, settings = parts_of(file.attrs["configuration"])
    assert names == sorted(names)
    order = (folder / f"{names[0]}.txt").read_text().split()
    models = [split(load(folder, name, order)) for name in names]
    parts = np.array([[[hsic(p, q) for p, q in zip(x, y)] for y in models] for x in models])
    own = np.sqrt(parts.sum(-1).diagonal())
    worst = np.abs(found - (parts.sum(-1) / own[:, None] / own[None, :]).astype(float)).max()
    tolerance = 1e-12 if settings["precision"] == "float64" else 1e-6
    assert worst < tolerance, f"{path}: off by {worst}"
    for i in range(len(names) if settings["estimator"] == "minibatch" else 0):
        for j in range(i):
            expected = standard_error(parts[i, j], parts[i, i], parts[j, j])
            assert abs(errors[i, j] - expected) < 10 * tolerance, f"{path}: error of {i}, {j}"
            assert errors[i, j] == errors[j, i] > 0 == errors[i, i]


def check_clusters(cka_path, path):
    with h5py.File(cka_path) as file:
        distance = 1 - file["similarity"][:]
    with h5py.File(path) as file:
        tree, label, medoid = file["linkage"][:], file["label"][:], file["medoid"][:]
        threshold, method = file.attrs["threshold"], file.attrs["method"]
    expected = linkage(squareform(distance, checks=False), method)
    assert np.array_equal(tree, expected), f"{path}: linkage\n{tree}\n{expected}"
    flat = fcluster(expected, 1 - threshold, criterion="distance")
    numbers = {}
    assert [numbers.setdefault(v, len(numbers)) for v in flat] == list(label), f"{path}: labels"
    for cluster, chosen in enumerate(medoid):
        members = np.flatnonzero(label == cluster)
        sums = distance[np.ix_(members, members)].sum(axis=1)
        assert chosen == members[np.argmin(sums.round(12))], f"{path}: medoid of {cluster}"


def check_undefined(cka_path, path):
    """undefined: NaN with a status, alone in a cluster, and the others as if they weren't there"""
    with h5py.File(cka_path) as file:
        similarity, status = file["similarity"][:], file["status"][:]
    with h5py.File(path) as file:
        tree, label, method = file["linkage"][:], file["label"][:], file.attrs["method"]
        threshold = file.attrs["threshold"]
    own = status.diagonal()
    assert status.dtype == np.uint8 and own.any() and not own.all()
    assert np.array_equal(status, np.maximum(own[:, None], own[None, :]))
    assert np.array_equal(np.isnan(similarity), status != 0)
    for model in np.flatnonzero(own):
        assert np.sum(label == label[model]) == 1
    kept = np.flatnonzero(own == 0)
    others = linkage(squareform(1 - similarity[np.ix_(kept, kept)], checks=False), method)
    assert np.array_equal(tree[: len(kept) - 1, 2], others[:, 2])
    assert np.all(np.isinf(tree[len(kept) - 1 :, 2]))
    for labels in (fcluster(tree, 1 - threshold, "distance")[kept], label[kept]):
        expected = fcluster(others, 1 - threshold, "distance")
        assert np.array_equal(labels[:, None] == labels, expected[:, None] == expected)


def main():
    command, *paths = sys.argv[1:]
    call = {"make": make, "cka": check_cka, "clusters": check_clusters,
            "undefined": check_undefined}[command]
    call(*(Path(path) for path in paths))


if __name__ == "__main__":
    main()
