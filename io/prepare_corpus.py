#!/usr/bin/env python3
"""Tokenise the samples of a study, once, for one language model.

    python3 prepare_corpus.py SAMPLES --tokenizer MODEL/tokenizer.json \\
            --template '<bos>A picture of<image> {answer}<eos>' -o corpus.h5

SAMPLES is a CSV file with a header, or a JSON Lines file (.jsonl), with the columns
    sample_id   the image, by the id that its features carry
    question    (or prompt) the text that {question} stands for; needed if the template has it
    answer      the text to learn and to be compared with
    split       train (alignment) or eval (target task)
TEMPLATE holds <image> once, where the visual tokens go, and {answer} once; everything from
{answer} on is scored. Special tokens are written by name. Spaces before {answer} go with the
answer's first token. The result is an HDF5 file of the schema mordal-corpus, version 1.

Needs the packages of env/requirements-python.txt.
"""

import argparse
import csv
import hashlib
import json
import os
import sys
from pathlib import Path

import h5py
import numpy as np
from tokenizers import Tokenizer

SPLITS = {"train": 0, "eval": 1}
E_USAGE, E_INPUT, E_MISSING, E_IO = 64, 65, 66, 74  # as the stages of the suite


class BadInput(Exception):
    """A sentence that says what is wrong, where, and what to do."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(E_USAGE, f"prepare_corpus.py: {message}; see --help\n")


def read_samples(path, needs_question):
    """Return a list of (sample_id, question, answer, split) and check every field."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            if Path(path).suffix == ".jsonl":
                rows = [json.loads(line) for line in file if line.strip()]
            else:
                rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, json.JSONDecodeError, csv.Error) as why:
        raise BadInput(f"{path}: cannot read the samples: {why}") from why
    if not rows:
        raise BadInput(f"{path}: holds no samples")

    samples = []
    for number, row in enumerate(rows, 1):
        where = f"{path}: sample {number}"
        if not isinstance(row, dict):
            raise BadInput(f"{where}: is not a JSON object")
        field = {"question": row.get("prompt"), **row}
        for name in ("sample_id", "answer", "split", *(["question"] if needs_question else [])):
            if field.get(name) is None:
                raise BadInput(f"{where}: has no column '{name}'")
            if not str(field[name]).strip():
                raise BadInput(f"{where}: the column '{name}' is empty")
        if field["split"] not in SPLITS:
            raise BadInput(f"{where}: split is '{field['split']}'; it must be train or eval")
        samples.append(tuple(str(field[name])
                             for name in ("sample_id", "question", "answer", "split")))
    return samples


def split_template(template):
    """Return the text before the image, between image and answer, before, and after the answer.

    The third part is the spaces that go with the answer.
    """
    for mark in ("<image>", "{answer}"):
        if template.count(mark) != 1:
            raise BadInput(f"--template: must hold {mark} exactly once")
    head, tail = template.split("{answer}")
    if "<image>" in tail or "{question}" in tail:
        raise BadInput("--template: <image> and {question} must come before {answer}")
    stem = head.rstrip(" ")
    before, between = stem.split("<image>")
    return before, between, head[len(stem):], tail


