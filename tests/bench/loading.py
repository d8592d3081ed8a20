#!/usr/bin/env python3
"""How fast a checkpoint becomes weights to compute with, against reading its files.

usage: loading.py BENCH_MODEL_RATES FOLDER [LAYERS]

Makes in FOLDER, where it isn't there, a checkpoint of Llama-3-8B's shape with LAYERS blocks
(default 4 of its 32) and a vocabulary of 32,000: random bfloat16 in shards of one block. Reads its
files by read(2) and loads them by bench_model_rates load, in turn, five times each: cold, with the
files dropped from the page cache before each, then warm, out of that cache; weights are kept as
float32, then as bfloat16 (trainer.precision). A first load isn't timed: on a virtual machine memory
that was never used is slow. Prints the best rates of each, their ratio, the processor time, and the
peak memory over what is kept. Needs NumPy.
"""
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np

D, F, KV, VOCAB = 4096, 14336, 1024, 32000
BLOCK = {"self_attn.q_proj": (D, D), "self_attn.k_proj": (KV, D), "self_attn.v_proj": (KV, D),
         "self_attn.o_proj": (D, D), "mlp.gate_proj": (F, D), "mlp.up_proj": (F, D),
         "mlp.down_proj": (D, F), "input_layernorm": (D,), "post_attention_layernorm": (D,)}


def write_shard(path, shapes):
    """Random numbers of +-(0.5 .. 2) / 64: every bfloat16 of them is finite."""
    header, at = {}, 0
    for name, shape in shapes.items():
        n_byte = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + n_byte]}
        at += n_byte
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = np.random.default_rng(len(path.name))
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            bits = rng.integers(0, 1 << 16, int(np.prod(shape)), dtype=np.uint16)
            file.write(bits & np.uint16(0x80ff) | np.uint16(0x3c00))


def make(folder, n_layer):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "hidden_act": "silu", "vocab_size": VOCAB, "hidden_size": D,
        "intermediate_size": F, "num_hidden_layers": n_layer, "num_attention_heads": 32,
        "num_key_value_heads": 8, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5,
        "rope_theta": 5e5, "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2}))
    shards = [{f"model.layers.{i}.{name}.weight": shape for name, shape in BLOCK.items()}
              for i in range(n_layer)]
    shards.append({"model.embed_tokens.weight": (VOCAB, D), "model.norm.weight": (D,),
                   "lm_head.weight": (VOCAB, D)})
    weight_map = {}
    for i, shapes in enumerate(shards):
        name = f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors"
        write_shard(folder / name, shapes)
        weight_map |= {tensor: name for tensor in shapes}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def drop(files):
    for file in files:
        with open(file, "rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(files):
    """Wall and processor seconds of reading them all."""
    wall, cpu, buffer = time.perf_counter(), time.process_time(), bytearray(4 << 20)
    for file in files:
        with open(file, "rb", buffering=0) as opened:
            while opened.readinto(buffer):
                pass
    return time.perf_counter() - wall, time.process_time() - cpu


def load(bench, folder, precision):
    """Wall and processor seconds of loading, and peak bytes."""
    done = subprocess.run([bench, "load", folder, precision], check=True, stdout=subprocess.PIPE,
                          text=True)
    return tuple(map(float, done.stdout.split()))


def compare(bench, folder, precision, files, cold):
    raw, loaded = [], []
    for _ in range(5):
        if cold:
            drop(files)
        raw.append(read(files))
        if cold:
            drop(files)
        loaded.append(load(bench, folder, precision))
    n_byte = sum(file.stat().st_size for file in files)
    (raw, raw_cpu), (wall, cpu) = (map(min, zip(*(times[:2] for times in runs)))
                                   for runs in (raw, loaded))
    print(f"{'cold' if cold else 'warm'}: read at {n_byte / raw / 1e9:.2f} GB/s "
          f"({raw_cpu:.2f} s of cpu), loaded at {n_byte / wall / 1e9:.2f} GB/s ({cpu:.2f} s), "
          f"ratio {raw / wall:.2f}")


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    bench, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    if not (folder / "model.safetensors.index.json").exists():
        make(folder, int(sys.argv[3]) if len(sys.argv) == 4 else 4)
    files = sorted(folder.glob("*.safetensors"))
    n_byte = sum(file.stat().st_size for file in files)
    for precision, n_kept in ("float32", 2 * n_byte), ("bfloat16", n_byte):
        peak = load(bench, folder, precision)[2]
        print(f"{n_byte / 1e9:.2f} GB in {len(files)} shards, {n_kept / 1e9:.2f} GB as "
              f"{precision}; peak memory {(peak - n_kept) / 1e9:.2f} GB over that")
        compare(bench, folder, precision, files, cold=True)
        compare(bench, folder, precision, files, cold=False)


if __name__ == "__main__":
    main()
