"""Tokenizer of the tiny CLIP: each word of the synthetic phrases is one token; other words are split into letters."""

import itertools
import json
from collections import Counter

import numpy as np
from promptseg.nn import text_encoder
from world import phrases
from world.attributes import SLOTS

END_OF_WORD = "</w>"


def files() -> dict[str, bytes]:
    """Return vocab.json and merges.txt in CLIP's format: the bytes, all merged symbols, and the two special tokens."""
    merges = learn_merges(words())
    letters = json.loads(text_encoder.letters()["vocab.json"])
    symbols = [symbol for symbol in letters if not symbol.startswith("<|")]
    tokens = dict.fromkeys([*symbols, *("".join(pair) for pair in merges), "<|startoftext|>", "<|endoftext|>"])
    return {
        "vocab.json": json.dumps({token: i for i, token in enumerate(tokens)}, ensure_ascii=True).encode(),
        "merges.txt": ("#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges)).encode(),
    }


def learn_merges(corpus: list[str]) -> list[tuple[str, str]]:
    """Learn byte-pair merges (Sennrich et al. 2016) until each word is one token.

    Among pairs of equal count the alphabetically first is merged; the trainer of the package tokenizers would choose
    another one in each run.
    """
    split = [(*word[:-1], word[-1] + END_OF_WORD) for word in corpus]
    merges = []
    while counts := Counter(pair for word in split for pair in itertools.pairwise(word)):
        merges.append(min(counts, key=lambda pair: (-counts[pair], pair)))
        split = [_merge(word, merges[-1]) for word in split]
    return merges


def _merge(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    out = []
    for symbol in word:
        if out and (out[-1], symbol) == pair:
            out[-1] += symbol
        else:
            out.append(symbol)
    return tuple(out)


def words() -> list[str]:
    """Return all words that phrases are made of, sorted."""
    rng, found = np.random.default_rng(0), set()
    for word, plural in itertools.product(itertools.chain(*SLOTS.values()), (False, True)):
        for _ in range(32):  # all synonyms and articles, almost certainly
            found.update(phrases.to_english(rng, (word,), plural).split())
    return sorted(found)
