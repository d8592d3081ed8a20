#!/usr/bin/env python3
"""Make the language side of the quick-start zoo: six small Llama-style decoders, from scratch.

    apt-get install bible-kjv bible-kjv-text dict-devil dict-jargon r-cran-janeaustenr \\
                    unicode-data wordnet-base
    python3 train_language.py --out language

Needs the packages of env/requirements-python.txt and PyTorch 2.0 or newer (`pip install torch`;
Debian 12's python3-torch is too old). One core, about three minutes a model. The run is
deterministic on one version of PyTorch and one kind of processor; elsewhere rounding may move the
last digits. The models that are shipped were made with PyTorch 2.15.0 and tokenizers 0.23.3.

NAME/ gets config.json, model.safetensors (float16) and tokenizer.json, all in the layout that
Hugging Face publishes for Llama, and metrics.json with the validation loss. The texts:

    name     text                                Debian 12 package    licence of the text
    wordnet  glosses of the nouns of WordNet 3.0 wordnet-base         WordNet licence (permissive)
    austen   six novels of Jane Austen           r-cran-janeaustenr   public domain (package: MIT)
    kjv      King James Bible                    bible-kjv-text       public domain outside the UK
    jargon   The Jargon File 4.4.7               dict-jargon          public domain
    devil    The Devil's Dictionary (Bierce)     dict-devil           public domain
    unicode  names and notes of the characters   unicode-data         Unicode licence (permissive)
"""

import argparse
import gzip
import json
import math
import os
import re
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn

SPECIAL = ["<pad>", "<bos>", "<eos>"]  # ids 0, 1, 2
PAD, BOS, EOS = range(3)
CONTEXT = 128  # tokens a training row
BATCH = 16  # rows a step
HELD_OUT = 20  # every 20th document is validation
WARM_UP = 0.05  # share of the steps
WEIGHT_DECAY = 0.1
EPS = 1e-5


@dataclass(frozen=True)
class Plan:
    """One model: shape, optimiser and seed."""

    vocab: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    ffn: int
    theta: float
    tied: bool
    steps: int
    lr: float
    seed: int


PLANS = {
    #                vocab hidden layers heads kv  ffn   theta    tied  steps   lr   seed
    "wordnet": Plan(2048, 192, 4, 6, 2, 512, 10000.0, True, 500, 3e-3, 11),
    "austen": Plan(1536, 160, 4, 5, 5, 432, 10000.0, False, 500, 3e-3, 12),
    "kjv": Plan(2048, 128, 4, 4, 2, 344, 500000.0, True, 700, 3e-3, 13),
    "jargon": Plan(2048, 128, 3, 8, 4, 344, 10000.0, True, 800, 3e-3, 14),
    "devil": Plan(1024, 96, 2, 3, 3, 256, 10000.0, False, 800, 3e-3, 15),
    "unicode": Plan(1536, 64, 4, 4, 1, 192, 100000.0, True, 1500, 4e-3, 16),
}


# ---- texts: each reader returns a list of documents -------------------------------------------

def read(root, name, package):
    """Return the bytes of one file of a Debian package, unpacked when it is gzip."""
    path = Path(root) / name
    if not path.exists():
        sys.exit(f"train_language.py: no {path}: apt-get install {package}, or give --root")
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def squeeze(text):
    return re.sub(r"\s+", " ", text).strip()


def wordnet(root):
    data = read(root, "usr/share/wordnet/data.noun", "wordnet-base").decode("utf-8")
    documents = []
    for line in data.splitlines():
        if line.startswith("  ") or " | " not in line:
            continue
        left, gloss = line.split(" | ", 1)
        field = left.split()
        words = field[4:4 + 2 * int(field[3], 16):2]
        documents.append(squeeze(", ".join(words).replace("_", " ") + ": " + gloss))
    return documents


def austen(root):
    """The novels are R character vectors, one string a line, serialised and deflated."""
    data = read(root, "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb", "r-cran-janeaustenr")
    lines, start = [], 0
    while start < len(data):
        block = zlib.decompressobj()
        raw = block.decompress(data[start + 4:])  # 4 bytes of length come first
        start = len(data) - len(block.unused_data)
        at = raw.find(b"\x00\x04\x00\x09")  # tag of a string, then its length
        while at >= 0:
            size = int.from_bytes(raw[at + 4:at + 8], "big")
            lines.append(raw[at + 8:at + 8 + size].decode("utf-8"))
            at = raw.find(b"\x00\x04\x00\x09", at + 8 + size)
    return paragraphs("\n".join(lines))


