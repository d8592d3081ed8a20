#!/usr/bin/env python3
"""Reference values of SVCCA, PWCCA and Procrustes similarity, in NumPy from the definitions.

usage: make_measure_reference.py OUT.csv

SVCCA: SVD to 99 % of the variance, then the mean cosine of the principal angles (Raghu et al.
2017). PWCCA: canonical variates of the whole spaces, weighted by their projections of the smaller
model's features, or the mean of both ways for equal ranks (Morcos et al. 2018). Procrustes: the
distance min_R |X - Y R|^2 of matrices of Frobenius norm 1 (Ding et al. 2021), d, as 1 - d / 2.
Needs numpy and scipy.
"""
import sys

import numpy as np
from scipy.linalg import orthogonal_procrustes, subspace_angles


def g(n, d, a, b, m):
    """Integers without pattern for the eye, as in make_cka_reference.py."""
    return np.array([[(i * a + j * b + 7 * i * j + i * i % 11) % m - m // 2 for j in range(d)]
                     for i in range(n)], dtype=float)


def scrambled(n, d, seed):
    """Multiples of 1/1024 in [-1, 1), by integer hashing of the place."""
    x = (np.arange(n * d, dtype=np.uint64).reshape(n, d) * 2654435761 + seed * 40503) % 2**32
    x ^= x >> np.uint64(16)
    x = x * 2246822519 % 2**32
    x ^= x >> np.uint64(13)
    return (x % 2048).astype(float) / 1024 - 1


def related(n, widths):
    """The first model alone; the others take its columns in turn, with noise of their own."""
    first = scrambled(n, widths[0], 1)
    yield first
    for k, d in enumerate(widths[1:], 2):
        yield first[:, np.arange(d) % widths[0]] + scrambled(n, d, k)


def cases():
    a = g(64, 10, 3, 5, 17)
    mixed = a[:, :6] / 2 + g(64, 6, 5, 2, 13)
    yield "small", [a, mixed]
    yield "uneven", list(related(200, (70, 40, 90, 70)))
    yield "offset", [x + 1000 for x in related(200, (70, 40, 90, 70))]
    yield "wide", list(related(70, (100, 60, 130)))
    yield "lopsided", list(related(250, (3, 100, 65)))
    yield "few", list(related(3, (2, 2, 4)))
    x, y = g(20, 7, 3, 5, 17), g(20, 4, 5, 2, 13)
    x[:, 3] = 9
    yield "repeated", [np.vstack([x, x]), np.vstack([y, y])]


def thin(x):
    x = x - x.mean(axis=0)
    return x, *np.linalg.svd(x, full_matrices=False)[:2]


def svcca(x, y):
    spaces = []
    for _, u, s in (thin(x), thin(y)):
        share = np.cumsum(s**2) / np.sum(s**2)
        spaces.append(u[:, :np.searchsorted(share, 0.99) + 1])
    return np.cos(subspace_angles(*spaces)).mean()


def weighted(x, variates, correlations):
    weight = np.abs(variates.T @ x).sum(axis=1)
    return np.sum(weight * correlations) / np.sum(weight)


def pwcca(x, y):
    (x, u_x, s_x), (y, u_y, s_y) = thin(x), thin(y)
    u_x, u_y = (u[:, s > max(z.shape) * np.finfo(float).eps * s[0]]
                for z, u, s in ((x, u_x, s_x), (y, u_y, s_y)))
    p, rho, qt = np.linalg.svd(u_x.T @ u_y, full_matrices=False)
    ways = []
    if u_x.shape[1] <= u_y.shape[1]:
        ways.append(weighted(x, u_x @ p, rho))
    if u_y.shape[1] <= u_x.shape[1]:
        ways.append(weighted(y, u_y @ qt.T, rho))
    return np.mean(ways)


def procrustes(x, y):
    d = max(x.shape[1], y.shape[1])
    x, y = (np.pad(z - z.mean(axis=0), ((0, 0), (0, d - z.shape[1]))) for z in (x, y))
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    rotation, _ = orthogonal_procrustes(y, x)
    return 1 - np.linalg.norm(x - y @ rotation) ** 2 / 2


def main():
    with open(sys.argv[1], "w") as out:
        out.write("case,measure,a,b,value\n")
        for name, models in cases():
            for measure in (svcca, pwcca, procrustes):
                for a in range(len(models)):
                    for b in range(a):
                        value = measure(models[a], models[b])
                        out.write(f"{name},{measure.__name__},{a},{b},{value:.17g}\n")


if __name__ == "__main__":
    main()
