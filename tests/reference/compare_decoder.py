#!/usr/bin/env python3
"""Compare the engine with transformers on a language model's folder, in float32.

usage: compare_decoder.py DECODER_LOGITS FOLDER [TEXT]

DECODER_LOGITS is the program of that name among the tests (tests-bin/). TEXT becomes tokens by the
folder's tokenizer.json; both compute its logits, which may differ by 1e-4 of the largest one, and
both continue it greedily by 24 tokens, which must be the same. Needs torch, transformers and
tokenizers; tried with torch 2.15 and transformers 5.23.
"""
import subprocess
import sys
import tempfile

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

N_NEW, TOLERANCE = 24, 1e-4
TEXTS = (
    "The capital of France is",
    "<|im_start|>user\nWhat is 12 + 30?<|im_end|>\n<|im_start|>assistant\n",
    "In 1969, two astronauts walked on the Moon for the first time. They didn't stay long: after "
    "21 hours and 36 minutes they went back to their ship, with 21.5 kg of rock, and flew home. "
    "Ten more people have walked there since then. The last of them left in December 1972, and "
    "nobody has been back until today. The reason is",
)


def engine(program, folder, ids, n_vocab):
    with tempfile.NamedTemporaryFile() as file:
        done = subprocess.run([program, folder, file.name, str(N_NEW), *map(str, ids)],
                              check=True, stdout=subprocess.PIPE, text=True)
        logits = np.fromfile(file.name, np.float32).reshape(len(ids), n_vocab)
    return logits, [int(word) for word in done.stdout.split()]


def transformers(model, ids):
    """Logits of the text, and N_NEW times the most probable token."""
    with torch.no_grad():
        out = model(torch.tensor([ids]), use_cache=True)
        first, new = out.logits[0].numpy(), []
        for _ in range(N_NEW):
            new.append(int(out.logits[0, -1].argmax()))
            out = model(torch.tensor([new[-1:]]), past_key_values=out.past_key_values,
                        use_cache=True)
    return first, new


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    program, folder, texts = sys.argv[1], sys.argv[2], sys.argv[3:] or TEXTS
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                                 attn_implementation="eager").eval()
    good = True
    for text in texts:
        ids = tokenizer.encode(text).ids
        if tokenizer.decode(ids, skip_special_tokens=False).removeprefix("<bos>") != text:
            sys.exit(f"the tokenizer doesn't give the text back: {text!r}")
        ours, our_tokens = engine(program, folder, ids, model.config.vocab_size)
        theirs, their_tokens = transformers(model, ids)
        difference = np.abs(ours - theirs).max() / np.abs(theirs).max()
        same = our_tokens == their_tokens
        good = good and difference <= TOLERANCE and same
        print(f"{len(ids)} tokens: logits differ by {difference:.1e} of the largest; greedy "
              f"continuation {'the same' if same else 'DIFFERENT'}: {tokenizer.decode(our_tokens)!r}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
