#!/usr/bin/env python3
"""Measure mordal-cka on a GPU.

usage: measure_cka_gpu.py BUILD FOLDER

BUILD is one with MORDAL_ENABLE_CUDA=ON; FOLDER takes the workloads, as of measure_cka.py. Prints

- full-batch CKA of W3 from the GPU's memory against cuBLAS's sgemm (tests-bin/bench_cka_device);
- W1, W2 and W3 from start to end: wall seconds, least of three, with --backend cuda, and with cpu
  for W1 and W2; the seconds that reading takes at the measured rate, once for minibatches and twice
  for full batches; the largest difference of a similarity between the two backends.

Exits with 77 where there is no GPU. One rank, one GPU; the machine should be idle.
"""
import pathlib
import subprocess
import sys
import time

import h5py
import numpy as np

import measure_cka

RUNS = [("W1", ["--estimator", "biased"], 2), ("W1", ["--estimator", "unbiased", "--kernel", "rbf"], 2),
        ("W2", ["--batch", "256"], 1), ("W2", ["--batch", "64"], 1),
        ("W3", ["--estimator", "biased"], 2), ("W3", ["--estimator", "biased", "--precision", "bfloat16"], 2)]


def run(build, folder, archives, options, backend, rounds):
    """(least wall seconds, similarity)"""
    output, best = folder / f"{backend}.h5", None
    for _ in range(rounds):
        start = time.monotonic()
        subprocess.run([build / "bin/mordal-cka", "--force", "-o", output, "--backend", backend, *options,
                        *archives], check=True, env=measure_cka.ENVIRONMENT, stderr=subprocess.DEVNULL)
        seconds = time.monotonic() - start
        best = seconds if best is None else min(best, seconds)
    with h5py.File(output) as file:
        return best, file["similarity"][()]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    build, folder = map(pathlib.Path, sys.argv[1:])
    bench = subprocess.run([build / "tests-bin/bench_cka_device"])
    if bench.returncode != 0:
        sys.exit(bench.returncode)
    print("| workload | options | cuda s | reading s | of reading | cpu s | largest difference |\n|---|---|---|---|---|---|---|")
    for workload, options, passes in RUNS:
        _, archives = measure_cka.archives_of(build, folder, workload)
        _, read_rate = measure_cka.rates_of(build, archives)
        reading = passes * measure_cka.cost(workload, "gram")[1] / read_rate
        cuda, similarity = run(build, folder, archives, options, "cuda", 3)
        cpu = difference = "not run"
        if workload != "W3":
            seconds, expected = run(build, folder, archives, options, "cpu", 1)
            cpu, difference = f"{seconds:.2f}", f"{np.abs(similarity - expected).max():.1e}"
        print(f"| {workload} | {' '.join(options)} | {cuda:.2f} | {reading:.2f} | {cuda / reading:.2f} | {cpu} | "
              f"{difference} |", flush=True)


main()