def kjv(root):
    program = Path(root) / "usr/bin/bible"
    read(root, "usr/lib/bible.data", "bible-kjv-text")
    if not program.exists():
        sys.exit(f"train_language.py: no {program}: apt-get install bible-kjv, or give --root")
    out = subprocess.run(
        [program, "-p", Path(root) / "usr/lib", "-d", "bible.data", "-l9999", "gen1:1-rev22:21"],
        stdin=subprocess.DEVNULL, capture_output=True, check=True, text=True).stdout
    return [squeeze(line) for line in re.split(r"\n\s*\d+ ", out) if len(line) > 20]


def paragraphs(text):
    return [squeeze(part) for part in re.split(r"\n\s*\n", text) if len(part) > 20]


def jargon(root):
    text = read(root, "usr/share/dictd/jargon.dict.dz", "dict-jargon").decode("utf-8")
    return paragraphs(text[text.index("\n(TM)\n"):])


def devil(root):
    text = read(root, "usr/share/dictd/devil.dict.dz", "dict-devil").decode("utf-8")
    return paragraphs(text[text.index("PREFACE"):])


def unicode(root):
    text = read(root, "usr/share/unicode/NamesList.txt", "unicode-data").decode("utf-8")
    documents = []
    for entry in re.split(r"\n(?=[0-9A-F]{4,6}\t)", text)[1:]:
        lines = [line.lstrip("\t*=x~#:@+ ") for line in entry.split("\t", 1)[1].splitlines()
                 if not line.startswith(("@", ";"))]
        if not lines[0].startswith("<"):
            documents.append(squeeze(". ".join(lines)).lower())
    return documents


READERS = {"wordnet": wordnet, "austen": austen, "kjv": kjv, "jargon": jargon, "devil": devil,
           "unicode": unicode}


def train_tokenizer(documents, vocab):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(documents, trainers.BpeTrainer(
        vocab_size=vocab, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    if tokenizer.get_vocab_size() != vocab:
        sys.exit(f"train_language.py: {tokenizer.get_vocab_size()} tokens instead of {vocab}")
    return tokenizer


def encode(tokenizer, documents):
    """One long row: <bos> document <eos> <bos> document <eos> ..."""
    ids = []
    for code in tokenizer.encode_batch(documents):
        ids += [BOS, *code.ids, EOS]
    return torch.tensor(ids)


# ---- the model, with Hugging Face's tensor names ----------------------------------------------

class RMSNorm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS)


def linear(n_in, n_out):
    layer = nn.Linear(n_in, n_out, bias=False)
    nn.init.normal_(layer.weight, std=n_in ** -0.5)
    return layer


class Attention(nn.Module):
    """Causal self-attention; rotary halves as in Hugging Face; kv_heads shared by heads."""

    def __init__(self, plan):
        super().__init__()
        self.size = plan.hidden // plan.heads
        self.heads, self.kv_heads = plan.heads, plan.kv_heads
        self.q_proj = linear(plan.hidden, plan.heads * self.size)
        self.k_proj = linear(plan.hidden, plan.kv_heads * self.size)
        self.v_proj = linear(plan.hidden, plan.kv_heads * self.size)
        self.o_proj = linear(plan.heads * self.size, plan.hidden)

    def forward(self, x, cos, sin):
        rows, length, _ = x.shape

        def split(y, heads):
            return y.view(rows, length, heads, self.size).transpose(1, 2)

        def rotate(y):
            low, high = y.chunk(2, -1)
            return y * cos + torch.cat((-high, low), -1) * sin

        share = self.heads // self.kv_heads
        q = rotate(split(self.q_proj(x), self.heads))
        k = rotate(split(self.k_proj(x), self.kv_heads)).repeat_interleave(share, 1)
        v = split(self.v_proj(x), self.kv_heads).repeat_interleave(share, 1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(rows, length, -1))


class MLP(nn.Module):
    def __init__(self, plan):
        super().__init__()
        self.gate_proj = linear(plan.hidden, plan.ffn)
        self.up_proj = linear(plan.hidden, plan.ffn)
        self.down_proj = linear(plan.ffn, plan.hidden)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, plan):
        super().__init__()
        self.input_layernorm = RMSNorm(plan.hidden)
        self.self_attn = Attention(plan)
        self.post_attention_layernorm = RMSNorm(plan.hidden)
        self.mlp = MLP(plan)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Model(nn.Module):
    def __init__(self, plan):
        super().__init__()
        self.embed_tokens = nn.Embedding(plan.vocab, plan.hidden)
        nn.init.normal_(self.embed_tokens.weight, std=0.02 if plan.tied else 1.0)
        self.layers = nn.ModuleList(Layer(plan) for _ in range(plan.layers))
        self.norm = RMSNorm(plan.hidden)
        self.size, self.theta = plan.hidden // plan.heads, plan.theta

    def forward(self, x):
        """x: (rows, length, hidden) embeddings; returns the last hidden states."""
        frequency = self.theta ** (-torch.arange(0, self.size, 2) / self.size)
        angle = torch.outer(torch.arange(x.shape[1]), frequency).repeat(1, 2)
        cos, sin = angle.cos(), angle.sin()
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.norm(x)


