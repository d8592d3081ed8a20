#!/usr/bin/env python3
"""Reference predictions for mordal-regress, written from docs/prediction.md with NumPy and SciPy.

    python3 make_prediction_reference.py lcdb_subset.csv > prediction_cases.csv

One row: method,at,pool,model,predicted,low,high. Pools are tasks of the table; "bare/TASK" is a task
without standard errors and half octaves, "gaps/TASK" one with points of some models taken out.
"""

import csv
import sys

import numpy as np
from scipy import optimize, stats

GRID, NEAR, LEAST = 25, 0.26, 5e-4
RULES = {
    "last-value": dict(span=3, recent=0, clip=2, gain_clip=1e9, fade=0.4, prior=0, weight=0, most=0,
                       mean_prior=0, mean_most=0, shrink=False),
    "calibrated-slope": dict(span=3, recent=0, clip=2, gain_clip=1e9, fade=0, prior=0.45, weight=1,
                             most=1.1, mean_prior=0, mean_most=None, shrink=False),
    "pooled": dict(span=2, recent=0.7, clip=3, gain_clip=3, fade=0.4, prior=0.6, weight=1, most=1.1,
                   mean_prior=0.7, mean_most=1, shrink=True),
}
RULES["power-law"] = RULES["pooled"]


def log_error(error):
    return np.log(np.maximum(error, LEAST))


def log_stderr(error, stderr):
    return np.where(error < LEAST, 1.0, stderr / np.maximum(error, LEAST))


def clip(values, k):
    if len(values) < 3:
        return values
    middle = np.median(values)
    reach = k * np.median(np.abs(values - middle))
    return np.clip(values, middle - reach, middle + reach)


def blend(x, xs, ys):
    """Straight lines between points; the end values outside."""
    right = min(int(np.searchsorted(xs, x)), len(xs) - 1)
    left = max(int(np.searchsorted(xs, x)) - 1, 0)
    if left == right:
        return ys[left]
    share = np.clip((x - xs[left]) / (xs[right] - xs[left]), 0, 1)
    return ys[right] if share == 1 else ys[left] if share == 0 else (1 - share) * ys[left] + share * ys[right]


