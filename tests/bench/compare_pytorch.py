#!/usr/bin/env python3
"""The engine against PyTorch on the processors of this machine: samples a second and peak memory.

usage: compare_pytorch.py BENCH_MODEL_RATES [--threads 1 2] [--work FOLDER] [--rounds N]

BENCH_MODEL_RATES is tests-bin/bench_model_rates of a Release build. Two workloads, with random
weights in float32:
  train    a step of projector and LoRA (rank 8 on q_proj and v_proj) with Adam through a decoder of
           SmolLM2-135M's shape, batch 4, 64 image tokens and 64 of text, of which 8 are scored
  extract  the last but one hidden state of an encoder of CLIP ViT-B/16's shape, 8 images of 224
A thread of ours is an MPI rank with one thread. PyTorch runs in processes of its own, eager and
under torch.compile, with scaled_dot_product_attention; its best counts. It is asked in two ways:
  published  as transformers computes it: the loss from the logits of all positions, all layers
  trimmed    by hand what the engine does: only the scored rows go through the head, and nothing
             is computed behind the layer that is wanted
Prints a line for each workload, number of threads and way: samples a second of both and their
ratio (above 1: ours is faster), the same of cpu time (for machines with other work), and peak
memory. Needs torch and transformers.
"""
import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

BATCH, N_VISUAL, N_TEXT, N_SCORED, N_FEAT = 4, 64, 64, 8, 768
N_IMAGE, SIDE = 8, 224
WAYS = "published", "trimmed"


def make_decoder():
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    torch.manual_seed(1)
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
        num_attention_heads=9, num_key_value_heads=3, max_position_embeddings=2048,
        tie_word_embeddings=True, rope_theta=1e5, bos_token_id=1, eos_token_id=2,
        attn_implementation="sdpa"))


def make_encoder():
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModel
    torch.manual_seed(1)
    return CLIPVisionModel(CLIPVisionConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
        image_size=SIDE, patch_size=16, hidden_act="gelu", attn_implementation="sdpa"))


class Lora:
    """A linear layer with an adapter, as peft computes it."""

    @staticmethod
    def wrap(torch, layer, rank=8, alpha=16):
        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.base = layer
                self.a = torch.nn.Parameter(torch.randn(rank, layer.in_features) / 24)
                self.b = torch.nn.Parameter(torch.zeros(layer.out_features, rank))

            def forward(self, x):
                return self.base(x) + (x @ self.a.T) @ self.b.T * (alpha / rank)
        return Layer()


def trainer(torch, folder, way, compiled):
    from transformers import LlamaForCausalLM
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                             attn_implementation="sdpa")
    model.requires_grad_(False)
    for block in model.model.layers:
        block.self_attn.q_proj = Lora.wrap(torch, block.self_attn.q_proj)
        block.self_attn.v_proj = Lora.wrap(torch, block.self_attn.v_proj)
    d = model.config.hidden_size
    projector = torch.nn.Sequential(torch.nn.Linear(N_FEAT, d), torch.nn.GELU(),
                                    torch.nn.Linear(d, d))
    trained = [*projector.parameters(), *(p for p in model.parameters() if p.requires_grad)]
    adam = torch.optim.Adam(trained, lr=1e-4, foreach=True)
    feature = torch.randn(BATCH, N_VISUAL, N_FEAT)
    ids = torch.randint(3, 49152, (BATCH, N_TEXT))

    labels = torch.full((BATCH, N_VISUAL + N_TEXT), -100)
    labels[:, -N_SCORED:] = ids[:, -N_SCORED:]

    def loss_of(feature, ids):
        embedded = model.model.embed_tokens(ids)
        x = torch.cat((embedded[:, :1], projector(feature), embedded[:, 1:]), dim=1)
        if way == "published":
            return model(inputs_embeds=x, labels=labels, use_cache=False).loss
        state = model.model(inputs_embeds=x, use_cache=False).last_hidden_state
        logits = model.lm_head(state[:, -N_SCORED - 1:-1])
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, -N_SCORED:].flatten())

    if compiled:
        loss_of = torch.compile(loss_of)

    def step():
        adam.zero_grad()
        loss_of(feature, ids).backward()
        adam.step()
    return step


