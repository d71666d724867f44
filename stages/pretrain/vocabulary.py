"""A tokenizer for the tiny CLIP: each word of the world's phrases is a token, and any other word its letters."""

import itertools
import json
from collections import Counter

import numpy as np
from promptseg.nn import text_encoder as tokenizers
from world import phrases
from world.looks import SLOTS

END = "</w>"


def files() -> dict[str, bytes]:
    """vocab.json and merges.txt, in CLIP's form: the 512 bytes, what words are put together from, beginning and end."""
    merges = learned(words())
    letters = json.loads(tokenizers.letters()["vocab.json"])
    symbols = [symbol for symbol in letters if not symbol.startswith("<|")]
    tokens = dict.fromkeys([*symbols, *("".join(pair) for pair in merges), "<|startoftext|>", "<|endoftext|>"])
    return {
        "vocab.json": json.dumps({token: i for i, token in enumerate(tokens)}, ensure_ascii=True).encode(),
        "merges.txt": ("#version: 0.2\n" + "".join(f"{one} {other}\n" for one, other in merges)).encode(),
    }


def learned(of: list[str]) -> list[tuple[str, str]]:
    """The merges of byte-pair encoding (Sennrich et al. 2016) until each word is one token; the first of equals counts.

    The trainer of the package tokenizers takes equals in another order each time.
    """
    split = [(*word[:-1], word[-1] + END) for word in of]
    merges = []
    while counts := Counter(pair for word in split for pair in itertools.pairwise(word)):
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        split = [_merged(word, best) for word in split]
    return merges


def _merged(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    out = []
    for symbol in word:
        if out and (out[-1], symbol) == pair:
            out[-1] += symbol
        else:
            out.append(symbol)
    return tuple(out)


def size() -> int:
    """How many tokens there are; the last two are the beginning and the end."""
    return len(json.loads(files()["vocab.json"]))


def words() -> list[str]:
    """All that phrases are made of, sorted."""
    rng, said = np.random.default_rng(0), set()
    for word, many in itertools.product(itertools.chain(*SLOTS.values()), (False, True)):
        for _ in range(32):  # all ways to say it, with near certainty
            said.update(phrases.say(rng, (word,), many).split())
    return sorted(said)
