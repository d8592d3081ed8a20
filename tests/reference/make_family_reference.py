#!/usr/bin/env python3
"""Make a tiny random decoder and what PyTorch computes for it, in the layout of parity/README.md.

usage: make_family_reference.py CASE FOLDER

CASE is one of the names in CASES below. Sequences are longer than the windows of the cases that
have one. Needs torch, transformers and safetensors; made with torch 2.15 and transformers 5.23.
"""
import sys

import torch
import transformers
from make_long_reference import add_lora
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy, gelu, linear

RANK, N_VISION_FEAT = 4, 20
PROJECTOR = ("W1", "b1", "W2", "b2")
SMALL = {"vocab_size": 61, "hidden_size": 32, "intermediate_size": 72, "num_hidden_layers": 3,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
         "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "use_cache": False}
ODD = {"vocab_size": 67, "hidden_size": 30, "intermediate_size": 51, "num_hidden_layers": 2,
       "num_attention_heads": 3, "num_key_value_heads": 3, "max_position_embeddings": 70,
       "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "use_cache": False}
LONG = {"rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 32,
        "short_factor": [1.0, 1.1, 1.3, 1.9], "long_factor": [1.0, 2.0, 4.0, 8.0]}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
GEMMA3_ROPE = {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
               "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}

# name: (config class, its settings, rows of the batch, length, visual tokens)
CASES = {
    "gemma-3": (transformers.Gemma3TextConfig,
                SMALL | {"head_dim": 12, "query_pre_attn_scalar": 24, "sliding_window": 7,
                         "layer_types": ["sliding_attention", "full_attention",
                                         "sliding_attention"]}, 2, 26, 4),
    "mistral-window": (transformers.MistralConfig, SMALL | {"sliding_window": 7}, 2, 26, 4),
    "phi-3-longrope": (transformers.Phi3Config,
                       SMALL | {"rope_parameters": LONG, "sliding_window": 9,
                                "original_max_position_embeddings": 32}, 2, 26, 4),
    "gemma-3-linear": (transformers.Gemma3TextConfig,
                       SMALL | {"head_dim": 16, "num_hidden_layers": 7, "sliding_window": 5,
                                "rope_parameters": GEMMA3_ROPE}, 3, 41, 7),
    "qwen2-window": (transformers.Qwen2Config,
                     SMALL | {"use_sliding_window": True, "sliding_window": 5,
                              "max_window_layers": 1, "tie_word_embeddings": True}, 1, 37, 3),
    "llama-odd": (transformers.LlamaConfig, ODD | {"tie_word_embeddings": True}, 3, 33, 1),
    "llama-3-wide": (transformers.LlamaConfig,
                     SMALL | {"head_dim": 20, "num_key_value_heads": 1,
                              "rope_parameters": LLAMA3}, 2, 61, 9),
    "llama-linear": (transformers.LlamaConfig,
                     SMALL | {"rope_parameters": {"rope_type": "linear", "factor": 2.5,
                                                  "rope_theta": 1e4}}, 1, 11, 2),
    "gemma-many-heads": (transformers.GemmaConfig,
                         SMALL | {"head_dim": 6, "num_attention_heads": 8,
                                  "num_key_value_heads": 8}, 2, 35, 5),
    "mistral-one-window": (transformers.MistralConfig, ODD | {"sliding_window": 1}, 1, 9, 2),
    "phi-3-tied": (transformers.Phi3Config, ODD | {"tie_word_embeddings": True}, 2, 47, 6),
}


def randomise(model):
    """Give every weight a size that matters; norms' stay near where they start."""
    for name, weight in model.named_parameters():
        scale = 0.3 if weight.ndim == 1 else 1.2 / weight.shape[1] ** 0.5
        if "embed_tokens" in name:
            scale = 0.4
        weight.data = (weight.data if "norm" in name else 0) + scale * torch.randn_like(weight)
    model.requires_grad_(False)


def make_start(model, n_row, n_visual):
    """Features, projector and LoRA on every linear layer of the blocks."""
    d = model.config.hidden_size
    start = {"features": torch.randn(n_row, n_visual, N_VISION_FEAT),
             "W1": torch.randn(d, N_VISION_FEAT) / N_VISION_FEAT ** 0.5,
             "b1": 0.1 * torch.randn(d), "W2": torch.randn(d, d) / d ** 0.5,
             "b2": 0.1 * torch.randn(d)}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and ".layers." in name:
            start[f"lora.{name}.lora_A.weight"] = (torch.randn(RANK, module.in_features)
                                                   / module.in_features ** 0.5)
            start[f"lora.{name}.lora_B.weight"] = 0.1 * torch.randn(module.out_features, RANK)
    return start


def make_batch(n_vocab, n_row, n_length, n_visual):
    """Rows of falling length, padded on the right; the prompt isn't scored."""
    ids = torch.randint(3, n_vocab, (n_row, n_length))
    mask = torch.ones(n_row, n_length, dtype=torch.long)
    labels = ids.clone()
    labels[:, :n_visual + 3] = -100
    for row in range(n_row):
        n_used = n_length - 2 * row
        mask[row, n_used:], ids[row, n_used:], labels[row, n_used:] = 0, 0, -100
        labels[row, n_visual + 4 + row] = -100
    return ids, mask, labels


def forward(model, start, batch):
    """Return visual tokens, last hidden state, logits and the mean loss of scored positions."""
    ids, mask, labels = batch
    hidden = gelu(linear(start["features"], start["W1"], start["b1"]))
    visual = linear(hidden, start["W2"], start["b2"])
    visual.retain_grad()
    embedded = model.model.embed_tokens(ids)
    n = visual.shape[1]
    embedded = torch.cat([embedded[:, :1], visual, embedded[:, 1 + n:]], dim=1)
    state = model.model(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
    logits = model.lm_head(state)
    loss = cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
    return visual, state, logits, loss


def compute(model, start, batch):
    """All tensors of reference.safetensors."""
    ids, mask, labels = batch
    result = {name: value.clone() for name, value in start.items()}
    for name, value in start.items():
        value.requires_grad_(name != "features")
    visual, state, logits, loss = forward(model, start, batch)
    loss.backward()
    result.update(input_ids=ids.int(), attention_mask=mask.int(), labels=labels.int(),
                  visual=visual, last_hidden_state=state, logits=logits, loss=loss.reshape(1),
                  grad_visual=visual.grad)
    result.update({f"grad_{name}": start[name].grad.clone() for name in PROJECTOR})

    lora = add_lora(model, start)
    adam = torch.optim.Adam([start[name] for name in PROJECTOR] + list(lora.values()), lr=1e-3,
                            betas=(0.9, 0.999), eps=1e-8)
    losses = []
    for step in range(10):
        adam.zero_grad()
        *_, logits, loss = forward(model, start, batch)
        loss.backward()
        if step == 0:
            result.update(lora_logits=logits, lora_loss=loss.reshape(1))
            result.update({f"grad.{name}": value.grad.clone() for name, value in lora.items()})
        losses.append(loss.item())
        adam.param_groups[0]["lr"] = 1e-3 * (1 - step / 10)
        adam.step()
    result["adam_losses"] = torch.tensor(losses)
    return {name: value.detach().contiguous() for name, value in result.items()}


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in CASES:
        sys.exit(__doc__ + "\ncases: " + " ".join(CASES))
    config_class, settings, n_row, n_length, n_visual = CASES[sys.argv[1]]
    torch.manual_seed(sum(map(ord, sys.argv[1])))
    model = transformers.AutoModelForCausalLM.from_config(
        config_class(**settings), dtype=torch.float32, attn_implementation="eager").eval()
    randomise(model)
    model.save_pretrained(sys.argv[2])
    start = make_start(model, n_row, n_visual)
    batch = make_batch(model.config.vocab_size, n_row, n_length, n_visual)
    save_file(compute(model, start, batch), f"{sys.argv[2]}/reference.safetensors")


if __name__ == "__main__":
    main()