class Pool:
    def __init__(self, curves, rule):
        """curves: list of (ratios, errors, standard errors), ascending in ratio."""
        self.rule, self.n = rule, len(curves)
        xs = [np.log2(c[0]) for c in curves]
        ys = [log_error(c[1]) for c in curves]
        ss = [log_stderr(c[1], c[2]) for c in curves]
        self.end = max(x[-1] for x in xs)
        self.y = np.full((self.n, GRID), np.nan)
        self.s = np.full((self.n, GRID), np.nan)
        self.measured = np.zeros((self.n, GRID), bool)
        for i, (x, y, s) in enumerate(zip(xs, ys, ss)):
            for j in range(GRID):
                at = self.end - j / 2
                if x[0] - NEAR <= at <= x[-1] + NEAR:
                    self.y[i, j], self.s[i, j] = blend(at, x, y), blend(at, x, s)
                    self.measured[i, j] = np.min(np.abs(x - at)) <= NEAR
        self.last_y = np.array([y[-1] for y in ys])
        self.last_s = np.array([s[-1] for s in ss])
        self.octaves = np.array([-x[-1] for x in xs])
        self.last = [int(np.floor((self.end - x[-1]) * 2 + 0.5)) for x in xs]
        for i, j in enumerate(self.last):
            if j < GRID:
                self.y[i, j] = self.last_y[i]
        self.test()

    def slope(self, i, j, span):
        """Gain an octave and the variance that the standard errors give it."""
        if j >= GRID or not np.isfinite(self.y[i, j]):
            return np.nan, np.nan
        n = 0
        while n < span and j + 2 * n + 2 < GRID and np.isfinite(self.y[i, j + 2 * n + 2]):
            n += 1
        if n == 0:
            return np.nan, np.nan
        at = j + 2 * np.arange(n + 1)
        w = self.rule["recent"]
        if n == 2 and w > 0:
            weights = np.array([w, 1 - 2 * w, w - 1])
        else:
            design = np.column_stack([np.ones(n + 1), -np.arange(n + 1.0)])
            weights = np.linalg.pinv(design)[1]
        return weights @ self.y[i, at], weights**2 @ self.s[i, at] ** 2

    def tame(self, slopes, noises):
        slopes = clip(slopes, self.rule["clip"])
        if not self.rule["shrink"] or len(slopes) < 4 or not np.all(np.isfinite(noises)):
            return slopes, 1.0
        total = np.var(slopes)
        real = max(total - np.mean(noises), 0.1 * total)
        if total == 0:
            return slopes, 1.0
        return slopes.mean() + (slopes - slopes.mean()) * real / (real + noises + 1e-30), real / total

    def gains(self):
        """In half an octave, means over all of them: variance of what models gained beside the path,
        the part of it that standard errors explain, and the inverse number of half octaves between
        two points. None where nothing is known."""
        found = [[] for _ in range(GRID)]
        own = self.y - self.path
        noise = np.nan_to_num(self.s) ** 2
        for i in range(self.n):
            at = np.flatnonzero(self.measured[i])
            for late, early in zip(at, at[1:]):
                row = (own[i, late] - own[i, early], noise[i, late] + noise[i, early], early - late)
                for j in range(late, early):
                    found[j].append(row)
        out = []
        for rows in found:
            if len(rows) > 1:
                gain, noise_, steps = np.array(rows).T
                gain = clip(gain, 4.5)
                out.append((np.sum((gain - gain.mean()) ** 2 / steps) / (len(gain) - 1), np.mean(noise_ / steps),
                            np.mean(1 / steps)))
        return np.mean(out, axis=0) if out else None

    def follow(self, noise, drift, spread):
        """Kalman filter of a local linear trend through every curve less the mean path, in matrix
        form; arguments are variances. Returns means [n, GRID, 2], covariances [n, GRID, 2, 2] and the log likelihood."""
        step = 0.5
        carry = np.array([[1, step], [0, 1]])
        added = np.array([[step**3 / 3, step**2 / 2], [step**2 / 2, step]])
        watch = np.array([1.0, 0.0])
        means = np.full((self.n, GRID, 2), np.nan)
        covs = np.full((self.n, GRID, 2, 2), np.nan)
        likelihood = 0.0
        for i in range(self.n):
            mean = None
            for j in range(GRID - 1, -1, -1):
                if mean is not None:
                    mean, cov = carry @ mean, carry @ cov @ carry.T + drift * added
                if self.measured[i, j]:
                    y = self.y[i, j] - self.path[j]
                    variance = noise + np.nan_to_num(self.s[i, j]) ** 2
                    if mean is None:
                        mean, cov = np.array([y, 0.0]), np.diag([variance, spread])
                    else:
                        total = max(watch @ cov @ watch + variance, 1e-6)
                        gain = cov @ watch / total
                        off = (y - watch @ mean) / np.sqrt(total)
                        loss = off**2 if abs(off) <= 3 else 6 * abs(off) - 9
                        likelihood -= np.exp(-0.15 * j) * (loss + np.log(total)) / 2
                        mean = mean + gain * np.clip(off, -3, 3) * np.sqrt(total)
                        cov = cov - np.outer(gain, watch @ cov)
                if mean is not None:
                    means[i, j], covs[i, j] = mean, cov
        return means, covs, likelihood

    def find_trend(self):
        """The mean path, and the mean over models by their likelihood."""
        self.path = np.zeros(GRID)
        for j in range(GRID - 2, -1, -1):
            gains = self.y[:, j] - self.y[:, j + 1]
            gains = clip(gains[np.isfinite(gains)], 3)
            self.path[j] = self.path[j + 1] + (gains.mean() if len(gains) else 0)
        known = np.all(np.isfinite(self.s[self.measured]))
        gains = self.gains()
        runs = []
        for noise in (0,) if known else (0.003, 0.01, 0.03):
            slopes = 0.2**2
            if gains is not None:
                half = gains[0] - gains[1] - 2 * gains[2] * noise**2
                slopes = 4 * max(half, 0.003**2, 0.05 * gains[0])
            for drift in (0.2, 0.7, 2.5):
                for spread in (0.25, 1):
                    sd = noise**2, drift**2 * slopes, spread**2 * slopes
                    runs.append((*sd, *self.follow(*sd)))
        weights = np.exp([r[5] - max(r[5] for r in runs) for r in runs])
        weights[weights < 1e-3] = 0
        weights /= weights.sum()
        self.noise, self.drift, self.first, self.means, self.covs = (
            sum(w * r[k] for w, r in zip(weights, runs)) for k in range(5))

    def deviation(self, cov, h, s):
        ahead = np.array([1.0, h])
        return np.sqrt(ahead @ cov @ ahead + self.drift * h**3 / 3 + self.noise + np.nan_to_num(s) ** 2)

    def final(self, i):
        """Level (mean path included) and slope at the end of curve i, and their covariance."""
        j = self.last[i]
        if j >= GRID:
            return self.last_y[i], np.nan, np.diag([0, self.first])
        return self.means[i, j, 0] + self.path[j], self.means[i, j, 1], self.covs[i, j]

    def test(self):
        rule = self.rule
        self.find_trend()
        pairs = np.array([self.slope(i, self.last[i], rule["span"]) for i in range(self.n)])
        known = np.isfinite(pairs[:, 0])
        self.f, self.mean, trust = np.zeros(self.n), 0.0, 1.0
        self.d, self.d_mean = np.zeros(self.n), 0.0
        if known.any():
            self.f[known], trust = self.tame(pairs[known, 0], pairs[known, 1])
            self.mean = self.f[known].mean()
            self.f[~known] = np.median(self.f[known])
            self.d[known] = clip(np.array([self.final(i)[1] for i in np.flatnonzero(known)]), 6)
            self.d_mean = self.d[known].mean()
            self.d[~known] = np.median(self.d[known])
        trials = []
        for h in (1, 2, 3):
            for t in range(min(13, GRID - 2 * h - 2)):
                j = t + 2 * h
                found = [(i, *self.slope(i, j, 2)) for i in range(self.n) if self.measured[i, t] and self.measured[i, j]]
                found = [f for f in found if np.isfinite(f[1])]
                if len(found) < 3:
                    continue
                i = [f[0] for f in found]
                p = h * self.tame(np.array([f[1] for f in found]), np.array([f[2] for f in found]))[0]
                q = h * clip(self.means[i, j, 1], 6)
                offset = self.means[i, j, 0] + self.path[j] - self.y[i, j]
                deviation = np.array([self.deviation(self.covs[k, j], h, self.s[k, t]) for k in i])
                trials.append((h, t, p, q, offset, self.y[i, t] - self.y[i, j], deviation))
        a = b = c = d = e = f = 0.0
        for h, t, p, q, offset, gain, *_ in trials:
            over = clip(gain - offset, rule["gain_clip"])
            gain = clip(gain, rule["gain_clip"])
            w = np.exp(-rule["fade"] * t) / h
            a += w * np.sum((p - p.mean()) * (gain - gain.mean()))
            b += w * np.sum((p - p.mean()) ** 2)
            c += w * len(p) * p.mean() * gain.mean()
            d += w * len(p) * p.mean() ** 2
            e += w * np.sum((q - q.mean()) * (over - over.mean()))
            f += w * np.sum((q - q.mean()) ** 2)
        prior = rule["prior"] * trust**2
        own = rule["weight"] * np.sum((self.f - self.mean) ** 2)
        drawn = 2 * np.sum((self.d - self.d_mean) ** 2)
        common = self.n * self.mean**2
        share = (a + prior * own) / (b + own) if b + own > 0 else prior
        mean_share = (c + rule["mean_prior"] * common) / (d + common) if d + common > 0 else rule["mean_prior"]
        self.share = np.clip(share, 0, rule["most"])
        self.mean_share = self.share if rule["mean_most"] is None else np.clip(mean_share, 0, rule["mean_most"])
        self.d_share = np.clip((e + 0.9 * drawn) / (f + drawn) if f + drawn > 0 else 0.9, 0, 1.1)
        self.trials = trials
        self.weight = 0.0
        if rule["shrink"]:
            ratio = count = 0.0
            sums = np.zeros(2)
            for h, t, p, q, offset, gain, *_ in trials:
                w = np.exp(-rule["fade"] * t) / h
                left = np.array([gain - self.share * (p - p.mean()), gain - offset - self.d_share * (q - q.mean())])
                left = np.array([x - clip(x, 3).mean() for x in left])
                most = 4.5 * np.median(np.abs(left))
                sums += w * np.sum(np.minimum(left**2, most**2), axis=1)
                count += w * len(p)
            if np.all(sums > 0):
                ratio = 0.5 * count * np.log(sums[0] / sums[1])
            self.weight = 1 / (1 + np.exp(-ratio))

    def predict(self):
        level = np.array([self.final(i)[0] for i in range(self.n)])
        recent = self.last_y + self.octaves * self.share * (self.f - self.mean)
        drawn = level + self.octaves * self.d_share * (self.d - self.d_mean)
        return (1 - self.weight) * recent + self.weight * drawn + self.octaves * self.mean_share * self.mean

    def spread(self, confidence):
        z = stats.norm.ppf((1 + confidence) / 2)
        sizes, shifts = {}, []
        for h, t, p, q, offset, gain, deviation in self.trials:
            own = (1 - self.weight) * self.share * (p - p.mean())
            own += self.weight * (offset + self.d_share * (q - q.mean()))
            left = gain - own - self.mean_share * p.mean()
            middle = clip(left, 3).mean()
            shifts.append((3 * np.exp(-0.5 * t), middle / h))
            size = np.sqrt(len(left) / (len(left) - 1)) * np.abs(left - middle) / deviation
            sizes.setdefault(h, []).append((np.full(len(left), np.exp(-0.25 * t)), size))
        factor, total = 0.0, 10.0
        for parts in sizes.values():
            weight = np.concatenate([p[0] for p in parts])
            value = np.concatenate([p[1] for p in parts])
            order = np.argsort(value, kind="stable")
            below = np.cumsum(weight[order])
            reach = value[order][np.argmax(below >= confidence * below[-1])]
            factor += below[-1] * np.log(max(reach, 0.1) / z)
            total += below[-1]
        factor = np.exp(factor / total)
        ends = [self.final(i)[2] for i in range(self.n)]
        inside = [c[1, 1] for c, j in zip(ends, self.last) if j < GRID]
        prior = 8 * factor**2 * (np.mean(inside) + self.drift / 3)
        shift = (prior + sum(w * m * m for w, m in shifts)) / (1 + sum(w for w, _ in shifts))
        own = [factor * self.deviation(c, h, s) for c, h, s in zip(ends, self.octaves, self.last_s)]
        return z * np.sqrt(np.square(own) + shift * self.octaves**2)


