#!/usr/bin/env python3
"""Tiny vision encoders in the layouts in which their checkpoints were first published.

usage: make_encoder_reference.py FOLDER

FOLDER is parity/encoders. Writes FOLDER/NAME/{config.json,model.safetensors,reference.safetensors}
for clip-pair (the vision part of an image and text encoder), siglip-plain (no pooling head),
dinov2-gated (SwiGLU) and internvit-own (the names of the model's own code), the last two with
images of another size than that of their positions, eva02-inner (a norm inside the attention,
positions scaled to another grid) and siglip-edge (a side that is not a multiple of the patch's, as in
so400m-patch14-384). Needs torch, transformers, timm and safetensors; made with torch 2.15,
transformers 5.23 and timm 1.0.31.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from timm.models.eva import Eva
from transformers import (CLIPVisionConfig, CLIPVisionModel, Dinov2Config, Dinov2Model,
                          InternVLVisionConfig, InternVLVisionModel, SiglipVisionConfig,
                          SiglipVisionModel)

SIZES = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 21,
         "patch_size": 7, "attn_implementation": "eager"}


def randomise(model):
    """Values far from the initial ones, so that no weight goes unnoticed."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            value.copy_(centre + 0.2 * torch.randn_like(value))


def reference(model, height, width):
    """Return what the model computes for two random images."""
    pixel = torch.randn(2, 3, height, width)
    with torch.no_grad():
        out = model.eval()(pixel, output_hidden_states=True)
    found = {f"hidden_states.{i}": state for i, state in enumerate(out.hidden_states)}
    found |= {"pixel_values": pixel, "last_hidden_state": out.last_hidden_state}
    if out.get("pooler_output") is not None:
        found["pooler_output"] = out.pooler_output
    return {name: value.contiguous() for name, value in found.items()}


def write(folder, config, weights, results):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file({name: value.clone() for name, value in weights.items()},
              folder / "model.safetensors")
    save_file({name: value.clone() for name, value in results.items()},
              folder / "reference.safetensors")


def renamed(weights, pairs):
    """The weights with each old part of a name put in place of the new one."""
    out = {}
    for name, value in weights.items():
        for new, old in pairs:
            name = name.replace(new, old)
        out[name] = value
    return out


def without(config, keys=()):
    kept = {"hidden_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size",
            "intermediate_size", "model_type"} | set(keys)
    return {key: value for key, value in config.to_dict().items() if key in kept}


def clip_pair(folder):
    model = CLIPVisionModel(CLIPVisionConfig(**SIZES, intermediate_size=40))
    randomise(model)
    weights = {"vision_model." + name: value for name, value in model.state_dict().items()
               if not name.startswith("vision_model.")}
    weights |= {name: value for name, value in model.state_dict().items()
                if name.startswith("vision_model.")}
    weights["vision_model.embeddings.position_ids"] = torch.arange(10)[None]
    weights["text_model.final_layer_norm.weight"] = torch.ones(8)
    weights["logit_scale"] = torch.ones(())
    vision = without(model.config)
    write(folder / "clip-pair", {"model_type": "clip", "vision_config": vision}, weights,
          reference(model, 21, 21))


def siglip_plain(folder):
    model = SiglipVisionModel(
        SiglipVisionConfig(**SIZES, intermediate_size=40, vision_use_head=False))
    randomise(model)
    write(folder / "siglip-plain", without(model.config, ["vision_use_head"]), model.state_dict(),
          reference(model, 21, 21))


def dinov2_gated(folder):
    model = Dinov2Model(Dinov2Config(**SIZES, mlp_ratio=4, use_swiglu_ffn=True))
    randomise(model)
    weights = renamed(model.state_dict(), [
        ("attention.q_proj", "attention.attention.query"),
        ("attention.k_proj", "attention.attention.key"),
        ("attention.v_proj", "attention.attention.value"),
        ("attention.o_proj", "attention.output.dense"), ("mlp.down_proj", "mlp.weights_out")])
    for name in [name for name in weights if "mlp.gate_proj" in name]:
        up = weights.pop(name.replace("gate_proj", "up_proj"))
        weights[name.replace("gate_proj", "weights_in")] = torch.cat((weights.pop(name), up))
    write(folder / "dinov2-gated", without(model.config, ["mlp_ratio", "use_swiglu_ffn"]), weights,
          reference(model, 30, 14))


def internvit_own(folder):
    model = InternVLVisionModel(
        InternVLVisionConfig(**SIZES, intermediate_size=40, attention_bias=True))
    randomise(model)
    weights = renamed(model.state_dict(), [
        ("embeddings.cls_token", "embeddings.class_embedding"),
        ("embeddings.patch_embeddings.projection", "embeddings.patch_embedding"),
        ("embeddings.position_embeddings", "embeddings.position_embedding"),
        ("encoder.layer.", "encoder.layers."), ("lambda_1", "ls1"), ("lambda_2", "ls2"),
        ("layernorm_before", "norm1"), ("layernorm_after", "norm2"),
        ("attention.projection_layer", "attn.proj")])
    for name in [name for name in weights if "attention.q_proj" in name]:
        parts = [weights.pop(name.replace("q_proj", part + "_proj")) for part in "qkv"]
        weights[name.replace("attention.q_proj", "attn.qkv")] = torch.cat(parts)
    config = without(model.config) | {
        "model_type": "intern_vit_6b", "image_size": 21, "patch_size": 7, "qkv_bias": True,
        "qk_normalization": False, "norm_type": "layer_norm", "hidden_act": "gelu",
        "layer_norm_eps": 1e-6}
    write(folder / "internvit-own", config, weights, reference(model, 14, 28))


def eva02_inner(folder):
    config = {"img_size": 21, "patch_size": 7, "embed_dim": 24, "depth": 2, "num_heads": 3,
              "mlp_ratio": 8 / 3, "qkv_fused": False, "swiglu_mlp": True, "scale_mlp": True,
              "scale_attn_inner": True, "use_rot_pos_emb": True, "ref_feat_shape": [2, 4],
              "num_classes": 0, "global_pool": "token"}
    model = Eva(**config).eval()
    randomise(model)
    pixel = torch.randn(2, 3, 21, 21)
    with torch.no_grad():
        last, blocks = model.forward_intermediates(pixel, output_fmt="NLC")
    results = {f"block.{i}": block.contiguous() for i, block in enumerate(blocks)}
    results |= {"pixel_values": pixel, "last_hidden_state": last}
    write(folder / "eva02-inner", config | {"model_type": "eva02"}, model.state_dict(), results)


def siglip_edge(folder):
    model = SiglipVisionModel(SiglipVisionConfig(**SIZES | {
        "hidden_size": 12, "num_hidden_layers": 1, "image_size": 17}, intermediate_size=20))
    randomise(model)
    write(folder / "siglip-edge", without(model.config), model.state_dict(),
          reference(model, 17, 17))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    torch.manual_seed(5)
    for make in (clip_pair, siglip_plain, dinov2_gated, internvit_own, eva02_inner,
                 siglip_edge):
        make(folder)


if __name__ == "__main__":
    main()
