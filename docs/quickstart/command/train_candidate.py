#!/usr/bin/env python3
"""Train one candidate of the quick-start zoo with PyTorch, by the contract of the command trainer.

    trainer.command.line: python3 train_candidate.py --zoo ../zoo

Mordal starts it for a (vision encoder, language model) pair with MORDAL_VE, MORDAL_LM and the
other variables of docs/command-trainer.md. The encoder's features go through a two-layer projector
into a frozen Llama; the projector alone is trained, up to MORDAL_RATIO_TO of the alignment data,
from the checkpoint in MORDAL_CHECKPOINT_DIR if there is one. Then the share of evaluation samples
that greedy decoding answers wrongly is written to MORDAL_RESULT. On SIGTERM it saves and ends with
exit code 75.

Needs PyTorch, NumPy and h5py.
"""

import argparse
import json
import math
import os
import signal
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

STOPPED = 75
DTYPES = {"F32": np.float32, "F16": np.float16, "F64": np.float64}


def read_safetensors(path):
    """Return {name: float32 tensor} of a .safetensors file."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        first, end = (start + offset for offset in entry["data_offsets"])
        if entry["dtype"] == "BF16":
            bits = np.frombuffer(data[first:end], np.uint16).astype(np.uint32) << 16
            values = bits.view(np.float32)
        else:
            values = np.frombuffer(data[first:end], DTYPES[entry["dtype"]]).astype(np.float32)
        tensors[name] = torch.from_numpy(values.reshape(entry["shape"]))
    return tensors


class Llama:
    """A frozen Llama as a function from embeddings to logits."""

    def __init__(self, folder):
        config = json.loads((folder / "config.json").read_text())
        if config.get("rope_scaling"):
            sys.exit(f"{folder}: scaled rotary positions aren't in this example")
        self.weights = read_safetensors(folder / "model.safetensors")
        self.layers = config["num_hidden_layers"]
        self.heads = config["num_attention_heads"]
        self.kv_heads = config["num_key_value_heads"]
        self.width = config["hidden_size"]
        self.head_dim = config.get("head_dim") or self.width // self.heads
        self.eps = config["rms_norm_eps"]
        self.theta = config["rope_theta"]
        self.embedding = self.weights["model.embed_tokens.weight"]
        self.head = self.weights.get("lm_head.weight", self.embedding)

    def norm(self, x, name):
        scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)
        return x * scale * self.weights[name + ".weight"]

    def rotate(self, x, cos, sin):
        first, second = x.chunk(2, dim=-1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)

    def attention(self, x, prefix, cos, sin):
        batch, length, _ = x.shape

        def project(name, heads):
            y = x @ self.weights[f"{prefix}.{name}.weight"].T
            return y.view(batch, length, heads, self.head_dim).transpose(1, 2)

        q = self.rotate(project("q_proj", self.heads), cos, sin)
        k = self.rotate(project("k_proj", self.kv_heads), cos, sin)
        v = project("v_proj", self.kv_heads)
        groups = self.heads // self.kv_heads
        k, v = (t.repeat_interleave(groups, dim=1) for t in (k, v))
        scores = q @ k.transpose(2, 3) / self.head_dim ** 0.5
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        y = scores.masked_fill(future, float("-inf")).softmax(-1) @ v
        y = y.transpose(1, 2).reshape(batch, length, -1)
        return y @ self.weights[f"{prefix}.o_proj.weight"].T

    def __call__(self, x):
        """Return logits [batch, length, vocab] of embeddings x [batch, length, width]."""
        step = torch.arange(0, self.head_dim, 2, dtype=torch.float32) / self.head_dim
        angle = torch.arange(x.shape[1], dtype=torch.float32)[:, None] / self.theta**step
        cos, sin = angle.cos(), angle.sin()
        for layer in range(self.layers):
            p = f"model.layers.{layer}"
            x = x + self.attention(self.norm(x, p + ".input_layernorm"), p + ".self_attn", cos, sin)
            y = self.norm(x, p + ".post_attention_layernorm")
            gate, up, down = (self.weights[f"{p}.mlp.{name}_proj.weight"]
                              for name in ("gate", "up", "down"))
            x = x + (F.silu(y @ gate.T) * (y @ up.T)) @ down.T
        return self.norm(x, "model.norm") @ self.head.T


class Samples:
    """The corpus of one language model with one encoder's features."""

    def __init__(self, zoo, ve, lm):
        with h5py.File(zoo / "language" / lm / "corpus.h5") as file:
            self.token = torch.from_numpy(file["token"][:].astype(np.int64))
            self.scored = torch.from_numpy(file["scored"][:].astype(bool))
            self.offset = file["offset"][:]
            self.visual_at = file["visual_at"][:]
            split = file["split"][:]
            image = [name.decode() for name in file["image"][:]]
        ids = (zoo / "vision/sample_ids.txt").read_text().split()
        rows = {name: i for i, name in enumerate(ids)}
        features = np.load(zoo / "vision" / f"{ve}.npy").astype(np.float32)
        features = features.reshape(len(features), -1, features.shape[-1])  # image, token, feature
        self.row = [rows[name] for name in image]
        self.train, self.eval = (np.flatnonzero(split == i) for i in (0, 1))
        known = features[[self.row[i] for i in self.train]]
        spread = known.std(axis=(0, 1)) + 1e-6
        self.features = torch.from_numpy((features - known.mean(axis=(0, 1))) / spread)

    def batch(self, numbers, llama, projector):
        """Return embeddings and labels (-100: not scored) of the samples, padded on the right."""
        visual = projector(self.features[[self.row[i] for i in numbers]])
        rows, labels = [], []
        for i, picture in zip(numbers, visual):
            span = slice(self.offset[i], self.offset[i + 1])
            words, at = llama.embedding[self.token[span]], self.visual_at[i]
            label = torch.where(self.scored[span], self.token[span], -100)
            rows.append(torch.cat([words[:at], picture, words[at:]]))
            labels.append(torch.cat([label[:at], torch.full((len(picture),), -100), label[at:]]))
        pad = nn.utils.rnn.pad_sequence
        return pad(rows, True), pad(labels, True, padding_value=-100)


