#!/usr/bin/env python3
"""How well mordal-regress predicts measured learning curves: the tables of docs/prediction.md.

    python3 predictions.py TABLE.csv... [--wide WIDE.csv...] [--synthetic] > table.md

TABLE.csv: as of docs/formats/curves.md. WIDE.csv: one row a model, one column a training size, as
the benchmark of Rectified Scaling Law has them (github.com/linhaowei1/Fine-tuning-Scaling-Law,
benchmark/*.csv); each file is a task. mordal-regress has to be in PATH. Needs NumPy and SciPy.
Columns: weighted Kendall tau with the ranking at fraction 1 (scipy.stats.weightedtau) of every
method; of pooled: how far below the better of last-value and log-linear, top-1 hits, regret (best =
0, median = 1, at most 3), coverage of nominal 90 % intervals. Means over tasks.
Checkpoints of one run count where a table has no runs of their own.
Only models with points at the fraction asked for, half of it and a quarter of it, and at 1, count.
"""

import argparse
import csv
import os
import subprocess
import tempfile

import numpy as np
from scipy import stats

METHODS = ["pooled", "calibrated-slope", "power-law", "last-value", "log-linear"]


def read(path):
    tasks = {}
    with open(path) as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    has_fresh = any(row.get("kind") != "checkpoint" for row in rows)
    for row in rows:
        model = row.get("model") or row["ve"] + "+" + row["llm"]
        if model == "DummyClassifier" or (has_fresh and row.get("kind") == "checkpoint"):
            continue
        points = tasks.setdefault(row.get("task") or "all", {}).setdefault(model, {})
        fraction = float(row.get("fraction") or row["ratio"])
        points.setdefault(fraction, []).append((float(row["err"]), float(row.get("err_stderr") or "nan")))
    return {t: {m: {f: tuple(np.mean(v, axis=0)) for f, v in p.items()} for m, p in models.items()}
            for t, models in tasks.items()}


def read_wide(paths):
    tasks = {}
    for path in paths:
        with open(path) as file:
            rows = list(csv.DictReader(file))
        sizes = sorted((int(k) for k in rows[0] if k.isdigit() and int(k) > 0))
        name = os.path.splitext(os.path.basename(path))[0]
        tasks[name] = {list(row.values())[0]: {s / sizes[-1]: (float(row[str(s)]), np.nan) for s in sizes}
                       for row in rows}
    return tasks


SYNTHETIC = ["noisy accuracy", "noisy accuracy, 5 models", "pretraining loss", "fine-tuning loss, made up",
             "power laws that cross", "power laws, 2 % noise, no standard errors", "slow start"]


def synthetic(kind):
    """Twelve tasks of curves that are made up; the laws are what they are, noise included."""
    rng = np.random.default_rng(1)
    tasks = {}
    few = kind.endswith("5 models")
    for task in range(60 if few else 12):
        common = rng.uniform(size=3)
        for model in range(5 if few else 30):
            octaves = np.arange(13) if kind.startswith("fine") else np.arange(17) / 2
            if kind.startswith("power"):
                octaves = np.arange(7)
            ratio = 2.0**-octaves
            samples, noise = 0, 0.01
            if kind.startswith("noisy"):
                start, slope, floor = rng.uniform(0.25, 0.6), rng.uniform(0.02, 0.2), rng.uniform(0, 0.2)
                error, samples = floor + (start - floor) * ratio**-slope, 400
            elif kind.startswith("pretraining"):
                start, slope, floor = rng.uniform(2.3, 3.2), rng.uniform(0.03, 0.09), rng.uniform(1.2, 1.8)
                error, noise = floor + (start - floor) * ratio**-slope, 0.003
            elif kind.startswith("fine"):
                # Rectified scaling law (Lin et al. 2024, equation 3): a plateau, then a power law.
                slope, floor = 0.35 + 0.4 * common[0] + rng.normal(0, 0.1), common[1] * np.exp(rng.normal(-0.3, 0.3))
                known = (5000 + 50000 * common[2]) * np.exp(rng.normal(0, 1))
                scale = rng.uniform(1.2, 3) * (known**slope + 200**slope)
                error = scale / (known**slope + (800000 * ratio) ** slope) + floor
            elif kind.endswith("cross"):
                error = np.exp(np.log(0.3) + rng.normal(0, 0.12)) * (ratio * 2 ** (1 + 3 * common[0])) ** -rng.normal(0.2, 0.05)
            elif kind.startswith("power"):
                error, noise = (0.05 + 0.3 * common[0]) * np.exp(rng.normal(0, 0.3)) * ratio ** -abs(rng.normal(0.25, 0.1)), 0.02
            else:
                middle, width, end = rng.normal(-1.5, 1.2), rng.uniform(0.7, 1.5), rng.uniform(0.3, 0.7)
                error, samples = 0.9 - (0.9 - end) / (1 + np.exp((octaves + middle) / width)), 420
            tasks.setdefault(f"{kind} {task}".replace(",", ""), {})[f"m{model}"] = measured(rng, ratio, error, samples, noise)
    return tasks


