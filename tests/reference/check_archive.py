"""Arrays for tests/cli/archive_numpy.sh, and what NumPy and h5py say of the archives made of them.

check_archive.py make | kinds | encodings
"""

import json
import sys

import h5py
import numpy as np


def bfloat16(x):
    """The bits of float32 x as bfloat16, to nearest even."""
    bits = np.asarray(x, "<f4").view("<u4").astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def widen(bits):
    """The recipe of docs/formats/archive.md."""
    return (bits.astype("<u4") << 16).view("<f4")


def arrays():
    random = np.random.default_rng(5)
    f8 = random.standard_normal((37, 6)) * 10.0 ** random.integers(-4, 4, (37, 6))
    return f8, random.standard_normal((37, 3, 5)).astype("<f4")


def save_safetensors(path, tensors):
    header, data = {}, b""
    for name, kind, array in tensors:
        raw = array.tobytes()
        header[name] = {"dtype": kind, "shape": array.shape,
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + data)


def make():
    f8, three = arrays()
    f4 = f8.astype("<f4")
    np.save("f2.npy", f8.astype("<f2"))
    np.save("f4.npy", f4)
    np.save("f8.npy", f8)
    np.save("three.npy", three)
    with open("v2.npy", "wb") as file:
        np.lib.format.write_array(file, f4, version=(2, 0))
    save_safetensors("a.safetensors", [("ints", "I32", np.arange(6, dtype="<i4").reshape(2, 3)),
                                       ("w", "F32", f4), ("half.bf", "BF16", bfloat16(f4))])
    with h5py.File("a.h5", "w") as file:
        file["deep/er/x"] = f8
        file.create_dataset("chunked", data=three, chunks=(8, 3, 2), compression="gzip")
        file["big"] = f4.astype(">f4")
        file["ints"] = np.arange(6).reshape(2, 3)
        file["texts"] = np.array([[b"a", b"b"]])
        file["flat"] = f4[0]
    bad = f4.copy()
    bad[17, 2] = np.nan
    bad[20, 0] = np.nan
    np.save("nan.npy", bad)
    bad3 = three.copy()
    bad3[17, 1, 2] = -np.inf
    np.save("inf3.npy", bad3)
    large = np.ones((9, 5), "<f4")
    large[3, 4] = 70000
    np.save("large.npy", large)
    np.save("integers.npy", np.arange(6).reshape(2, 3))
    np.save("big.npy", f4.astype(">f4"))
    np.save("fortran.npy", np.asfortranarray(f4))
    np.save("objects.npy", np.array([[None, 1]], dtype=object), allow_pickle=True)
    np.save("empty.npy", np.zeros((0, 5), "<f4"))
    np.save("narrow.npy", np.zeros((5, 0), "<f4"))


def check_file(path, expected, encoding):
    with h5py.File(path, "r") as file:
        found = file["activation"]
        assert found.dtype == expected.dtype, (path, found.dtype)
        assert np.array_equal(found[:], expected), path
        ids = [name.decode() for name in file["sample_id"][:]]
        assert ids == [str(i) for i in range(len(expected))], path
        assert file["row_digest"].shape == (len(expected),)
        assert file["row_digest"].dtype == np.dtype("<u8")
        assert file.attrs["encoding"] == encoding and file.attrs["side"] == "language"
        assert file.attrs["schema"] == "mordal-archive" and file.attrs["schema_version"] == 1


def kinds():
    f8, three = arrays()
    f4 = f8.astype("<f4")
    check_file("kinds/f2.h5", f8.astype("<f2"), "float16")
    check_file("kinds/f4.h5", f4, "float32")
    check_file("kinds/v2.h5", f4, "float32")
    check_file("kinds/st.h5", f4, "float32")
    check_file("kinds/f8.h5", f8, "float64")
    check_file("kinds/h5.h5", f8, "float64")
    check_file("kinds/three.h5", three, "float32")
    check_file("kinds/chunked.h5", three, "float32")
    check_file("kinds/bf16.h5", bfloat16(f4), "bfloat16")


def encodings():
    f8, three = arrays()
    for name in ("float16", "float32", "float64"):
        kind = np.dtype(name)
        check_file(f"{name}/f8.h5", f8.astype(kind), name)
        assert np.array_equal(np.load(f"{name}/f8.npy"), f8.astype(kind))
        assert np.array_equal(np.load(f"{name}/three.npy"), three.astype(kind).astype("<f8"))
    check_file("bfloat16/three.h5", bfloat16(three), "bfloat16")
    with h5py.File("bfloat16/f8.h5", "r") as file:
        values = widen(file["activation"][:])
    assert np.array_equal(np.load("bfloat16/f8.npy"), values)
    assert np.all(np.abs(values - f8) <= np.abs(f8) * 2.0**-8)


{"make": make, "kinds": kinds, "encodings": encodings}[sys.argv[1]]()
