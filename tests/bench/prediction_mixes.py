#!/usr/bin/env python3
"""Whether mixing rules would rank better than pooled does, and what of it is chance.

    python3 prediction_mixes.py TABLE.csv... [--wide WIDE.csv...] [--synthetic]

Tables as for predictions.py, points up to 1/8. Mixes are means of predicted log errors:
halves of pooled and another rule; by ranks: pooled, last-value and log-linear, weighted by exp(tau /
.1), tau being the mean weighted tau of their predictions of the points at 1/8 from those up to 1/16,
1/32 and 1/64; best of all: the best of 2,000 random mixes of all methods, chosen for every task by
its own truth, which no rule can know. +-: standard deviation of 200 bootstraps, over models where
there are at most five tasks, else over tasks. mordal-regress has to be in PATH. Needs NumPy, SciPy.
"""

import csv
import subprocess
import tempfile

import numpy as np
from scipy import stats

from predictions import METHODS, has, read_kinds, write

AT, LEAST = 0.125, 5e-4
RULES = ["pooled", "last-value", "log-linear"]


def predict(tasks, method, at):
    """{task: {model: log of the predicted error}}"""
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        write(tasks, file)
        out = subprocess.run(["mordal-regress", "--curves", file.name, "--at", str(at), "--method", method,
                              "--print", "csv"], check=True, capture_output=True, text=True).stdout
    found = {}
    for row in csv.DictReader(out.splitlines()):
        found.setdefault(row["task"], {})[row["model"]] = np.log(float(row["predicted"]))
    return found


def tau(predicted, final):
    return np.nan_to_num(stats.weightedtau(-predicted, -final).statistic)


def rank_weights(tasks):
    """{task: weights of RULES} from the points that are known at AT."""
    known = {t: {m: {f / AT: v for f, v in p.items() if f <= AT * 1.01} for m, p in models.items()}
             for t, models in tasks.items()}
    known = {t: {m: p for m, p in models.items() if has(p, 1)} for t, models in known.items()}
    taus = {t: [] for t in known}
    for at in (0.5, 0.25, 0.125):
        usable = {t: {m: p for m, p in models.items() if has(p, at)} for t, models in known.items()}
        usable = {t: models for t, models in usable.items() if len(models) > 3}
        found = [predict(usable, rule, at) for rule in RULES] if usable else []
        for task, models in usable.items():
            final = np.array([models[m][max(models[m])][0] for m in models])
            taus[task].append([tau(np.array([f[task][m] for m in models]), final) for f in found])
    means = {t: np.mean(v, axis=0) if v else np.zeros(len(RULES)) for t, v in taus.items()}
    return {t: np.exp(v / 0.1) / np.exp(v / 0.1).sum() for t, v in means.items()}


def collect(tasks):
    """One entry a task: final errors, {method: predicted log errors}."""
    found = {method: predict(tasks, method, AT) for method in METHODS}
    weights = rank_weights(tasks)
    entries = []
    for task, models in tasks.items():
        names = [m for m, p in models.items() if all(has(p, f) for f in (1, AT, AT / 2, AT / 4))]
        if len(names) < 4:
            continue
        rules = {method: np.array([found[method][task][m] for m in names]) for method in METHODS}
        for other in METHODS[1:]:
            rules["half " + other] = (rules["pooled"] + rules[other]) / 2
        rules["by ranks"] = sum(w * rules[r] for w, r in zip(weights[task], RULES))
        entries.append((np.array([max(models[m][max(models[m])][0], LEAST) for m in names]), rules))
    return entries


def best_of_all(entries, rng):
    """Means over tasks of the best mix of each task, and of the best mix of all tasks."""
    mixes = rng.dirichlet(np.full(len(METHODS), 0.5), 2000)
    taus = np.array([[tau(w @ np.array([rules[m] for m in METHODS]), final) for w in mixes] for final, rules in entries])
    return taus.max(axis=1).mean(), taus.mean(axis=0).max()


def bootstrap(entries, rng):
    """Standard deviations: tau of pooled, and how far it is above last-value and log-linear."""
    draws = []
    for _ in range(200):
        few = len(entries) <= 5
        rows = []
        for k in range(len(entries)) if few else rng.integers(len(entries), size=len(entries)):
            final, rules = entries[k]
            of = rng.integers(len(final), size=len(final)) if few else np.arange(len(final))
            rows.append([tau(rules[r][of], final[of]) for r in RULES])
        mean = np.mean(rows, axis=0)
        draws.append([mean[0], mean[0] - mean[1], mean[0] - mean[2]])
    return np.std(draws, axis=0)


def main():
    kinds = read_kinds(__doc__)
    mixed = ["half " + m for m in METHODS[1:]] + ["by ranks"]
    print("| table | pooled | above last-value | above log-linear | " + " | ".join(mixed) +
          " | best of all, by task | best of all |")
    print("|---" * (len(mixed) + 6) + "|")
    for kind, tasks in kinds.items():
        entries, rng = collect(tasks), np.random.default_rng(1)
        mean = {r: np.mean([tau(rules[r], final) for final, rules in entries]) for r in RULES + mixed}
        spread = bootstrap(entries, rng)
        best = best_of_all(entries, rng) if len(entries) <= 12 else (np.nan, np.nan)
        cells = [f"{mean['pooled']:.3f} ± {spread[0]:.3f}"]
        cells += [f"{mean['pooled'] - mean[r]:+.3f} ± {s:.3f}" for r, s in zip(RULES[1:], spread[1:])]
        cells += [f"{mean[m]:.3f}" for m in mixed] + [f"{b:.3f}" for b in best]
        print(f"| {kind} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
