#!/usr/bin/env python3
"""Make settled_cases.txt: doubts about clusters, for tests/unit/similarity/test_settled.c.

usage: make_settled_reference.py > settled_cases.txt

Needs NumPy and SciPy. Standard errors come from an infinitesimal change of every unit's weight
(finite differences), trees from scipy.cluster.hierarchy, tails from scipy.stats: nothing is shared
with the C code but the definition in docs/numerics.md. A case: linkage, models, units, threshold,
doubt; then the units, each a packed lower triangle.
"""
import itertools

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform
from scipy.stats import t

PICKS = ("average", "complete", "single")



def distances(units, weights):
    h = np.tensordot(weights, units, 1)
    d = 1 - h / np.sqrt(np.outer(np.diag(h), np.diag(h)))
    np.fill_diagonal(d, 0)
    return (d + d.T) / 2


def gap(d, x, y, pick):
    block = d[np.ix_(sorted(x), sorted(y))]
    if pick == "average":
        return lambda e: e[np.ix_(sorted(x), sorted(y))].mean()
    at = np.unravel_index((block.argmax if pick == "complete" else block.argmin)(), block.shape)
    i, j = sorted(x)[at[0]], sorted(y)[at[1]]
    return lambda e: e[i, j]


def tail(units, value):
    """one-sided chance that value, a function of the distances, has the other sign"""
    n, step = len(units), 1e-6
    slopes = []
    for k in range(n):
        up, down = np.ones(n), np.ones(n)
        up[k] += step
        down[k] -= step
        slopes.append((value(distances(units, up)) - value(distances(units, down))) / (2 * step))
    error = np.sqrt(n / (n - 1) * np.sum(np.square(slopes)))
    return t.sf(abs(value(distances(units, np.ones(n)))) / error, n - 1)


def doubt(units, pick, threshold):
    d = distances(units, np.ones(len(units)))
    n, cut, total = len(d), 1 - threshold, 0.0
    tree = linkage(squareform(d, checks=False), pick)
    alive = {i: frozenset([i]) for i in range(n)}
    steps = []
    for k, row in enumerate(tree):
        a, b = alive.pop(int(row[0])), alive.pop(int(row[1]))
        steps.append((a, b, row[2], list(alive.values())))
        alive[n + k] = a | b
    whole = [frozenset([i]) for i in range(n)]
    for a, b, height, _ in steps:
        if height <= cut:
            whole = [w for w in whole if not w <= a | b] + [a | b]
    for a, b, height, others in steps:
        near = gap(d, a, b, pick)
        total += tail(units, lambda e: near(e) - cut)
        if height > cut or pick == "single":
            continue
        mine = next(w for w in whole if a <= w)
        for part, rival in itertools.product((a, b), others):
            if not rival <= mine:
                far = gap(d, part, rival, pick)
                total += tail(units, lambda e: far(e) - near(e))
    return min(1.0, total)


def main():
    rng = np.random.default_rng(11)
    for pick, (m, n), threshold in itertools.product(PICKS, [(2, 9), (4, 12), (6, 31)], [.5, .7]):
        group = np.arange(m) // 2
        units = []
        for _ in range(n):
            x = rng.standard_normal((m, 40))
            shared = rng.standard_normal((m, 40))
            x = .7 * x + shared[group] + .6 * shared[0]
            units.append(x @ x.T / 40)
        units = np.array(units).round(6)
        print(pick, m, n, threshold, repr(float(doubt(units, pick, threshold))))
        for u in units:
            print(*(f"{v:.6f}" for v in u[np.tril_indices(m)]))


if __name__ == "__main__":
    main()