def power_law(ratio, error, stderr):
    y, s = log_error(error), log_stderr(error, stderr)
    n = len(y)
    last = np.exp(y[-1])
    if n == 1:
        return y[-1]
    noise = np.mean(s**2)
    scale = np.sqrt(s**2 + noise) if noise > 0 else np.ones(n)

    def left(p):
        floor = np.exp(p[2]) if n >= 4 else 0
        return (y - np.log(floor + np.exp(p[0] - np.exp(p[1]) * np.log(ratio)))) / scale

    floor = 0.5 * last if n >= 4 else 0
    y0, y1 = np.log(max(np.exp(y[0]) - floor, 1e-6)), np.log(last - floor)
    slope = max((y0 - y1) / np.log(ratio[-1] / ratio[0]), 0.01)
    start = [y1 + slope * np.log(ratio[-1]), np.log(slope), np.log(floor + 1e-6)][: 3 if n >= 4 else 2]
    p = optimize.least_squares(left, start, method="lm", xtol=1e-12, ftol=1e-12).x
    predicted = np.exp(p[0]) + (np.exp(p[2]) if n >= 4 else 0)
    return np.log(np.clip(predicted, last / 20, last * 20))


def predict(method, curves, confidence=0.9):
    pool = Pool(curves, RULES[method])
    y, half = pool.predict(), pool.spread(confidence)
    if method == "power-law":
        y = np.array([power_law(*c) for c in curves])
    return np.exp(np.array([y, y - half, y + half])).T


