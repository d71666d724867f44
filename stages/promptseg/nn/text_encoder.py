"""Text side of CLIP: tokenizer files, a byte-level tokenizer for tiny models, and cached embeddings of phrases."""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from transformers import BatchEncoding, CLIPTokenizer

from promptseg.core.errors import UserError
from promptseg.nn.lru_cache import LRUCache

FILES = ("vocab.json", "merges.txt")
# Text encoder of the tiny models, for the vocabulary of `letters`.
TINY_TEXT = dict(
    hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, vocab_size=514,
    pad_token_id=513, bos_token_id=512, eos_token_id=513,
)  # fmt: skip


class PhraseEmbeddings(LRUCache):
    """Cached text embeddings of phrases, on the text encoder's device.

    Args:
        files: contents of the tokenizer's files by name.
        max_length: number of positions of the text encoder, tokens.
        encode: tokens (ids and attention mask, (n, length)) -> embeddings (n, width), or one of any shape a phrase.
    """

    def __init__(
        self, files: dict[str, bytes], max_length: int, encode: Callable[[BatchEncoding], Iterable[torch.Tensor]]
    ):
        super().__init__(self._embed_texts)
        self.files, self.tokenizer = files, tokenizer(files)
        self._max_length, self._encode = max_length, encode
        self._cut: set[str] = set()  # phrases that are too long, said so

    def _embed_texts(self, texts: list[str]) -> Iterable[torch.Tensor]:
        for phrase, ids in zip(texts, self.tokenizer(texts)["input_ids"], strict=True):
            if len(ids) > self._max_length and phrase not in self._cut:
                self._cut.add(phrase)
                self._say_cut(phrase, ids)
        return self._encode(
            self.tokenizer(texts, padding=True, truncation=True, max_length=self._max_length, return_tensors="pt")
        )

    def _say_cut(self, phrase: str, ids: list[int]) -> None:
        """Say on stderr that a phrase is longer than the text encoder reads. ids: all of its tokens."""
        read = self.tokenizer.decode(ids[: self._max_length - 1], skip_special_tokens=True)
        print(
            f"note: the phrase {' '.join(phrase.split())!r} has {len(ids)} tokens, of which the text encoder reads "
            f"{self._max_length}: it is cut after {read[-20:]!r}; shorten it",
            file=sys.stderr,
        )


def tokenizer(files: dict[str, bytes]) -> CLIPTokenizer:
    """Build CLIP's tokenizer from the contents of vocab.json and merges.txt."""
    vocabulary = json.loads(files["vocab.json"])
    merges = [tuple(line.split()) for line in files["merges.txt"].decode().splitlines()[1:] if line]
    return CLIPTokenizer(vocab=vocabulary, merges=merges)


def read(folder: Path) -> dict[str, bytes]:
    """Read the tokenizer's files of a released folder or of our own. Raises UserError that names a missing one."""
    missing = [folder / name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{missing[0]}: not found; phrases need the tokenizer's {' and '.join(FILES)}")
    return {name: (folder / name).read_bytes() for name in FILES}


def letters() -> dict[str, bytes]:
    """Files of CLIP's tokenizer without merges: every byte is a token, with and without the mark of a word's end."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    # GPT-2's table: printable bytes stand for themselves, all other bytes for the characters from 256 on.
    symbols = [chr(byte) for byte in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    tokens = symbols + [symbol + "</w>" for symbol in symbols] + ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return {
        "vocab.json": json.dumps(vocabulary, ensure_ascii=True).encode(),
        "merges.txt": b"#version: 0.2\n",
    }