def extractor(torch, folder, way, compiled):
    from transformers import CLIPVisionModel
    model = CLIPVisionModel.from_pretrained(folder, dtype=torch.float32,
                                            attn_implementation="sdpa").eval()
    pixel = torch.randn(N_IMAGE, 3, SIDE, SIDE)
    if way == "trimmed":
        body = getattr(model, "vision_model", model)
        body.encoder.layers = body.encoder.layers[:-1]
    run = torch.compile(model) if compiled else model

    def step():
        with torch.no_grad():
            run(pixel, output_hidden_states=way == "published")
    return step


def measure_pytorch(kind, folder, way, n_thread, compiled, n_round):
    import torch
    torch.set_num_threads(n_thread)
    step = (trainer if kind == "train" else extractor)(torch, folder, way, compiled)
    best = [1e9, 1e9]
    for i in range(n_round + 2):
        wall, cpu = time.perf_counter(), time.process_time()
        step()
        if i >= 2:
            best = [min(best[0], time.perf_counter() - wall), min(best[1], time.process_time() - cpu)]
    print(json.dumps(best + [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))


def peer(kind, folder, way, n_thread, n_round):
    """The best of eager and compiled: wall, cpu, peak memory of the one with the least cpu."""
    found = []
    for compiled in (0, 1):
        command = [sys.executable, __file__, "--peer", kind, folder, way, n_thread, compiled, n_round]
        done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True)
        if done.returncode == 0:
            found.append((json.loads(done.stdout.splitlines()[-1]), ("eager", "compiled")[compiled]))
    if not found:
        sys.exit("PyTorch could not be run")
    return min(found, key=lambda item: item[0][1])


def ours(bench, kind, folder, n_thread, n_round):
    pack = BATCH * (N_VISUAL + N_TEXT) // n_thread  # a rank's samples pass the decoder together
    work = {"train": [n_round, BATCH, N_VISUAL, N_TEXT, pack],
            "extract": [n_round, N_IMAGE, SIDE]}[kind]
    done = subprocess.run(["mpiexec", "-n", str(n_thread), bench, kind, folder, *map(str, work)],
                          env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}, check=True,
                          stdout=subprocess.PIPE, text=True)
    return [float(word) for word in done.stdout.split()]


def print_ratios(what, mine, theirs, n_sample):
    (my_wall, my_cpu, my_peak), (wall, cpu, peak) = mine, theirs
    print(f"{what}: {n_sample / my_wall:.2f} samples/s against {n_sample / wall:.2f}, ratio "
          f"{wall / my_wall:.2f}; cpu seconds a step {my_cpu:.2f} against {cpu:.2f}, ratio "
          f"{cpu / my_cpu:.2f}; peak {my_peak / 2**20:.0f} MiB against {peak / 2**20:.0f} MiB",
          flush=True)


def main():
    if sys.argv[1:2] == ["--peer"]:
        kind, folder, way, n_thread, compiled, n_round = sys.argv[2:]
        return measure_pytorch(kind, folder, way, int(n_thread), int(compiled), int(n_round))
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--work", help="folder for the models (default: one that is removed)")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = pathlib.Path(options.work or scratch)
        for kind, make in (("train", make_decoder), ("extract", make_encoder)):
            folder = work / kind
            if not (folder / "config.json").exists():
                make().save_pretrained(folder)
            for n_thread in options.threads:
                mine = ours(options.bench, kind, folder, n_thread, options.rounds)
                for way in WAYS:
                    theirs, how = peer(kind, folder, way, n_thread, options.rounds)
                    print_ratios(f"{kind}, {n_thread} threads, {way} ({how})", mine, theirs,
                                 BATCH if kind == "train" else N_IMAGE)


if __name__ == "__main__":
    main()
