#!/usr/bin/env python3
"""What strategies choose and cost on learning curves whose truth is known: a Markdown table.

    python3 strategies.py [TABLE.csv...] [--wide WIDE.csv...]

TABLE.csv and WIDE.csv as for predictions.py. Besides, 30 made-up tasks of 30 models each of two
kinds, seeds fixed: losses of fine-tuning, B / (D_l + D^beta) + E over 14 doublings of the data (the
rectified scaling law, arXiv 2402.02314) with noise of .4 %; and scores of multiple-choice tests of
1,000 questions that start at .25 to .6 of errors and fall as a power of the data to a floor.
mordal-regress has to be in PATH. Needs NumPy and SciPy.
"""
import argparse
import csv
import os
import subprocess
import tempfile

import numpy as np

from predictions import read, read_wide, write

SETTINGS = [("paper", []), ("halving", []), ("interval", []), ("interval", ["confidence=0.9"]),
            ("interval", ["start_ratio=0.03125"]), ("interval", ["floor=0"])]


def fine_tuning(rng):
    data = 2.0 ** np.arange(14)
    tasks = {}
    for task in range(30):
        for model in range(30):
            beta, scale = rng.uniform(0.15, 0.6), rng.uniform(1.0, 3.0)
            late, floor = 2.0 ** rng.uniform(0, 5 * beta), rng.uniform(0.2, 1.5)
            loss = scale * (late + 1) / (late + data ** beta) + floor
            loss *= np.exp(rng.normal(0, 0.004, len(data)))
            tasks.setdefault(f"fine-tuning {task}", {})[f"m{model}"] = {
                d / data[-1]: (e, np.nan) for d, e in zip(data, loss)}
    return tasks


def multiple_choice(rng):
    tasks = {}
    for task in range(30):
        for model in range(30):
            start, slope, floor = rng.uniform(0.25, 0.6), rng.uniform(0.02, 0.2), rng.uniform(0, 0.2)
            points = {}
            for k in range(17):
                error = rng.binomial(1000, min(floor + (start - floor) * 2 ** (k / 2 * slope), 0.97)) / 1000
                points[2 ** (-k / 2)] = (error, max(np.sqrt(error * (1 - error) / 1000), 0.0005))
            tasks.setdefault(f"multiple choice {task}", {})[f"m{model}"] = points
    return tasks


def simulate(path, strategy, settings):
    sweep = ",".join([f"strategy={strategy}"] + settings)
    out = subprocess.run(["mordal-regress", "--simulate", "--curves", path, "--sweep", sweep], check=True,
                         capture_output=True, text=True)
    return list(csv.DictReader(out.stdout.splitlines()))[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*")
    parser.add_argument("--wide", nargs="+", default=[])
    options = parser.parse_args()
    kinds = {os.path.basename(path): read(path) for path in options.tables}
    if options.wide:
        kinds["fine-tuning, real"] = read_wide(options.wide)
    kinds["fine-tuning, made up"] = fine_tuning(np.random.default_rng(1))
    kinds["multiple choice, made up"] = multiple_choice(np.random.default_rng(2))
    print("| table | tasks | strategy | tau | top-1 | within | cost |\n|---|---|---|---|---|---|---|")
    for kind, tasks in kinds.items():
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            write(tasks, file)
            for strategy, settings in SETTINGS:
                row = simulate(file.name, strategy, settings)
                name = ", ".join([strategy] + settings)
                print(f"| {kind} | {len(tasks)} | {name} | {float(row['tau']):.3f} | {float(row['top1']):.2f} | "
                      f"{float(row['within_stderr']):.2f} | {float(row['cost']):.3f} |", flush=True)


main()
