#!/usr/bin/env python3
"""How well mordal-regress predicts measured learning curves: the tables of docs/prediction.md.

    python3 predictions.py TABLE.csv... [--wide WIDE.csv...] [--synthetic] > table.md

TABLE.csv: as of docs/formats/curves.md. WIDE.csv: one row a model, one column a training size, as
the benchmark of Rectified Scaling Law has them (github.com/linhaowei1/Fine-tuning-Scaling-Law,
benchmark/*.csv); each file is a task. mordal-regress has to be in PATH. Needs NumPy and SciPy.
Columns: weighted Kendall tau with the ranking at fraction 1 (scipy.stats.weightedtau), top-1 hits,
regret (best = 0, median = 1, at most 3), coverage of nominal 90 % intervals; means over tasks.
Only models with points at the fraction asked for, half of it and a quarter of it, and at 1, count.
"""

import argparse
import csv
import os
import subprocess
import tempfile

import numpy as np
from scipy import stats

METHODS = ["pooled", "calibrated-slope", "last-value", "log-linear", "power-law"]


def read(path):
    tasks = {}
    with open(path) as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            model = row.get("model") or row["ve"] + "+" + row["llm"]
            if model == "DummyClassifier" or row.get("kind") == "checkpoint":
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


def synthetic(kind):
    """Curves that saturate: noisy accuracies on 400 samples, or losses of pretraining."""
    rng = np.random.default_rng(1)
    tasks = {}
    for task in range(12):
        for model in range(30):
            if kind == "noisy accuracy":
                start, slope, floor, noise = rng.uniform(0.25, 0.6), rng.uniform(0.02, 0.2), rng.uniform(0, 0.2), 400
            else:
                start, slope, floor, noise = rng.uniform(2.3, 3.2), rng.uniform(0.03, 0.09), rng.uniform(1.2, 1.8), 0
            points = {}
            for k in range(17):
                error = floor + (start - floor) * 2 ** (k / 2 * slope)
                if noise:
                    error = rng.binomial(noise, min(error, 0.97)) / noise
                    points[2 ** (-k / 2)] = (error, max(np.sqrt(error * (1 - error) / noise), 0.5 / noise))
                else:
                    points[2 ** (-k / 2)] = (error * np.exp(rng.normal(0, 0.003)), np.nan)
            tasks.setdefault(f"{kind} {task}", {})[f"m{model}"] = points
    return tasks


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*")
    parser.add_argument("--wide", nargs="+", default=[])
    parser.add_argument("--synthetic", action="store_true")
    options = parser.parse_args()
    kinds = {os.path.basename(path): read(path) for path in options.tables}
    if options.wide:
        kinds["fine-tuning"] = read_wide(options.wide)
    if options.synthetic:
        kinds.update({kind: synthetic(kind) for kind in ("noisy accuracy", "pretraining loss")})
    print("| table | tasks | up to | method | tau | top-1 | regret | coverage |\n|---|---|---|---|---|---|---|---|")
    for kind, tasks in kinds.items():
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            write(tasks, file)
            for at in (0.125, 0.25, 0.5):
                for method in METHODS:
                    (tau, hit, regret, coverage), n = score(tasks, file.name, method, at)
                    print(f"| {kind} | {n} | 1/{round(1 / at)} | {method} | {tau:.3f} | {hit:.2f} | {regret:.3f} | {coverage:.2f} |", flush=True)


if __name__ == "__main__":
    main()
