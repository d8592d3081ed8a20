#!/usr/bin/env python3
"""HDF5 files and arrays that can't be imported or compared, and such that can.

usage: make_bad_arrays.py FOLDER
       make_bad_arrays.py hold FILE.h5 COMMAND...    runs COMMAND while FILE.h5 is being written

Needs numpy and h5py.
"""
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

N = 80
UNKNOWN_FILTER = 300  # of the range for testing: nobody's


def filtered(file, name, values):
    """a chunk that claims to have gone through a filter which nobody has"""
    space = h5py.h5s.create_simple(values.shape)
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk(values.shape)
    plan.set_filter(UNKNOWN_FILTER, h5py.h5z.FLAG_OPTIONAL, (0,))
    dataset = h5py.h5d.create(file.id, name.encode(), h5py.h5t.IEEE_F32LE, space, plan)
    dataset.write_direct_chunk((0,) * values.ndim, values.tobytes(), filter_mask=0)


def make(folder):
    folder.mkdir()
    random = np.random.default_rng(20261124)
    shared = random.standard_normal((N, 6))
    base = (shared @ random.standard_normal((6, 12))).astype(np.float32)
    near = (base + random.standard_normal(base.shape)).astype(np.float32)
    order = random.permutation(N)
    ids = [f"img{i}" for i in range(N)]
    with h5py.File(folder / "bad.h5", "w") as file:
        filtered(file, "filtered", base)
        file.create_dataset("empty", shape=(0, 4), dtype="f4")
        file.create_dataset("gzip", data=base, compression="gzip", shuffle=True)
    for name, values, names in (
        ("base", base, ids),
        ("near", near, ids),
        ("turned", near[order], [ids[i] for i in order]),
        ("later", near, [f"img{i + 5}" for i in range(N)]),
        ("twice", near, ids[:-1] + ids[:1]),
        ("wide", random.standard_normal((N, 100)).astype(np.float32), ids),
    ):
        np.save(folder / f"{name}.npy", values)
        (folder / f"{name}.txt").write_text("".join(f"{i}\n" for i in names))


def hold(path, command):
    with h5py.File(path, "w", libver="latest") as file:  # marks a file as open
        file["x"] = np.ones((N, 4), dtype=np.float32)
        file.flush()
        return subprocess.run(command).returncode


if sys.argv[1] == "hold":
    sys.exit(hold(sys.argv[2], sys.argv[3:]))
make(Path(sys.argv[1]))
