#!/usr/bin/env python3
"""Reference results of PyTorch for a sequence of 61 positions, longer than those beside it.

usage: make_long_reference.py FOLDER

FOLDER is parity/llama-3. Takes the decoder, the projector, LoRA and the first sample's features
from it and writes FOLDER/long.safetensors with the names of parity/README.md. Needs torch,
transformers and safetensors; made with torch 2.15 and transformers 5.23.
"""
import sys

import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy, gelu, linear
from transformers import LlamaForCausalLM

N_POSITION, FIRST_SCORED, LORA_SCALE = 61, 12, 8 / 4  # alpha / rank
PROJECTOR = ("W1", "b1", "W2", "b2")


class LoraLinear(torch.nn.Module):
    """y = x W' + alpha/r (x A') B'."""

    def __init__(self, plain, a, b):
        super().__init__()
        self.plain, self.a, self.b = plain, a, b

    def forward(self, x):
        return self.plain(x) + LORA_SCALE * linear(linear(x, self.a), self.b)


def make_sample(n_vocab, n_visual):
    """Tokens of a fixed rule; the visual tokens' places and the prompt aren't scored."""
    ids = torch.tensor([[3 + (37 * i * i + 11 * i) % (n_vocab - 3) for i in range(N_POSITION)]])
    labels = ids.clone()
    labels[:, :FIRST_SCORED] = -100
    labels[:, 30:34] = -100
    assert FIRST_SCORED > n_visual
    return ids, labels


def forward(model, start, ids, labels):
    """Return visual tokens, last hidden state, logits and the mean loss of the scored positions."""
    hidden = gelu(linear(start["features"], start["W1"], start["b1"]))
    visual = linear(hidden, start["W2"], start["b2"])
    visual.retain_grad()
    embedded = model.model.embed_tokens(ids)
    n = visual.shape[1]
    embedded = torch.cat([embedded[:, :1], visual, embedded[:, 1 + n:]], dim=1)
    state = model.model(inputs_embeds=embedded).last_hidden_state
    logits = model.lm_head(state)
    loss = cross_entropy(logits[0, :-1], labels[0, 1:], ignore_index=-100)
    return visual, state, logits, loss


def add_lora(model, start):
    """Put LoRA on every linear layer that start has matrices for; return them by name."""
    lora = {name: start[name] for name in start if name.startswith("lora.")}
    for name in sorted({name.rsplit(".lora_", 1)[0] for name in lora}):
        parent, _, child = name.removeprefix("lora.").rpartition(".")
        module = model.get_submodule(parent)
        setattr(module, child, LoraLinear(getattr(module, child), lora[f"{name}.lora_A.weight"],
                                          lora[f"{name}.lora_B.weight"]))
    return lora


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = sys.argv[1]
    given = load_file(f"{folder}/reference.safetensors")
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                             attn_implementation="eager").eval()
    model.requires_grad_(False)
    start = {name: given[name].clone() for name in given
             if name in PROJECTOR or name.startswith("lora.")}
    result = {name: value.clone() for name, value in start.items()}
    result["features"] = start["features"] = given["features"][:1].clone()
    ids, labels = make_sample(model.config.vocab_size, start["features"].shape[1])
    for name, value in start.items():
        value.requires_grad_(name != "features")

    visual, state, logits, loss = forward(model, start, ids, labels)
    loss.backward()
    result.update(input_ids=ids.int(), attention_mask=torch.ones_like(ids).int(),
                  labels=labels.int(), visual=visual, last_hidden_state=state, logits=logits,
                  loss=loss.reshape(1), grad_visual=visual.grad)
    result.update({f"grad_{name}": start[name].grad.clone() for name in PROJECTOR})

    lora = add_lora(model, start)
    parameters = [start[name] for name in PROJECTOR] + list(lora.values())
    adam = torch.optim.Adam(parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8)
    losses = []
    for step in range(10):
        adam.zero_grad()
        *_, logits, loss = forward(model, start, ids, labels)
        loss.backward()
        if step == 0:
            result.update(lora_logits=logits, lora_loss=loss.reshape(1))
            result.update({f"grad.{name}": value.grad.clone() for name, value in lora.items()})
        losses.append(loss.item())
        adam.param_groups[0]["lr"] = 1e-3 * (1 - step / 10)
        adam.step()
    result["adam_losses"] = torch.tensor(losses)
    save_file({name: value.detach().contiguous() for name, value in result.items()},
              f"{folder}/long.safetensors")


if __name__ == "__main__":
    main()