def measured(rng, ratio, error, samples, noise):
    """Errors as they are measured: on so many samples, or with relative noise that nobody tells."""
    if samples:
        error = rng.binomial(samples, np.minimum(error, 0.97)) / samples
        stderr = np.maximum(np.sqrt(error * (1 - error) / samples), 0.5 / samples)
    else:
        error, stderr = error * np.exp(rng.normal(0, noise, len(ratio))), np.full(len(ratio), np.nan)
    return dict(zip(ratio, zip(error, stderr)))


def write(tasks, file):
    print("model,task,fraction,err,err_stderr", file=file)
    for task, models in tasks.items():
        for model, points in models.items():
            for fraction, (error, stderr) in sorted(points.items()):
                noise = "" if np.isnan(stderr) else float(stderr)
                print(model, task, fraction, float(error), noise, sep=",", file=file)
    file.flush()


def has(points, fraction):
    return any(abs(f / fraction - 1) < 0.01 for f in points)


def score(tasks, path, method, at):
    out = subprocess.run(["mordal-regress", "--curves", path, "--at", str(at), "--method", method,
                          "--confidence", "0.9", "--print", "csv"], check=True, capture_output=True, text=True)
    predicted = {}
    for row in csv.DictReader(out.stdout.splitlines()):
        predicted.setdefault(row["task"], {})[row["model"]] = [float(row[k]) for k in ("predicted", "low", "high")]
    taus, hits, regrets, covered = [], [], [], []
    for task, models in tasks.items():
        names = [m for m, p in models.items() if all(has(p, f) for f in (1, at, at / 2, at / 4))]
        if len(names) < 4:
            continue
        final = np.array([max(models[m][max(models[m])][0], 5e-4) for m in names])
        p, low, high = np.array([predicted[task][m] for m in names]).T
        taus.append(stats.weightedtau(-p, -final).statistic)
        chosen = final[np.argmin(p)]
        hits.append(chosen <= final.min() + 1e-12)
        span = np.median(final) - final.min()
        regrets.append(min((chosen - final.min()) / span, 3) if span > 0 else 0)
        covered.append(np.mean((final >= low) & (final <= high)))
    return [np.nanmean(v) for v in (taus, hits, regrets, covered)], len(taus)


def read_kinds(description):
    """The kinds of tables that the command line asks for: {name: tasks}."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*")
    parser.add_argument("--wide", nargs="+", default=[])
    parser.add_argument("--synthetic", action="store_true")
    options = parser.parse_args()
    kinds = {os.path.basename(path): read(path) for path in options.tables}
    if options.wide:
        kinds["fine-tuning"] = read_wide(options.wide)
    if options.synthetic:
        kinds.update({kind: synthetic(kind) for kind in SYNTHETIC})
    return kinds


def main():
    kinds = read_kinds(__doc__)
    print("| table | tasks | up to | " + " | ".join(METHODS) + " | less than the better of the last two | top-1 | regret | coverage |")
    print("|---" * (len(METHODS) + 7) + "|")
    for kind, tasks in kinds.items():
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            write(tasks, file)
            for at in (0.125, 0.25, 0.5):
                scores = {method: score(tasks, file.name, method, at) for method in METHODS}
                (tau, hit, regret, coverage), n = scores["pooled"]
                taus = [scores[method][0][0] for method in METHODS]
                below = max(taus[-1], taus[-2]) - tau
                print(f"| {kind} | {n} | 1/{round(1 / at)} | " + " | ".join(f"{t:.3f}" for t in taus) +
                      f" | {below:+.3f} | {hit:.2f} | {regret:.3f} | {coverage:.2f} |", flush=True)


if __name__ == "__main__":
    main()
