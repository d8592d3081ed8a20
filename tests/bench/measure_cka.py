#!/usr/bin/env python3
"""Measure mordal-cka against what this machine can do, and against other packages.

usage: measure_cka.py BUILD FOLDER [--workloads W1,W2] [--repeat 5] [--peers a,b|none] [--python PYTHON]
       measure_cka.py BUILD FOLDER --ranks 1,2 [--workloads W1,W2] [--repeat 5]

BUILD holds bin/ and tests-bin/ of the suite; FOLDER takes the workloads (made by cka_workload.py at
the first call: 0.3, 2.1 and 4.2 GB for W1, W2, W3). Every round runs, one after the other and each in
a fresh process on one thread: the machine's rates (tests-bin/bench_rates), mordal-cka, and each peer.
The least cpu seconds of all rounds are printed as a table in Markdown:

limit   flops of the route / measured sgemm rate + bytes / measured read rate
cpu     user + system seconds of the process: for mordal-cka from start to end, reading included;
        for a peer its computation alone, on arrays that are in memory

With --ranks the same work is done by so many ranks, each bound to a core of its own (its reading
thread too), and wall seconds are compared, least of all rounds: of computing, as the program logs it,
and of the whole, with mpiexec's start. That needs as many idle cores.

PYTHON has numpy and whatever peers are to be measured (README.md has the list); a peer that isn't
there is left out. The machine may be busy: cpu seconds are compared, not wall time.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import cka_peers
import cka_workload

RUNS = {  # name: (workload, options of mordal-cka, flops per (n, widths), limit on the ratio)
    "W1 full batch": ("W1", ["--estimator", "biased"], "gram", 1.15),
    "W2 b=256": ("W2", ["--batch", "256"], 256, 1.20),
    "W2 b=64": ("W2", ["--batch", "64"], 64, 1.50),
    "W3 full batch": ("W3", ["--estimator", "biased"], "gram", 1.20),
    "W3 b=256": ("W3", ["--batch", "256"], 256, None),
}
ENVIRONMENT = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1",
                   HDF5_USE_FILE_LOCKING="FALSE")


def shape(workload):
    n_row, n_model = cka_workload.WORKLOADS[workload]
    return n_row, [cka_workload.WIDTHS[i % 7] for i in range(n_model)]


def cost(workload, route):
    """operations of all pairs with symmetric halves, and bytes of the rows"""
    n_row, widths = shape(workload)
    depth = n_row if route == "gram" else route
    return n_row * depth * (sum(widths) + len(widths) ** 2 / 2), 4 * n_row * sum(widths)


def archives_of(build, folder, workload):
    arrays, archives = folder / workload, folder / f"{workload}-archives"
    if not arrays.exists():
        subprocess.run([sys.executable, cka_workload.__file__, workload, arrays], check=True,
                       env=ENVIRONMENT)
    models = sorted(arrays.glob("*.npy"))
    if not archives.exists():
        subprocess.run([build / "bin/mordal-archive", "import", "--side", "vision", "-o", archives,
                        *(f"{m.stem}={m}" for m in models)], check=True, env=ENVIRONMENT,
                       stderr=subprocess.DEVNULL)
    return models, [archives / f"{m.stem}.h5" for m in models]


def rates_of(build, archives):
    out = subprocess.run([build / "tests-bin/bench_rates", *archives], check=True, env=ENVIRONMENT,
                         capture_output=True, text=True).stdout
    return tuple(float(x) for x in out.split())


def run_cka(build, folder, options, archives):
    """(cpu seconds, peak memory in MB) of one process"""
    command = [build / "bin/mordal-cka", "--force", "-o", folder / "out.h5", *options, *archives]
    child = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    log = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(log)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def run_peer(python, name, batch, models):
    out = subprocess.run([python, cka_peers.__file__, name, str(batch), *models], env=ENVIRONMENT,
                         capture_output=True, text=True).stdout
    lines = [line for line in out.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else None


def measure(a, name):
    workload, options, route, bound = RUNS[name]
    models, archives = archives_of(a.build, a.folder, workload)
    flops, n_byte = cost(workload, route)
    n_row = shape(workload)[0]
    rates, ours, peers = [], [], {}
    for _ in range(a.repeat if workload != "W3" else 1):
        rates.append(rates_of(a.build, archives))
        ours.append(run_cka(a.build, a.folder, options, archives))
        for peer in a.peers if workload != "W3" else []:
            found = run_peer(a.python, peer, n_row if route == "gram" else route, models)
            if found is not None:
                peers.setdefault(peer, []).append(found)
    rates.append(rates_of(a.build, archives))
    flop_rate, read_rate = (max(r) for r in zip(*rates))
    limit, cpu = flops / flop_rate + n_byte / read_rate, min(cpu for cpu, _ in ours)
    bound_text = f" (bound {bound:.2f})" if bound else ""
    print(f"| {name} | mordal-cka | {cpu:.2f} | {limit:.2f} at {flop_rate / 1e9:.1f} Gflop/s, "
          f"{read_rate / 1e9:.2f} GB/s | {cpu / limit:.2f}{bound_text} | 1 | "
          f"{max(mb for _, mb in ours):.0f} |", flush=True)
    for peer, found in peers.items():
        best = min(f["cpu_s"] for f in found)
        print(f"| | {peer} | {best:.2f} | | {best / limit:.2f} | {best / cpu:.1f} | "
              f"{max(f['rss_mb'] for f in found):.0f} |", flush=True)


def run_ranks(build, folder, options, archives, n_rank):
    """wall seconds of computing and of the whole"""
    start = time.monotonic()
    log = subprocess.run(["mpiexec", "--bind-to", "core", "-n", str(n_rank), build / "bin/mordal-cka",
                          "--force", "-o", folder / "out.h5", *options, *archives], check=True,
                         env=ENVIRONMENT, stderr=subprocess.PIPE, text=True).stderr
    whole = time.monotonic() - start
    return float(re.search(r"computed in ([0-9.]+) s", log).group(1)), whole


def measure_ranks(a, name):
    workload, options, _, _ = RUNS[name]
    _, archives = archives_of(a.build, a.folder, workload)
    found = {n: [] for n in a.ranks}
    for _ in range(a.repeat if workload != "W3" else 1):
        for n_rank, times in found.items():
            times.append(run_ranks(a.build, a.folder, options, archives, n_rank))
    least = {n_rank: [min(t) for t in zip(*times)] for n_rank, times in found.items()}
    first = least[a.ranks[0]]
    for n_rank, (computing, whole) in least.items():
        print(f"| {name} | {n_rank} | {computing:.3f} | {first[0] / computing:.2f} | {whole:.3f} | "
              f"{first[1] / whole:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--workloads", default="W1,W2")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--peers", default=",".join(cka_peers.PEERS))
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--ranks", type=lambda text: [int(n) for n in text.split(",")])
    a = parser.parse_args()
    a.build, a.folder = a.build.resolve(), a.folder.resolve()
    a.peers = [] if a.peers == "none" else a.peers.split(",")
    a.folder.mkdir(parents=True, exist_ok=True)
    if a.ranks:
        print("| workload | ranks | computing s | times the first | whole s | times the first |")
        print("|---|---|---|---|---|---|")
    else:
        print("| workload | program | cpu s | limit s | of limit | times ours | peak MB |")
        print("|---|---|---|---|---|---|---|")
    for name in RUNS:
        if re.split(" ", name)[0] in a.workloads.split(","):
            (measure_ranks if a.ranks else measure)(a, name)


if __name__ == "__main__":
    main()
