#!/usr/bin/env python3
"""Weighted Kendall tau of random rankings, with and without ties, by SciPy, for
tests/unit/regress/test_tau.c. usage: make_tau_reference.py > tau_cases.txt

One case a line: n, n errors a, n errors b, scipy.stats.weightedtau(-a, -b).
Made with SciPy 1.17.1 and NumPy 2.4.6, seed 20261124.
"""
import numpy as np
from scipy.stats import weightedtau

random = np.random.default_rng(20261124)
for n in (2, 3, 5, 10, 26, 50):
    for kind in range(4):
        a = random.random(n) if kind % 2 == 0 else random.integers(1, 5, n) / 8
        b = random.random(n) if kind < 2 else random.integers(1, 5, n) / 8
        if kind == 0 and n > 5:
            b = a + 0.1 * random.random(n)
        tau = weightedtau(-a, -b).statistic
        print(n, *(f"{x:.17g}" for x in (*a, *b)), f"{tau:.15g}")