class Coder:
    """A tokenizer that keeps special tokens out of the samples' own text."""

    def __init__(self, path):
        self.raw = Path(path).read_bytes()
        try:
            self.tokenizer = Tokenizer.from_str(self.raw.decode("utf-8"))
        except Exception as why:  # the library raises bare Exception
            raise BadInput(f"{path}: cannot read the tokenizer: {why}") from why
        self.vocab_size = max(self.tokenizer.get_vocab().values()) + 1
        self.special = {i for i, token in self.tokenizer.get_added_tokens_decoder().items()
                        if token.special}

    def template(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids if text else []

    def sample(self, text, where):
        ids = self.template(text)
        found = self.special.intersection(ids)
        if found:
            token = self.tokenizer.id_to_token(found.pop())
            raise BadInput(f"{where}: the text holds the special token {token}; remove it")
        return ids

    def id_of(self, option, name, known):
        """Return the id of a special token; -1 if it is unset and none of the known ones exists."""
        for token in [name] if name else known:
            number = self.tokenizer.token_to_id(token)
            if number is not None:
                return number
        if name:
            raise BadInput(f"{option}: the tokenizer has no token '{name}'")
        return -1

    def token_bytes(self):
        """Return the bytes of every id: empty for special tokens and unused ids."""
        spec = json.loads(self.raw)
        byte_level = '"ByteLevel"' in json.dumps([spec.get("decoder"), spec.get("pre_tokenizer")])
        to_byte = byte_level_alphabet()
        table = []
        for number in range(self.vocab_size):
            token = self.tokenizer.id_to_token(number)
            if token is None or number in self.special:
                table.append(b"")
            elif byte_level and all(char in to_byte for char in token):
                table.append(bytes(to_byte[char] for char in token))
            elif len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
                table.append(bytes([int(token[3:5], 16)]))
            else:
                table.append(token.replace("\u2581", " ").encode("utf-8"))
        return table


def byte_level_alphabet():
    """Return the map of GPT-2's byte-level tokens, from character to byte."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    table = {chr(byte): byte for byte in shown}
    table.update({chr(256 + i): byte for i, byte in enumerate(hidden)})
    return table


def encode(samples, template, coder, source):
    """Return the arrays /token, /scored, /offset and /visual_at."""
    before, between, space, after = split_template(template)
    tail = coder.template(after)
    token, scored, offset, visual_at = [], [], [0], []
    for number, (_, question, answer, _) in enumerate(samples, 1):
        where = f"{source}: sample {number}"
        coder.sample(question, where)
        left = coder.template(before.replace("{question}", question))
        middle = coder.template(between.replace("{question}", question))
        right = coder.sample(space + answer, where) + tail
        token += left + middle + right
        scored += [0] * len(left + middle) + [1] * len(right)
        offset.append(len(token))
        visual_at.append(len(left))
        if len(left + middle) == 0:
            raise BadInput("--template: needs a token before {answer}, such as the bos token")
    return token, scored, offset, visual_at


def check_vocabulary(token, coder, vocab_size):
    if vocab_size is None:
        return coder.vocab_size
    if max(token) >= vocab_size:
        raise BadInput(f"token id {max(token)} is not below the model's vocab_size {vocab_size}; "
                       "take the tokenizer that belongs to the model")
    return vocab_size


def write(path, attributes, arrays):
    """Write the file beside its name and rename it, so that it appears whole or not at all."""
    temporary = f"{path}.tmp{os.getpid()}"
    try:
        with h5py.File(temporary, "w") as file:
            file.attrs.update(attributes)
            for name, data in arrays.items():
                text = data.dtype == object
                file.create_dataset(name, data=data, compression="gzip", shuffle=not text,
                                    dtype=h5py.string_dtype("utf-8") if text else None)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def prepare(option):
    samples = read_samples(option.samples, "{question}" in option.template)
    coder = Coder(option.tokenizer)
    token, scored, offset, visual_at = encode(samples, option.template, coder, option.samples)
    vocab_size = check_vocabulary(token, coder, option.vocab_size)
    table = (coder.token_bytes() + [b""] * vocab_size)[:vocab_size]
    column = list(zip(*samples))
    write(option.output, {
        "schema": "mordal-corpus", "schema_version": np.int64(1), "tool": "prepare_corpus.py",
        "template": option.template, "tokenizer_sha256": hashlib.sha256(coder.raw).hexdigest(),
        "vocab_size": np.int64(vocab_size),
        "bos_id": np.int64(coder.id_of("--bos", option.bos, ["<bos>", "<s>"])),
        "eos_id": np.int64(coder.id_of("--eos", option.eos, ["<eos>", "</s>"])),
        "pad_id": np.int64(coder.id_of("--pad", option.pad, ["<pad>"])),
    }, {
        "token": np.array(token, np.int32), "scored": np.array(scored, np.uint8),
        "offset": np.array(offset, np.int64), "visual_at": np.array(visual_at, np.int32),
        "image": np.array(column[0], object), "answer": np.array(column[2], object),
        "split": np.array([SPLITS[name] for name in column[3]], np.uint8),
        "token_bytes": np.frombuffer(b"".join(table), np.uint8),
        "token_bytes_offset": np.cumsum([0, *map(len, table)], dtype=np.int64),
    })
    print(f"{option.output}: {len(samples)} samples, {len(token)} tokens, "
          f"{sum(scored)} of them scored, vocabulary {vocab_size}")


def main():
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("samples", metavar="SAMPLES", help="the table of samples, .csv or .jsonl")
    add("--tokenizer", required=True, metavar="FILE", help="tokenizer.json of the language model")
    add("--template", required=True, metavar="TEXT", help="how a sample becomes text")
    add("-o", "--output", required=True, metavar="FILE", help="the corpus to write")
    add("--vocab-size", type=int, metavar="N",
        help="vocab_size of the model's config.json, if it is larger than the tokenizer's")
    add("--bos", metavar="TOKEN", help="first token (default: <bos> or <s>, if there is one)")
    add("--eos", metavar="TOKEN", help="last token (default: <eos> or </s>, if there is one)")
    add("--pad", metavar="TOKEN", help="padding token (default: <pad>, if there is one)")
    option = parser.parse_args()
    try:
        prepare(option)
    except BadInput as why:
        sys.stderr.write(f"prepare_corpus.py: {why}\n")
        return E_INPUT
    except FileNotFoundError as why:
        sys.stderr.write(f"prepare_corpus.py: {why.filename or option.output}: "
                         "no such file or folder; check the path\n")
        return E_MISSING
    except OSError as why:
        sys.stderr.write(f"prepare_corpus.py: {option.output}: {why}\n")
        return E_IO
    return 0


if __name__ == "__main__":
    sys.exit(main())
