"""LRU cache of embeddings of phrases, which repeat in all images, and of support images, which do in all epochs."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import torch

MAX_ENTRIES = 4096  # of one cache; 8 MB for CLIP ViT-B


class LRUCache:
    """Embeddings by item, each computed once; of more than MAX_ENTRIES the oldest are dropped.

    Args:
        embed: n items -> (n, width), or a tensor for each item; called without gradients.
        key: item -> what identifies it; the item itself by default.
    """

    def __init__(
        self, embed: Callable[[list], Iterable[torch.Tensor]], key: Callable[[Any], Hashable] = lambda item: item
    ):
        self._embed, self._key = embed, key
        self._entries: OrderedDict[Hashable, torch.Tensor] = OrderedDict()

    @torch.no_grad()
    def __call__(self, items: list) -> list[torch.Tensor]:
        """Look up or compute the embedding of each item.

        New items of a call form one batch, which reads the network's weights once. A batch never spans calls, so the
        result of a call does not depend on earlier ones.
        """
        keys = [self._key(item) for item in items]
        new = {key: item for key, item in zip(keys, items) if key not in self._entries}
        if new:
            self._entries.update(zip(new, self._embed(list(new.values()))))
        embeddings = [self._entries[key] for key in keys]
        while len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)
        return embeddings
