#!/usr/bin/env python3
"""Small images, and what transformers' image processors (Pillow) and CLIP make of them.

usage: make_preprocess_reference.py FOLDER

FOLDER is preprocess. Writes FOLDER/images/, NAME.json (a preprocessor_config.json) with NAME.npy
(the pixel_values of all images in the order of their names) for each processor, and features.npy:
the mean over the patches of CLIP's last hidden state but one, for parity/encoders/clip. The NAMEs
that begin with timm are a config.json with timm's keys, and what its eval transform makes. Needs
torch, torchvision, transformers, timm and Pillow; made with torch 2.15, transformers 5.23, timm
1.0.31 and Pillow 13.
"""
import json
import pathlib
import sys

import numpy as np
import timm.data
import torch
from PIL import Image
from transformers import CLIPVisionModel
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

PROCESSORS = {
    "clip": CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
    "siglip": SiglipImageProcessorPil(size={"height": 28, "width": 28}),
    "convnext": ConvNextImageProcessorPil(size={"shortest_edge": 32}),
    "convnext-large": ConvNextImageProcessorPil(size={"shortest_edge": 384}),
    "dinov2": BitImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28},
                                   image_mean=[0.485, 0.456, 0.406],
                                   image_std=[0.229, 0.224, 0.225]),
    "internvl": GotOcr2ImageProcessorPil(size={"height": 28, "width": 28},
                                         image_mean=[0.485, 0.456, 0.406],
                                         image_std=[0.229, 0.224, 0.225]),
    "bilinear": CLIPImageProcessorPil(size={"shortest_edge": 33}, resample=2,
                                      crop_size={"height": 28, "width": 21},
                                      image_mean=[0.485, 0.456, 0.406],
                                      image_std=[0.229, 0.224, 0.225]),
}
# A crop of 28 of 31 leaves an odd number of pixels out; squashed ones lose their shape.
CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
TIMM = {
    "timm-center": {"interpolation": "bicubic", "crop_pct": 0.9, "crop_mode": "center"},
    "timm-squash": {"interpolation": "bicubic", "crop_pct": 1.0, "crop_mode": "squash"},
    "timm-squash-crop": {"interpolation": "bilinear", "crop_pct": 0.875, "crop_mode": "squash"},
    "timm-bilinear": {"interpolation": "bilinear", "crop_pct": 0.875},
}


def picture(rng, height, width):
    """Waves, edges and noise, so that overshoot and rounding show."""
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([127 + 120 * np.sin(x / 7 + y / 11), 127 + 120 * np.cos(x / 5 - y / 9),
                      x * y % 256], -1)
    noisy = waves + rng.normal(0, 20, (height, width, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def make_images(folder):
    """Every kind of pixel that a file may hold, tall and wide, larger and smaller than asked."""
    rng = np.random.default_rng(3)
    folder.mkdir(parents=True, exist_ok=True)
    clear = picture(rng, 50, 70).convert("RGBA")
    clear.putalpha(Image.fromarray(rng.integers(0, 255, (50, 70), dtype=np.uint8)))
    clear.save(folder / "clear.png")
    picture(rng, 61, 47).save(folder / "tall.png")
    picture(rng, 30, 90).save(folder / "wide.jpg", quality=90)
    picture(rng, 33, 33).convert("L").save(folder / "grey.png")
    picture(rng, 40, 50).convert("P").save(folder / "palette.png")
    picture(rng, 20, 25).convert("1").save(folder / "bits.png")
    picture(rng, 120, 80).convert("L").save(folder / "grey.large.jpeg")
    picture(rng, 64, 64).save(folder / "progressive.JPG", quality=80, progressive=True)
    picture(rng, 9, 12).save(folder / "tiny.png")


def make_portrait(folder):
    """An image that loses more than twice as many rows as columns, in 10 kB."""
    image = picture(np.random.default_rng(4), 60, 40)
    image.save(folder / "portrait.png")
    np.save(folder / "portrait.npy",
            PROCESSORS["siglip"]([image], return_tensors="np")["pixel_values"])


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    make_images(folder / "images")
    make_portrait(folder)
    files = sorted((folder / "images").iterdir(), key=lambda path: path.name.encode())
    images = [Image.open(file).convert("RGB") for file in files]
    for name, processor in PROCESSORS.items():
        kept = images[:1] if name == "convnext-large" else images
        pixels = processor(kept, return_tensors="np")["pixel_values"]
        np.save(folder / f"{name}.npy", pixels[:, :, ::8, ::8] if name == "convnext-large" else pixels)
        config = json.loads(processor.to_json_string())
        (folder / f"{name}.json").write_text(json.dumps(config, indent=1) + "\n")
        if name == "clip":
            model = CLIPVisionModel.from_pretrained(folder.parent / "parity/encoders/clip",
                                                    attn_implementation="eager").eval()
            with torch.no_grad():
                states = model(torch.tensor(pixels), output_hidden_states=True).hidden_states
            np.save(folder / "features.npy", states[-2][:, 1:].mean(1).numpy())
    for name, keys in TIMM.items():
        keys = {"input_size": [3, 28, 28], "mean": CLIP_MEAN, "std": CLIP_STD, **keys}
        config = {"architecture": "eva02_base_patch16_clip_224", "pretrained_cfg": keys}
        transform = timm.data.create_transform(**timm.data.resolve_data_config(pretrained_cfg=keys))
        np.save(folder / f"{name}.npy", np.stack([transform(image).numpy() for image in images]))
        (folder / f"{name}.json").write_text(json.dumps(config, indent=1) + "\n")


if __name__ == "__main__":
    main()