def losses(logits, labels):
    """Return the loss of every next token and whether it is the most likely one."""
    target = labels[:, 1:]
    loss = F.cross_entropy(logits[:, :-1].transpose(1, 2), target, reduction="none")
    return loss, (logits[:, :-1].argmax(-1) == target) | (target == -100), target != -100


@torch.no_grad()
def evaluate(samples, llama, projector, limit):
    """Greedy decoding gives the answer exactly when every answer token is the most likely one."""
    wrong, loss_sum, n_token = 0, 0.0, 0
    numbers = samples.eval[:limit]
    for first in range(0, len(numbers), 64):
        x, labels = samples.batch(numbers[first:first + 64], llama, projector)
        loss, right, scored = losses(llama(x), labels)
        wrong += int((~right.all(dim=1)).sum())
        loss_sum += float(loss[scored].sum())
        n_token += int(scored.sum())
    error = wrong / len(numbers)
    return {"error": error, "error_stderr": math.sqrt(error * (1 - error) / len(numbers)),
            "loss": loss_sum / n_token}


class Run:
    """Projector, optimiser and place in the run, with their checkpoint."""

    def __init__(self, samples, llama, option):
        torch.manual_seed(option.seed)
        n_feat = samples.features.shape[-1]
        self.projector = nn.Sequential(nn.Linear(n_feat, llama.width), nn.GELU(),
                                       nn.Linear(llama.width, llama.width))
        self.adam = torch.optim.Adam(self.projector.parameters(), lr=option.lr)
        self.step, self.seconds = 0, 0.0  # seconds: since the last answer
        self.path = option.checkpoints / "state.pt"
        if self.path.exists():
            state = torch.load(self.path)
            self.projector.load_state_dict(state["projector"])
            self.adam.load_state_dict(state["adam"])
            self.step, self.seconds = state["step"], state["seconds"]

    def save(self):
        temporary = self.path.with_suffix(".tmp")
        torch.save({"projector": self.projector.state_dict(), "adam": self.adam.state_dict(),
                    "step": self.step, "seconds": self.seconds}, temporary)
        os.replace(temporary, self.path)


def train(run, samples, llama, option):
    """Train to option.ratio; return False when stopped before."""
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    total = math.ceil(len(samples.train) * option.epochs / option.batch)
    end = max(1, round(option.ratio * total))
    order = np.concatenate([np.random.default_rng((option.seed, epoch)).permutation(samples.train)
                            for epoch in range(option.epochs)])
    started = time.monotonic()
    while run.step < end and not stop:
        for group in run.adam.param_groups:
            group["lr"] = option.lr * (1 - run.step / total)
        numbers = order[run.step * option.batch:(run.step + 1) * option.batch]
        x, labels = samples.batch(numbers, llama, run.projector)
        loss, _, scored = losses(llama(x), labels)
        run.adam.zero_grad()
        loss[scored].mean().backward()
        run.adam.step()
        run.step += 1
    run.seconds += time.monotonic() - started
    return run.step >= end


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--zoo", type=Path, required=True, metavar="FOLDER", help="the quick-start zoo")
    add("--epochs", type=int, default=1, metavar="N", help="passes at ratio 1 (default: 1)")
    add("--batch", type=int, default=4, metavar="N", help="samples a step (default: 4)")
    add("--lr", type=float, default=3e-3, metavar="RATE", help="Adam's (default: 0.003)")
    add("--eval-limit", type=int, metavar="N", help="measure on N samples (default: all)")
    option = parser.parse_args()
    option.ratio = float(os.environ["MORDAL_RATIO_TO"])
    option.seed = int(os.environ["MORDAL_SEED"])
    option.checkpoints = Path(os.environ["MORDAL_CHECKPOINT_DIR"])
    ve, lm = os.environ["MORDAL_VE"], os.environ["MORDAL_LM"]
    torch.set_num_threads(int(os.environ["MORDAL_RANKS"]))

    llama = Llama(option.zoo / "language" / lm)
    samples = Samples(option.zoo, ve, lm)
    run = Run(samples, llama, option)
    begun = run.step
    done = train(run, samples, llama, option)
    print(f"{ve}+{lm}: steps {begun} to {run.step}, {run.seconds:.1f} s", flush=True)
    run.save()
    if not done:
        return STOPPED
    answer = evaluate(samples, llama, run.projector, option.eval_limit)
    answer["train_seconds"] = run.seconds
    Path(os.environ["MORDAL_RESULT"]).write_text(json.dumps(answer))
    print(json.dumps(answer), flush=True)
    run.seconds = 0.0
    run.save()
    return 0


if __name__ == "__main__":
    sys.exit(main())
