#!/usr/bin/env python3
"""Where the log-linear rule breaks: what the line through log error and log ratio foresees against
what came, on a table of measured curves (docs/formats/curves.md). docs/studies.md.

usage: log_linear.py CURVES.csv [OUT.svg]

For predictions at 1/32 to 1/2 and a third of the curves each (by foreseen gain), prints as Markdown
the median of (gain that came) / (gain that was foreseen), gains being falls of log error up to ratio
1, and the root mean square error of log error of three methods. OUT.svg: foreseen against real gain
at 1/8. Needs NumPy, and mordal-regress in PATH.
"""
import csv
import subprocess
import sys

import numpy as np

LEAST = 5e-4  # errors below count as that, as in the suite


def read(path):
    """{(task, model): {fraction: error}}"""
    curves = {}
    with open(path) as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        for row in rows:
            model = row.get("model") or f"{row['ve']}+{row['llm']}"
            fraction = float(row.get("fraction") or row["ratio"])
            try:
                error = float(row["err"])
            except ValueError:
                continue
            if error >= 0:
                curves.setdefault((row.get("task", "all"), model), {})[fraction] = error
    return curves


def predict(path, at, method):
    out = subprocess.run(["mordal-regress", "--curves", path, "--at", str(at), "--method", method,
                          "--print", "csv"], check=True, capture_output=True, text=True).stdout
    return {(r["task"], r["model"]): float(r["predicted"]) for r in csv.DictReader(out.splitlines())}


def log(error):
    return np.log(np.maximum(error, LEAST))


def gains(path, curves, at):
    """Arrays of one entry a curve: foreseen and real gain, and each method's error."""
    methods = ("log-linear", "last-value", "pooled")
    predicted = {m: predict(path, at, m) for m in methods}
    foreseen, real, misses = [], [], {m: [] for m in methods}
    for key, points in curves.items():
        here = [f for f in points if abs(f / at - 1) < 0.02]
        end = [f for f in points if f >= 1 - 1e-6]
        if not here or not end or any(key not in predicted[m] for m in methods):
            continue
        foreseen.append(log(points[here[0]]) - log(predicted["log-linear"][key]))
        real.append(log(points[here[0]]) - log(points[end[0]]))
        for m in methods:
            misses[m].append(log(predicted[m][key]) - log(points[end[0]]))
    return np.array(foreseen), np.array(real), {m: np.array(v) for m, v in misses.items()}


def report(path, curves):
    print("| at | curves | came / foreseen: flattest third | middle | steepest third |"
          " rms: log-linear | last value | pooled |")
    print("|---|---|---|---|---|---|---|---|")
    for octave in range(5, 0, -1):
        foreseen, real, misses = gains(path, curves, 2.0**-octave)
        if len(foreseen) < 9:
            continue
        thirds = np.array_split(np.argsort(foreseen), 3)
        shares = [f"{real[t].sum() / foreseen[t].sum():.2f}" if foreseen[t].mean() > 0.02
                  else f"{real[t].mean():+.2f} for {foreseen[t].mean():+.2f}" for t in thirds]
        rms = [f"{np.sqrt(np.mean(v**2)):.3f}" for v in misses.values()]
        print(f"| 1/{2**octave} | {len(foreseen)} | {' | '.join(shares)} | {' | '.join(rms)} |")


def draw(path, foreseen, real):
    """Foreseen (across) against real gain, both clipped to the middle 98 %, of at most
    1,000 curves, and the medians of groups by foreseen gain."""
    low = min(np.percentile(foreseen, 1), np.percentile(real, 1), 0)
    high = max(np.percentile(foreseen, 99), np.percentile(real, 99))

    def x(v):
        return 60 + (np.clip(v, low, high) - low) / (high - low) * 420

    def y(v):
        return 440 - (np.clip(v, low, high) - low) / (high - low) * 420

    shown = np.arange(0, len(foreseen), 1 + len(foreseen) // 1000)
    order = np.array_split(np.argsort(foreseen), min(10, len(foreseen) // 12))
    middle = [(np.median(foreseen[o]), np.median(real[o])) for o in order]
    with open(path, "w") as out:
        out.write('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 500 490" width="500" '
                  'height="490"><style>text{font:12px sans-serif;fill:#57606a}</style>'
                  '<rect width="100%" height="100%" fill="#fff"/>\n')
        for value in np.arange(np.ceil(low / 0.5) * 0.5, high, 0.5):
            out.write(f'<path d="M{x(value):.1f} 20V440M60 {y(value):.1f}H480" stroke="#d3d8de" '
                      f'stroke-width=".5"/><text x="{x(value):.1f}" y="456" '
                      f'text-anchor="middle">{value:g}</text><text x="54" y="{y(value) + 4:.1f}" '
                      f'text-anchor="end">{value:g}</text>\n')
        out.write(f'<path d="M{x(low)} {y(low)}L{x(high)} {y(high)}" stroke="#57606a" '
                  'stroke-dasharray="4 4"/>\n')
        for f, r in zip(foreseen[shown], real[shown]):
            out.write(f'<circle cx="{x(f):.1f}" cy="{y(r):.1f}" r="1.5" fill="#b8c0c8"/>')
        path_ = "L".join(f"{x(f):.1f} {y(r):.1f}" for f, r in middle)
        out.write(f'<path d="M{path_}" fill="none" stroke="#31688e" stroke-width="2"/>')
        out.write('<text x="270" y="476" text-anchor="middle">gain in log error from 1/8 to 1 that '
                  'the line foresees</text><text x="16" y="230" text-anchor="middle" '
                  'transform="rotate(-90 16 230)">gain that came</text></svg>\n')


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    curves = read(sys.argv[1])
    report(sys.argv[1], curves)
    if len(sys.argv) == 3:
        foreseen, real, _ = gains(sys.argv[1], curves, 0.125)
        draw(sys.argv[2], foreseen, real)


main()
