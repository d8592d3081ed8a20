"""Writes archives of mordal-archive's schema from Python (docs/formats/archive.md).

    with ArchiveWriter("archive/vision/mine.h5", ids, n_feat=768, side="vision") as archive:
        archive.append(rows)          # again and again, until there is a row for each id

The file gets the digests that Mordal checks, and appears under its name when it is whole. Needs
h5py, numpy and xxhash.
"""
import os
import struct
from pathlib import Path

import h5py
import numpy as np
import xxhash

ENCODINGS = {"float16": "<f2", "bfloat16": "<u2", "float32": "<f4", "float64": "<f8"}
GUARD = 512


class ArchiveWriter:
    def __init__(self, path, ids, n_feat, side, model=None, n_token=0, encoding="float32",
                 label="activations from Python", source="Python"):
        """One file of the activations of a model: a row of n_feat numbers (of n_token x n_feat,
        if that isn't 0) for each of ids, in their order. side: "vision" or "language". bfloat16
        takes rows as uint16, their upper halves."""
        ids = [str(i).encode() for i in ids]
        if not ids or len(set(ids)) < len(ids) or not all(
                0 < len(i) < 256 and b"\0" not in i for i in ids):
            raise ValueError("sample ids must be unique, of 1 to 255 bytes without NUL, at least one")
        self.path = Path(path)
        name = self.path.stem if model is None else model
        if not name or any(c < " " or c in "/\x7f" for c in name):
            raise ValueError(f"model {name!r}: a name has no '/' and no control character")
        if side not in ("vision", "language"):
            raise ValueError(f"side {side!r} is neither 'vision' nor 'language'")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        self.file = h5py.File(self.temporary, "w", userblock_size=GUARD)
        shape = (len(ids), n_token, n_feat) if n_token else (len(ids), n_feat)
        self.rows = self.file.create_dataset("activation", shape, ENCODINGS[encoding])
        width = h5py.string_dtype("utf-8", max(map(len, ids)))
        self.file.create_dataset("sample_id", data=np.array(ids, width))
        self.digests = np.zeros(len(ids), "<u8")
        self.n_done = 0
        configuration = f"encoding={encoding}\nlabel={label}\nmodel={name}\n" \
                        f"side={side}\nsource={source}"
        self.file.attrs.update({
            "schema": "mordal-archive", "schema_version": np.int64(1),
            "model": name, "side": side, "label": label, "source": source,
            "encoding": encoding, "digested_by_row": "activation", "tool_version": "python",
            "configuration": configuration, "inputs_digest": "",
            "configuration_digest": digest_of([text(configuration)])})

    def append(self, rows):
        """Adds the next rows: an array, or a torch.Tensor on any device."""
        if hasattr(rows, "detach"):
            rows = from_torch(rows, self.rows.dtype == "<u2")
        if self.rows.dtype == "<u2" and np.asarray(rows).dtype != np.uint16:
            raise ValueError("bfloat16 takes torch.bfloat16 or uint16")
        rows = np.ascontiguousarray(rows, self.rows.dtype)
        values = rows if rows.dtype != np.uint16 else (rows.astype("<u4") << 16).view("<f4")
        if not np.isfinite(values).all():
            raise ValueError(f"rows {self.n_done} on: NaN, infinity or too large for the encoding")
        end = self.n_done + len(rows)
        if rows.shape[1:] != self.rows.shape[1:] or end > len(self.rows):
            raise ValueError(f"rows of {rows.shape} don't fit {self.rows.shape} after {self.n_done}")
        self.rows[self.n_done:end] = rows
        self.digests[self.n_done:end] = [xxhash.xxh3_64_intdigest(r.tobytes()) for r in rows]
        self.n_done = end

    def close(self):
        """Seals the file and puts it into place."""
        if self.n_done < len(self.rows):
            raise ValueError(f"{len(self.rows) - self.n_done} rows are missing")
        self.file.create_dataset("row_digest", data=self.digests)
        self.file.attrs["content_digest"] = digest_of(contents(self.file, "activation"))
        offset, length = self.rows.id.get_offset(), self.rows.id.get_storage_size()
        self.file.close()
        with open(self.temporary, "r+b") as file:
            digest = digest_of(bytes_around(file, offset, length))
            file.seek(0)
            file.write(f"mordal-guard 1 {offset} {length} {digest}\n".encode().ljust(GUARD, b"\0"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.temporary, self.path)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self.close()
        finally:
            if self.file:
                self.file.close()
            self.temporary.unlink(missing_ok=True)


def from_torch(rows, as_words):
    """NumPy has no bfloat16: its upper halves as words, or float32."""
    import torch
    rows = rows.detach().cpu().contiguous()
    if rows.dtype != torch.bfloat16:
        return rows.numpy()
    return rows.view(torch.int16).numpy().view("<u2") if as_words else rows.float().numpy()


def digest_of(pieces):
    digest = xxhash.xxh3_128()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def text(words):
    words = words.encode()
    return struct.pack("<Q", len(words)) + words


def contents(file, without):
    """What content_digest is of: names, shapes, types and values, in the order of the names."""
    yield text(".")
    for name in sorted(file.attrs):
        if name != "content_digest":
            value = file.attrs[name]
            yield text(name)
            yield text(value) if isinstance(value, str) else value.tobytes()
    for name in sorted(file):
        kind, shape = file[name].id.get_type(), file[name].shape
        yield text(name)
        yield struct.pack(f"<{3 + len(shape)}Q", kind.get_class(), kind.get_size(), len(shape), *shape)
        if name != without:
            yield file[name][:].tobytes()


def bytes_around(file, offset, length):
    """The file's bytes but the guard and those of the rows."""
    file.seek(GUARD)
    yield file.read(offset - GUARD)
    file.seek(offset + length)
    yield file.read()
