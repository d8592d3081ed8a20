#!/usr/bin/env python3
"""Reference values of CKA and of clustering, by means that share nothing with the C code.

usage: make_cka_reference.py FOLDER

Linear CKA in exact rational arithmetic from the definitions (Kornblith et al. 2019; HSIC_1 of Song
et al. 2012, eq. 5), RBF CKA in NumPy float64, linkage and flat clusters by SciPy. Writes FOLDER/
cka_fixtures.csv, cka_rbf.csv and cluster_cases.txt. Needs numpy and scipy.
"""
import sys
from fractions import Fraction
from math import isqrt
from pathlib import Path

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform


def g(n, d, a, b, m):
    """Integers without pattern for the eye, exact in float32."""
    return [[Fraction((i * a + j * b + 7 * i * j + i * i % 11) % m - m // 2) for j in range(d)]
            for i in range(n)]


def mixed(n):
    x, y = g(n, 10, 3, 5, 17), g(n, 6, 5, 2, 13)
    return x, [[x[i][j] / 2 + y[i][j] for j in range(6)] for i in range(n)]


def fixtures():
    x, y = mixed(64)
    x5, y5 = mixed(70)
    shifted = ([[v + 1000 for v in row] for row in x], [[v - 500 for v in row] for row in y])
    x6, y6 = g(20, 7, 3, 5, 17), g(20, 4, 5, 2, 13)
    for row in x6:
        row[3] = Fraction(9)
    return {"F1": (g(8, 5, 3, 5, 17), g(8, 3, 5, 2, 13), 4), "F2": (x, y, 16),
            "F3": (*shifted, 16), "F4": (g(12, 200, 3, 5, 31), g(12, 150, 7, 3, 29), 6),
            "F5": (x5, y5, 16), "F6": (x6 + x6, y6 + y6, 8)}


def gram(x):
    return [[sum(a * b for a, b in zip(r, s)) for s in x] for r in x]


def hsic_biased(k, l):
    n = len(k)
    rk, rl = [sum(r) for r in k], [sum(r) for r in l]
    products = sum(a * b for r, s in zip(k, l) for a, b in zip(r, s))
    centred = products - Fraction(2, n) * sum(a * b for a, b in zip(rk, rl))
    return (centred + Fraction(sum(rk) * sum(rl), n * n)) / (n - 1) ** 2


def hsic_1(k, l):
    n = len(k)
    k = [[0 if i == j else k[i][j] for j in range(n)] for i in range(n)]
    l = [[0 if i == j else l[i][j] for j in range(n)] for i in range(n)]
    rk, rl = [sum(r) for r in k], [sum(r) for r in l]
    trace = sum(k[i][j] * l[j][i] for i in range(n) for j in range(n))
    total = Fraction(sum(rk) * sum(rl), (n - 1) * (n - 2))
    return (trace + total - Fraction(2, n - 2) * sum(a * b for a, b in zip(rk, rl))) / (n * (n - 3))


def hsic_minibatch(k, l, batch):
    total = 0
    for first in range(0, len(k), batch):
        part = slice(first, first + batch)
        if len(k[part]) >= 4:
            total += hsic_1([r[part] for r in k[part]], [r[part] for r in l[part]])
    return total


def digits(value):
    return f"{float(value):.17g}"


def ratio(xy, xx, yy):
    """xy / sqrt(xx yy), the root to 60 digits."""
    scale = 10 ** 120
    square = xx * yy
    root = Fraction(isqrt(square.numerator * scale // square.denominator), 10 ** 60)
    return xy / root


def write_fixtures(path):
    with open(path, "w") as out:
        out.write("id,estimator,batch,cka,hsic_xy,hsic_xx,hsic_yy\n")
        for name, (x, y, batch) in fixtures().items():
            k, l = gram(x), gram(y)
            for estimator, hsic in (("biased", hsic_biased), ("unbiased", hsic_1),
                                    ("minibatch", lambda a, b: hsic_minibatch(a, b, batch))):
                xy, xx, yy = hsic(k, l), hsic(k, k), hsic(l, l)
                out.write(f"{name},{estimator},{batch}," + ",".join(
                    digits(v) for v in (ratio(xy, xx, yy), xy, xx, yy)) + "\n")


def rbf(x, multiple):
    x = np.array(x, dtype=float)
    squared = ((x[:, None, :] - x[None, :, :]) ** 2).sum(-1)
    median = np.median(squared[np.triu_indices(len(x), 1)])
    kernel = np.exp(-squared / (2 * median * multiple ** 2))
    return [[Fraction(v) for v in row] for row in kernel.tolist()]


def write_rbf(path):
    with open(path, "w") as out:
        out.write("id,estimator,batch,sigma,cka\n")
        for name in ("F2", "F4", "F5"):
            x, y, batch = fixtures()[name]
            for multiple in (1.0, 0.5):
                k, l = rbf(x, multiple), rbf(y, multiple)
                for estimator, hsic in (("biased", hsic_biased), ("unbiased", hsic_1),
                                        ("minibatch", lambda a, b: hsic_minibatch(a, b, batch))):
                    cka = ratio(hsic(k, l), hsic(k, k), hsic(l, l))
                    out.write(f"{name},{estimator},{batch},{multiple},{digits(cka)}\n")


def first_seen(labels):
    order = {}
    return [order.setdefault(v, len(order)) for v in labels]


def similarities():
    """Random similarity matrices of low-rank features, one with many ties, one negative."""
    random = np.random.default_rng(20261124)
    for n in (2, 3, 5, 7, 12, 20):
        x = random.standard_normal((n, 4)) + 0.7
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        yield x @ x.T
    ties = np.round(random.uniform(0, 1, (9, 9)) * 4) / 4
    yield np.tril(ties, -1) + np.tril(ties, -1).T + np.eye(9)
    yield np.full((6, 6), 0.5) + 0.5 * np.eye(6)
    negative = random.uniform(-0.3, 0.2, (8, 8))
    yield np.tril(negative, -1) + np.tril(negative, -1).T + np.eye(8)


def medoids(distance, labels):
    found = []
    for cluster in range(max(labels) + 1):
        members = [i for i, label in enumerate(labels) if label == cluster]
        sums = [sum(distance[i, j] for j in members) for i in members]
        found.append(members[int(np.argmin(sums))])
    return found


def write_clusters(path):
    """Each case: n method threshold, the matrix, the linkage, the labels, the medoids."""
    with open(path, "w") as out:
        for similarity in similarities():
            np.fill_diagonal(similarity, 1)
            similarity = np.tril(similarity) + np.tril(similarity, -1).T
            distance = 1 - similarity
            for method in ("average", "complete", "single"):
                tree = linkage(squareform(distance, checks=False), method)
                for threshold in (0.9, 0.7, 0.5, 0.1):
                    labels = first_seen(fcluster(tree, 1 - threshold, criterion="distance"))
                    out.write(f"{len(similarity)} {method} {threshold!r}\n")
                    for row in (*similarity, *tree):
                        out.write(" ".join(digits(v) for v in row) + "\n")
                    out.write(" ".join(map(str, labels)) + "\n")
                    out.write(" ".join(map(str, medoids(distance, labels))) + "\n")


def main():
    folder = Path(sys.argv[1])
    write_fixtures(folder / "cka_fixtures.csv")
    write_rbf(folder / "cka_rbf.csv")
    write_clusters(folder / "cluster_cases.txt")


if __name__ == "__main__":
    main()