class Llama(nn.Module):
    def __init__(self, plan):
        super().__init__()
        self.model = Model(plan)
        if not plan.tied:
            self.lm_head = linear(plan.hidden, plan.vocab)

    def head(self, x):
        return self.lm_head(x) if hasattr(self, "lm_head") else x @ self.model.embed_tokens.weight.T

    def forward(self, ids):
        return self.head(self.model(self.model.embed_tokens(ids)))


# ---- training ---------------------------------------------------------------------------------

def loss_of(model, rows):
    logits = model(rows[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


def rate(step, plan):
    """Linear warm-up, then a cosine down to a twentieth of the peak."""
    warm = WARM_UP * plan.steps
    if step < warm:
        return plan.lr * (step + 1) / warm
    done = (step - warm) / (plan.steps - warm)
    return plan.lr * (0.525 + 0.475 * math.cos(math.pi * done))


def fit(model, ids, plan, name):
    decayed = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() == 1]
    adam = torch.optim.AdamW([{"params": decayed, "weight_decay": WEIGHT_DECAY},
                              {"params": plain, "weight_decay": 0.0}], betas=(0.9, 0.95))
    random = torch.Generator().manual_seed(plan.seed)
    start = time.process_time()
    for step in range(plan.steps):
        at = torch.randint(len(ids) - CONTEXT, (BATCH,), generator=random)
        loss = loss_of(model, torch.stack([ids[i:i + CONTEXT + 1] for i in at.tolist()]))
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in adam.param_groups:
            group["lr"] = rate(step, plan)
        adam.step()
        if step % 50 == 0 or step + 1 == plan.steps:
            print(f"{name}: step {step + 1}/{plan.steps}, loss {loss.item():.3f}, "
                  f"{time.process_time() - start:.0f} s", flush=True)


@torch.no_grad()
def validate(model, ids):
    """Mean nats a token over at most 256 rows of the held-out documents."""
    n = min(256, (len(ids) - 1) // CONTEXT)
    rows = torch.stack([ids[i * CONTEXT:i * CONTEXT + CONTEXT + 1] for i in range(n)])
    return sum(loss_of(model, part).item() * len(part) for part in rows.split(32)) / n


def config_of(plan):
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": plan.hidden, "intermediate_size": plan.ffn,
        "num_hidden_layers": plan.layers, "num_attention_heads": plan.heads,
        "num_key_value_heads": plan.kv_heads, "head_dim": plan.hidden // plan.heads,
        "vocab_size": plan.vocab, "max_position_embeddings": CONTEXT, "rms_norm_eps": EPS,
        "rope_theta": plan.theta, "tie_word_embeddings": plan.tied, "attention_bias": False,
        "mlp_bias": False, "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD,
        "torch_dtype": "float16",
    }


def make(name, root, out):
    plan = PLANS[name]
    torch.manual_seed(plan.seed)
    documents = READERS[name](root)
    held_out, kept = documents[::HELD_OUT], [d for i, d in enumerate(documents) if i % HELD_OUT]
    tokenizer = train_tokenizer(kept, plan.vocab)
    model = Llama(plan)
    ids = encode(tokenizer, kept)
    fit(model, ids, plan, name)

    tensors = {key: value.detach().half().contiguous() for key, value in model.state_dict().items()}
    model.load_state_dict({key: value.float() for key, value in tensors.items()})
    test = encode(tokenizer, held_out)
    nats = validate(model, test)
    n_bytes = sum(len(d.encode()) + 1 for d in held_out)
    metrics = {
        "parameters": sum(value.numel() for value in tensors.values()),
        "text_bytes": sum(len(d.encode()) for d in documents), "train_tokens": len(ids),
        "seen_tokens": plan.steps * BATCH * CONTEXT, "validation_nats_per_token": round(nats, 4),
        "validation_bits_per_byte": round(nats * len(test) / n_bytes / math.log(2), 4),
    }
    folder = Path(out) / name
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "model.safetensors").write_bytes(save(tensors, metadata={"format": "pt"}))
    (folder / "config.json").write_text(json.dumps(config_of(plan), indent=2) + "\n")
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    print(f"{name}: {json.dumps(metrics)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, metavar="DIR", help="where the models go")
    parser.add_argument("--root", default="/", metavar="DIR",
                        help="where the Debian packages are unpacked (default: /)")
    parser.add_argument("--only", choices=PLANS, action="append", metavar="NAME",
                        help="make this model only; may be repeated")
    option = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for name in option.only or PLANS:
        make(name, option.root, option.out)


if __name__ == "__main__":
    main()
