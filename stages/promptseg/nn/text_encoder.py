"""Words for CLIP's text tower: its tokenizer's files, a tokenizer of letters for tiny models, phrases' embeddings."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import BatchEncoding, CLIPTokenizer

from promptseg.core.errors import UserError
from promptseg.nn.lru_cache import LRUCache

FILES = ("vocab.json", "merges.txt")
# The text tower of the tiny models; its vocabulary is that of `letters`.
TINY_TEXT = dict(
    hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, vocab_size=514,
    pad_token_id=513, bos_token_id=512, eos_token_id=513,
)  # fmt: skip


class Phrases(LRUCache):
    """Phrases -> their embeddings, on the tower's device.

    files: the tokenizer's, by name; longest: the tower's number of positions; embed: the tokenizer's output, ids and
    mask (n, length), -> (n, width).
    """

    def __init__(self, files: dict[str, bytes], longest: int, embed: Callable[[BatchEncoding], torch.Tensor]):
        super().__init__(self._tokenized)
        self.files, self.tokenizer = files, tokenizer(files)
        self._longest, self._tower = longest, embed

    def _tokenized(self, texts: list[str]) -> torch.Tensor:
        return self._tower(
            self.tokenizer(texts, padding=True, truncation=True, max_length=self._longest, return_tensors="pt")
        )


def tokenizer(files: dict[str, bytes]) -> CLIPTokenizer:
    vocabulary = json.loads(files["vocab.json"])
    merges = [tuple(line.split()) for line in files["merges.txt"].decode().splitlines()[1:] if line]
    return CLIPTokenizer(vocab=vocabulary, merges=merges)


def read(folder: Path) -> dict[str, bytes]:
    """The tokenizer's files of a folder, released or our own. Raises UserError naming one that is not there."""
    missing = [folder / name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{missing[0]}: not found; phrases need the tokenizer's {' and '.join(FILES)}")
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
