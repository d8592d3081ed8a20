#!/usr/bin/env python3
"""A training step on one GPU against transformers and peft: a Markdown table.

usage: compare_gpu.py BENCH_GPU_STEP [--shapes 1b 7b] [--work FOLDER] [--steps N]

BENCH_GPU_STEP is tests-bin/bench_gpu_step of a Release build with MORDAL_ENABLE_CUDA. Both sides
train a projector and LoRA (rank 8 on q_proj and v_proj) with Adam through a frozen decoder of random
bfloat16 weights: 4 samples a step of 576 image tokens and 128 of text, of which 8 are scored and
go through the head. The peer is transformers with peft, bfloat16, scaled_dot_product_attention and
torch.compile, a batch at a time, in a process of its own. Peak memory is the most that nvidia-smi
shows for the GPU while a side runs. The share of the chip is model flops (4 x weights of products x
tokens, and attention, forward and backward) over the dense bfloat16 peak. Ends with 77 where there
is no GPU. Needs torch with CUDA, transformers and peft; 20 GB of disk for the 7B shape.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

BATCH, N_VISUAL, N_TEXT, N_SCORED, N_FEAT = 4, 576, 128, 8, 1024
SHAPES = {
    "1b": dict(vocab_size=128256, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16,
               num_attention_heads=32, num_key_value_heads=8, tie_word_embeddings=True),
    "7b": dict(vocab_size=32000, hidden_size=4096, intermediate_size=11008, num_hidden_layers=32,
               num_attention_heads=32, num_key_value_heads=32, tie_word_embeddings=False),
}
PEAKS = {"A100": 312e12, "H100 PCIe": 756e12, "H100": 989e12, "H200": 989e12, "B200": 2250e12}


def gpu_query(field):
    done = subprocess.run(["nvidia-smi", "--id=0", f"--query-gpu={field}",
                           "--format=csv,noheader,nounits"], stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def find_gpu():
    try:
        return gpu_query("name")
    except FileNotFoundError:
        return ""


def make_folder(folder, shape):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    torch.manual_seed(1)
    config = LlamaConfig(**SHAPES[shape], max_position_embeddings=2048, bos_token_id=1,
                         eos_token_id=2)
    with torch.device("cuda"):
        model = LlamaForCausalLM._from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)


def peer(folder, n_step):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaForCausalLM
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.bfloat16,
                                             attn_implementation="sdpa").cuda()
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16,
                                             target_modules=["q_proj", "v_proj"]))
    body = model.base_model.model
    d, n_vocab = body.config.hidden_size, body.config.vocab_size
    projector = torch.nn.Sequential(torch.nn.Linear(N_FEAT, d), torch.nn.GELU(),
                                    torch.nn.Linear(d, d)).cuda()
    trained = [*projector.parameters(), *(p for p in model.parameters() if p.requires_grad)]
    adam = torch.optim.Adam(trained, lr=1e-4, fused=True)
    feature = torch.randn(BATCH, N_VISUAL, N_FEAT, device="cuda")
    ids = torch.randint(3, n_vocab, (BATCH, N_TEXT), device="cuda")

    @torch.compile
    def loss_of(feature, ids):
        with torch.autocast("cuda", torch.bfloat16):
            text = body.model.embed_tokens(ids)
            x = torch.cat((text[:, :1], projector(feature).to(text.dtype), text[:, 1:]), dim=1)
            state = body.model(inputs_embeds=x, use_cache=False).last_hidden_state
            logits = body.lm_head(state[:, -N_SCORED - 1:-1]).float()
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, -N_SCORED:].flatten())

    best = 1e9
    for step in range(n_step + 3):
        torch.cuda.synchronize()
        start = time.perf_counter()
        adam.zero_grad()
        loss_of(feature, ids).backward()
        adam.step()
        torch.cuda.synchronize()
        if step >= 3:
            best = min(best, time.perf_counter() - start)
    print(json.dumps(best))


def watched(command):
    """The last line of what command prints, and the most memory of the GPU in MiB meanwhile."""
    peak, done = [0], threading.Event()

    def watch():
        while not done.wait(0.05):
            peak[0] = max(peak[0], int(gpu_query("memory.used")))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    finally:
        done.set()
        watcher.join()
    return output.splitlines()[-1], peak[0]


def model_flops(shape):
    """Of a step: forward and backward through frozen weights, the head for what is scored."""
    s = SHAPES[shape]
    d, n_token = s["hidden_size"], N_VISUAL + N_TEXT
    d_kv = d // s["num_attention_heads"] * s["num_key_value_heads"]
    block = 2 * d * d + 2 * d * d_kv + 3 * d * s["intermediate_size"]
    attention = 6 * n_token * n_token * d  # causal: half of 4 forward and 8 backward
    return BATCH * (s["num_hidden_layers"] * (4 * block * n_token + attention)
                    + 4 * s["vocab_size"] * d * N_SCORED)


def main():
    if sys.argv[1:2] == ["--peer"]:
        return peer(sys.argv[2], int(sys.argv[3]))
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--work", help="folder for the models (default: one that is removed)")
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    name = find_gpu()
    if not name:
        print("no GPU was found (nvidia-smi shows none): nothing was measured", file=sys.stderr)
        sys.exit(77)
    peak_rate = next((rate for chip, rate in PEAKS.items() if chip in name), None)
    print(f"{name}, {time.strftime('%d %B %Y')}\n")
    print("| shape | mordal, s a step | transformers + peft, s | ratio | of the bf16 peak | "
          "mordal, MiB | peer, MiB |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for shape in options.shapes:
            folder = pathlib.Path(options.work or scratch) / shape
            if not (folder / "config.json").exists():
                make_folder(folder, shape)
            line, our_peak = watched([options.bench, str(folder), "cuda", "bfloat16",
                                      str(options.steps), str(BATCH), str(N_VISUAL), str(N_TEXT)])
            our_seconds = float(line.split()[0])
            line, peer_peak = watched([sys.executable, __file__, "--peer", str(folder),
                                       str(options.steps)])
            share = f"{model_flops(shape) / our_seconds / peak_rate:.1%}" if peak_rate else "?"
            print(f"| {shape} | {our_seconds:.4f} | {json.loads(line):.4f} | "
                  f"{json.loads(line) / our_seconds:.2f} | {share} | {our_peak} | {peer_peak} |",
                  flush=True)


if __name__ == "__main__":
    main()
