#!/usr/bin/env python3
"""Compares a search with the full grid of the same zoo, really trained.

usage: compare_with_grid.py SEARCH_FOLDER GRID_FOLDER

SEARCH_FOLDER: a finished study (report/ranking.csv, regress/regress.h5, regress/final.h5).
GRID_FOLDER: the same zoo with every pair trained to ratio 1 (rungs/rung-1.h5), see
docs/quickstart/grid/STUDY.yaml. Needs h5py and scipy.

Weighted Kendall tau: scipy.stats.weightedtau (additive hyperbolic weights) of the ranks in
report/ranking.csv, where pairs of dropped clusters stand behind the predicted ones, the later
dropped first, against the grid's errors.
"""
import csv
import sys

import h5py
import numpy as np
from scipy.stats import weightedtau


def texts(dataset):
    return [x.decode() for x in dataset[:]]


def read_grid(folder):
    with h5py.File(f"{folder}/rungs/rung-1.h5") as f:
        rows = zip(texts(f["candidate"]), f["error"][:], f["error_stderr"][:], f["train_seconds"][:])
        return {name: (error, stderr, seconds) for name, error, stderr, seconds in rows}


def read_search(folder):
    with open(f"{folder}/report/ranking.csv", newline="") as f:
        ranking = {f"{row['ve']}+{row['llm']}": int(row["rank"]) for row in csv.DictReader(f)}
    with h5py.File(f"{folder}/regress/regress.h5") as f:
        choice = f.attrs["choice"]
        seconds = dict(zip(texts(f["candidate"]), np.nan_to_num(f["train_seconds"][:])))
    with h5py.File(f"{folder}/regress/final.h5") as f:
        measured = float(f["error"][0]), float(f["error_stderr"][0])
        final_seconds = float(f["train_seconds"][0])
    searched = sum(seconds.values())
    return choice, ranking, searched, searched - seconds[choice] + final_seconds, measured


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    grid = read_grid(sys.argv[2])
    choice, ranking, searched, with_final, measured = read_search(sys.argv[1])
    names = sorted(grid)
    errors = np.array([grid[name][0] for name in names])
    best = names[int(np.argmin(errors))]
    total = sum(grid[name][2] for name in names)
    rank = int(np.sum(errors < grid[choice][0])) + 1
    tau = weightedtau([-ranking[name] for name in names], -errors).statistic
    within = grid[choice][0] <= grid[best][0] + grid[best][1]
    print(f"pairs                         {len(names)}")
    print(f"grid: best                    {best} {grid[best][0]:.4f} +- {grid[best][1]:.4f}")
    print(f"grid: median, worst           {np.median(errors):.4f}, {errors.max():.4f}")
    print(f"search: choice                {choice}, measured {measured[0]:.4f} +- {measured[1]:.4f}")
    print(f"choice in the grid            {grid[choice][0]:.4f}, rank {rank}")
    print(f"top-1                         {'yes' if choice == best else 'no'}")
    print(f"within one standard error     {'yes' if within else 'no'}")
    print(f"weighted Kendall tau          {tau:.3f}")
    print(f"training seconds: grid        {total:.0f}")
    print(f"training seconds: search      {searched:.0f} ({100 * searched / total:.1f} % of the grid)")
    print(f"... and the choice to ratio 1 {with_final:.0f} ({100 * with_final / total:.1f} %)")


if __name__ == "__main__":
    main()
