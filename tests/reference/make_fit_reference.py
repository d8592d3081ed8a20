#!/usr/bin/env python3
"""Reference values for the log-linear fits and quantiles of mordal-regress.

    python3 make_fit_reference.py > fit_cases.txt      # NumPy and SciPy

Each case is a line "fit CONFIDENCE N", N lines "RATIO ERROR STDERR", and a line
"expect SLOPE INTERCEPT RESIDUAL PREDICTED LOW HIGH"; then lines "t Q DOF VALUE" and "normal Q VALUE".
The line is numpy.polyfit's, the interval is written out from docs/numerics-regress.md.
"""

import numpy as np
from scipy import stats


def case(confidence, ratio, error, stderr):
    ratio, error, stderr = (np.asarray(v, float) for v in (ratio, error, stderr))
    n = len(ratio)
    samples = 1000.0
    for e, s in zip(error, stderr):
        if 0 < e < 1 and s > 0:
            samples = e * (1 - e) / s**2
            break
    floor = 1 / (2 * max(samples, 1))
    spread = np.where(error < floor, 1.0, np.maximum(stderr, floor) / np.where(error > 0, error, 1))
    x, y = np.log(ratio), np.log(np.maximum(error, floor))
    q = (1 + confidence) / 2
    measured = np.mean(spread**2)
    if n == 1:
        slope = intercept = residual = np.nan
        predicted, leverage, dof, spread_of_fit = np.exp(y[0]), 1.0, -1, np.nan
    else:
        slope, intercept = np.polyfit(x, y, 1)
        squares = np.sum((y - np.polyval([slope, intercept], x)) ** 2)
        residual, predicted, dof = squares / n, np.exp(intercept), n - 2
        design = np.column_stack([np.ones(n), x])
        leverage = np.linalg.inv(design.T @ design)[0, 0]  # of the line at log ratio 0
        spread_of_fit = squares / dof if dof > 0 else np.nan
    if np.isfinite(measured) and (dof <= 0 or measured >= spread_of_fit):
        half = stats.norm.ppf(q) * np.sqrt(measured * leverage)
    elif dof > 0:
        half = stats.t.ppf(q, dof) * np.sqrt(spread_of_fit * leverage)
    else:
        half = np.nan
    low, high = np.minimum(1, predicted * np.exp([-half, half]))
    print(f"fit {confidence!r} {n}")
    for row in zip(ratio, error, stderr):
        print(" ".join(repr(float(v)) for v in row))
    print("expect", *(repr(float(v)) for v in (slope, intercept, residual, predicted, low, high)))


def main():
    nan = float("nan")
    four = [1 / 8, 1 / 16, 1 / 32, 1 / 64]
    case(0.9, four, [0.40, 0.47, 0.55, 0.66], [0.01] * 4)
    case(0.9, four, [0.40, 0.47, 0.55, 0.66], [nan] * 4)
    case(0.95, four + [1 / 128], [0.40, 0.42, 0.58, 0.61, 0.80], [0.001] * 5)
    case(0.5, four, [0.3, 0.3, 0.3, 0.3], [0.02, 0.03, 0.02, 0.03])
    case(0.9, four, [0.0, 0.001, 0.02, 0.05], [0.0, 0.001, 0.0044, 0.0069])
    case(0.9, four, [0.0, 0.0, 0.0, 0.0], [nan] * 4)
    case(0.9, [0.1, 0.05], [0.5, 0.6], [0.02, 0.02])
    case(0.9, [0.1, 0.05], [0.5, 0.6], [nan, nan])
    case(0.9, [0.1], [0.5], [0.02])
    case(0.9, [0.1], [0.5], [nan])
    case(0.9, four, [1.0, 1.0, 1.0, 1.0], [0.0] * 4)
    case(0.99, four, [0.97, 0.96, 0.99, 0.95], [0.005] * 4)
    rng = np.random.default_rng(3)
    for n in (3, 6, 12):
        ratio = 0.125 / 2.0 ** np.arange(n)
        error = np.minimum(1, 0.2 * ratio**-0.15 * np.exp(rng.normal(0, 0.04, n)))
        case(0.9, ratio, error, np.sqrt(error * (1 - error) / 500))
        case(0.9, ratio, error, np.sqrt(error * (1 - error) / 50000))
    for q in (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.995, 1e-6):
        print(f"normal {q!r} {float(stats.norm.ppf(q))!r}")
        for dof in (1, 2, 3, 4, 10, 61, 1000):
            print(f"t {q!r} {dof} {float(stats.t.ppf(q, dof))!r}")


if __name__ == "__main__":
    main()
