"""Words for CLIP's text tower: its tokenizer's files, a tokenizer of letters for tiny models, embeddings kept a phrase."""

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch
from transformers import CLIPTokenizer

from promptseg.base.errors import Problem

FILES = ("vocab.json", "merges.txt")
# The text tower of the tiny models; its vocabulary is that of `letters`.
TINY_TEXT = dict(
    hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, vocab_size=514,
    pad_token_id=513, bos_token_id=512, eos_token_id=513,
)  # fmt: skip


class Phrases:
    """A phrase -> its embedding, computed once: a run asks the same few phrases of every picture.

    files: the tokenizer's, by name; longest: the tower's number of positions; embed: ids (1, length) -> (1, width).
    """

    def __init__(self, files: dict[str, bytes], longest: int, embed: Callable[[torch.Tensor], torch.Tensor]):
        self.files, self.tokenizer = files, tokenizer(files)
        self._longest, self._embed = longest, embed
        self._embedding = lru_cache(maxsize=1024)(self._compute)  # one instance's own

    def __call__(self, text: str) -> torch.Tensor:
        """(width,) float32, on the tower's device."""
        return self._embedding(text)

    @torch.no_grad()
    def _compute(self, text: str) -> torch.Tensor:
        ids = self.tokenizer(text, truncation=True, max_length=self._longest, return_tensors="pt").input_ids
        return self._embed(ids)[0]


def tokenizer(files: dict[str, bytes]) -> CLIPTokenizer:
    vocabulary = json.loads(files["vocab.json"])
    merges = [tuple(line.split()) for line in files["merges.txt"].decode().splitlines()[1:] if line]
    return CLIPTokenizer(vocab=vocabulary, merges=merges)


def read(folder: Path) -> dict[str, bytes]:
    """The tokenizer's files of a folder, released or our own. Raises Problem naming one that is not there."""
    missing = [folder / name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise Problem(f"{missing[0]}: not found; phrases need the tokenizer's {' and '.join(FILES)}")
    return {name: (folder / name).read_bytes() for name in FILES}


def letters() -> dict[str, bytes]:
    """CLIP's tokenizer without merges: every byte a token, with and without the mark of a word's end."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    # GPT-2's table: printable bytes stand for themselves, the others for the characters from 256 on.
    symbols = [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(others))]
    tokens = symbols + [symbol + "</w>" for symbol in symbols] + ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return {
        "vocab.json": json.dumps(vocabulary, ensure_ascii=True).encode(),
        "merges.txt": b"#version: 0.2\n",
    }
