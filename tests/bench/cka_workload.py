#!/usr/bin/env python3
"""Make activations of M models that are alike to different degrees, for measuring mordal-cka.

usage: cka_workload.py W1|W2|W3|TINY FOLDER

Writes FOLDER/m00.npy, m01.npy, ...: float32 (n, d), d going through WIDTHS. Model i mixes three
groups of latent variables, those of all models, of its cluster (three neighbours) and of its own,
with shares that depend on i, maps them to its width by a random matrix, and adds a mean for every
feature and noise. Similarities come out between about 0.3 and 0.9. Every block of 1024 rows has a
random stream of its own, so a workload with fewer rows is the beginning of one with more. The same
call gives the same bytes on one machine.
"""
import argparse
import pathlib

import numpy as np

WIDTHS = (1024, 1152, 1280, 1024, 1024, 1024, 1536)
WORKLOADS = {"TINY": (512, 3), "W1": (4096, 7), "W2": (32768, 7), "W3": (16384, 28)}
N_LATENT = 96
BLOCK = 1024


def stream(*key):
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(20240813, spawn_key=key)))


def latents(group, block):
    decay = np.arange(1, N_LATENT + 1, dtype=np.float32) ** -0.4
    return stream(0, group, block).standard_normal((BLOCK, N_LATENT), dtype=np.float32) * decay


def shares(model):
    """of the variance of squares: all models', the cluster's, the model's own latents"""
    common, own = 0.45 + 0.05 * (model % 4), 0.08 + 0.04 * (model % 6)
    return np.float32(np.array([common, 1 - common - own, own]) ** 0.25)


def write_model(path, model, n_row, width):
    fixed = stream(1, model)
    weights = fixed.standard_normal((3 * N_LATENT, width), dtype=np.float32) / np.float32(width**0.5)
    mean = 0.2 * fixed.standard_normal(width, dtype=np.float32)
    noise = 0.15 * np.arange(1, width + 1, dtype=np.float32) ** -0.25
    groups = (0, 1 + model // 3, 100000 + model)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n_row, width))
    for block in range(-(-n_row // BLOCK)):
        inner = np.hstack([s * latents(g, block) for s, g in zip(shares(model), groups)])
        own = stream(2, model, block).standard_normal((BLOCK, width), dtype=np.float32)
        rows = inner @ weights + own * noise + mean
        out[block * BLOCK:(block + 1) * BLOCK] = rows[:n_row - block * BLOCK]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    n_row, n_model = WORKLOADS[arguments.workload]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for model in range(n_model):
        write_model(arguments.folder / f"m{model:02d}.npy", model, n_row, WIDTHS[model % 7])


if __name__ == "__main__":
    main()
