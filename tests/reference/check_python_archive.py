#!/usr/bin/env python3
"""Writes archives with docs/python/mordal_archive.py.

usage: check_python_archive.py numpy|names|torch FOLDER

numpy: one model in every encoding, with and without tokens, and arrays to import beside. names:
files whose model has a name that is refused. torch: by forward hooks, as docs/python.md shows.
Needs numpy, h5py and xxhash; torch for the hooks.
"""
import sys
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs/python"))
from mordal_archive import ArchiveWriter  # noqa: E402

N = 50
IDS = [f"Zürich {i}" for i in range(N)]


def by_numpy(folder):
    x = np.random.default_rng(1).standard_normal((N, 12)).astype(np.float32)
    tokens = np.random.default_rng(2).standard_normal((N, 3, 5))
    np.save(folder / "x.npy", x)
    with h5py.File(folder / "plain.h5", "w") as file:
        file["layer/x"] = x
    (folder / "ids.txt").write_text("".join(f"{i}\n" for i in IDS))
    for encoding in ("float16", "float32", "float64"):
        with ArchiveWriter(folder / f"{encoding}.h5", IDS, 12, "vision", encoding=encoding) as out:
            out.append(x[:17])
            out.append(x[17:])
    with ArchiveWriter(folder / "bfloat16.h5", IDS, 12, "vision", encoding="bfloat16") as out:
        out.append((x.view(np.uint32) >> 16).astype(np.uint16))
    with ArchiveWriter(folder / "tokens.h5", IDS, 5, "vision", n_token=3) as out:
        out.append(tokens)
    for bad in (x[:3], np.full((N, 12), np.nan), x[:, :4]):
        try:
            with ArchiveWriter(folder / "bad.h5", IDS, 12, "vision") as out:
                out.append(bad)
        except ValueError:
            continue
        raise AssertionError("bad rows were taken")
    for ids, side, model in ((IDS, "left", None), (IDS, "vision", ""), (IDS, "vision", "../evil"),
                             (IDS, "vision", "a\nb"), (["a\0b"], "vision", None)):
        try:
            ArchiveWriter(folder / "bad.h5", ids, 12, side, model=model)
        except ValueError:
            continue
        raise AssertionError(f"{ids[0]!r}, {side}, {model!r} were taken")
    assert not list(folder.glob("*bad*"))


def hostile_names(folder):
    """archives that are whole but whose model's name can't be that of a file"""
    for file, name in (("slash", "../../evil"), ("empty", ""), ("control", "a\nb")):
        with ArchiveWriter(folder / f"{file}.h5", IDS, 12, "vision") as out:
            out.append(np.random.default_rng(3).standard_normal((N, 12)))
            out.file.attrs["model"] = name


def by_torch(folder):
    import torch
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.GELU(), torch.nn.Linear(16, 4))
    images = torch.randn(N, 8)
    for encoding, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        with ArchiveWriter(folder / f"hook-{encoding}.h5", IDS, 16, "vision",
                           encoding=encoding) as archive:
            hook = model[1].register_forward_hook(
                lambda module, inputs, output: archive.append(output.to(dtype)))
            with torch.no_grad():
                for first in range(0, N, 20):
                    model(images[first:first + 20])
            hook.remove()
    with h5py.File(folder / "hook-float32.h5") as file:
        with torch.no_grad():
            assert np.allclose(file["activation"][:], model[1](model[0](images)).numpy(), atol=1e-6)


if __name__ == "__main__":
    {"numpy": by_numpy, "names": hostile_names, "torch": by_torch}[sys.argv[1]](Path(sys.argv[2]))
