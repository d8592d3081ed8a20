#!/usr/bin/env python3
"""Small images, and what transformers' image processors (Pillow) and CLIP make of them.

usage: make_preprocess_reference.py FOLDER

FOLDER is preprocess. Writes FOLDER/images/, NAME.json (a preprocessor_config.json) with NAME.npy
(the pixel_values of all images in the order of their names) for each processor, and features.npy:
the mean over the patches of CLIP's last hidden state but one, for parity/encoders/clip. Needs
torch, transformers and Pillow; made with torch 2.15, transformers 5.23 and Pillow 12.
"""
import json
import pathlib
import sys

import numpy as np
import torch
from PIL import Image
from transformers import CLIPVisionModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

PROCESSORS = {
    "clip": CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
    "siglip": SiglipImageProcessorPil(size={"height": 28, "width": 28}),
    "convnext": ConvNextImageProcessorPil(size={"shortest_edge": 32}),
    "convnext-large": ConvNextImageProcessorPil(size={"shortest_edge": 384}),
    "bilinear": CLIPImageProcessorPil(size={"shortest_edge": 33}, resample=2,
                                      crop_size={"height": 28, "width": 21},
                                      image_mean=[0.485, 0.456, 0.406],
                                      image_std=[0.229, 0.224, 0.225]),
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


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    make_images(folder / "images")
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


if __name__ == "__main__":
    main()