def read(path):
    tasks = {}
    with open(path) as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            points = tasks.setdefault(row["task"], {}).setdefault(row["model"], [])
            points.append([float(row["fraction"]), float(row["err"]), float(row["err_stderr"])])
    return {t: {m: np.array(sorted(p)) for m, p in models.items()} for t, models in tasks.items()}


def changed(task, models, how):
    if how == "bare":
        octave = {m: p[np.abs(np.log2(p[:, 0]) - np.round(np.log2(p[:, 0]))) < 0.01] for m, p in models.items()}
        return {m: np.column_stack([p[:, :2], np.full(len(p), np.nan)]) for m, p in octave.items()}
    return {m: np.delete(p, np.arange(k % 5, len(p), 3), axis=0) if k % 2 else p[k % 7 :]
            for k, (m, p) in enumerate(models.items())}


def main():
    tasks = read(sys.argv[1])
    print("method,at,pool,model,predicted,low,high")
    for number, (task, models) in enumerate(tasks.items()):
        if number % 5 != 0:
            continue
        for how in ("", "bare", "gaps"):
            pool = models if how == "" else changed(task, models, how)
            for at in (0.125, 0.5):
                curves = {m: p[p[:, 0] <= at * (1 + 1e-6)] for m, p in pool.items()}
                curves = {m: p for m, p in curves.items() if len(p) > 0}
                for method in RULES:
                    rows = predict(method, [tuple(p.T) for p in curves.values()])
                    for model, row in zip(curves, rows):
                        print(f"{method},{at},{how + '/' if how else ''}{task},{model}," +
                              ",".join(f"{v:.10g}" for v in row))


if __name__ == "__main__":
    main()
