#!/usr/bin/env python3
"""Searches the quick start's zoo with several seeds and compares with its full grid.

usage: search_over_seeds.py FOLDER [--seeds 1 2 3 4 5] [--ranks N] [--search YAML] [--compare]

Runs grid and search for each seed in FOLDER/grid-SEED and FOLDER/NAME-SEED, which go on where they
stopped, and prints a Markdown table. --search: the section search of the study, as
'{strategy: paper}'; NAME is its strategy. --compare: what is there already, nothing is run. mordal
has to be in PATH; a grid takes about three minutes of two quiet cores. Needs h5py and scipy.

share: training seconds of the search, the choice to ratio 1 included, by those of the grid. Both at
the grid's speed of each pair (ratio x seconds to ratio 1), so that other work on the machine
doesn't count. within: the choice's error in the grid is within the best one's standard error.
"""
import argparse
import csv
import glob
import os
import re
import subprocess

import h5py
import numpy as np
from scipy.stats import weightedtau

QUICKSTART = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/quickstart")


def write_study(folder, source, seed, search=None):
    with open(source) as f:
        text = f.read()
    zoo = os.path.realpath(f"{QUICKSTART}/zoo")
    text = re.sub(r"(?<=[ ])(\.\./)?zoo/", zoo + "/", text)
    text = re.sub(r"(?m)^seed: .*", f"seed: {seed}", text)
    if search:
        text += f"\nsearch: {search}\n"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/STUDY.yaml", "w") as f:
        f.write(text)


def run(folder, ranks):
    subprocess.run(["mordal", "run", f"{folder}/STUDY.yaml", "-n", str(ranks)], check=True)


def read_grid(folder):
    grid = {}
    for path in glob.glob(f"{folder}/candidates/*/history.h5"):
        with h5py.File(path) as f:
            last = [f[name][-1] for name in ("ratio", "error", "error_stderr", "train_seconds")]
        if last[0] == 1:
            grid[os.path.basename(os.path.dirname(path))] = last[1:]
    return grid


def read_search(folder):
    with h5py.File(f"{folder}/regress/regress.h5") as f:
        choice = f.attrs["choice"]
        ratio = dict(zip((x.decode() for x in f["candidate"][:]), f["ratio_trained"][:]))
    ratio[choice] = 1
    with open(f"{folder}/report/ranking.csv", newline="") as f:
        rank = {f"{row['ve']}+{row['llm']}": int(row["rank"]) for row in csv.DictReader(f)}
    return choice, ratio, rank


def compare(seed, grid_folder, folder):
    grid = read_grid(grid_folder)
    choice, ratio, rank = read_search(folder)
    names = sorted(grid)
    errors = np.array([grid[n][0] for n in names])
    best = names[int(np.argmin(errors))]
    share = sum(grid[n][2] * ratio[n] for n in names) / sum(grid[n][2] for n in names)
    tau = weightedtau([-rank[n] for n in names], -errors).statistic
    within = grid[choice][0] <= grid[best][0] + grid[best][1]
    print(f"| {seed} | {choice} | {grid[choice][0]:.3f} | {best} | {grid[best][0]:.3f} +- {grid[best][1]:.3f} | "
          f"{'yes' if within else 'no'} | {share:.3f} | {tau:.2f} |", flush=True)
    return within, share, tau


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--search", default="{strategy: cross}")
    parser.add_argument("--compare", action="store_true")
    options = parser.parse_args()
    name = re.search(r"strategy: *(\w+)", options.search).group(1)
    print("| seed | choice | its error | best of the grid | its error | within | share | tau |\n" + "|---" * 8 + "|")
    rows = []
    for seed in options.seeds:
        grid, folder = f"{options.folder}/grid-{seed}", f"{options.folder}/{name}-{seed}"
        if not options.compare:
            write_study(grid, f"{QUICKSTART}/grid/STUDY.yaml", seed)
            write_study(folder, f"{QUICKSTART}/STUDY.yaml", seed, options.search)
            run(grid, options.ranks)
            run(folder, options.ranks)
        rows.append(compare(seed, grid, folder))
    within, share, tau = np.mean(np.array(rows, dtype=float), axis=0)
    print(f"| mean | | | | | {within:.2f} | {share:.3f} | {tau:.2f} |")


main()
