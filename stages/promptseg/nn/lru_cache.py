"""Embeddings that are asked for again and again: the same few phrases of every picture, the same examples each epoch."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import torch

MOST = 4096  # of one kind; 8 MB for CLIP ViT-B


class LRUCache:
    """Items -> their embeddings, each computed once; the oldest of more than MOST are let go.

    embed: n items -> (n, width), without gradients; key: what an item is known by, itself unless said.
    """

    def __init__(self, embed: Callable[[list], torch.Tensor], key: Callable[[Any], Hashable] = lambda item: item):
        self._embed, self._key = embed, key
        self._known: OrderedDict[Hashable, torch.Tensor] = OrderedDict()

    @torch.no_grad()
    def __call__(self, items: list) -> list[torch.Tensor]:
        """An embedding (width,) for each item. New ones go through together, which reads the network's weights once;
        those of other calls do not, so what a call gives does not hang on what was asked before it.
        """
        keys = [self._key(item) for item in items]
        new = {key: item for key, item in zip(keys, items) if key not in self._known}
        if new:
            self._known.update(zip(new, self._embed(list(new.values()))))
        found = [self._known[key] for key in keys]
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        return found
