"""Work handed to threads, and its results in order, with a bound on how much is under way."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2


class Pool(ThreadPoolExecutor):
    """So many threads; what they do (decoding, encoding) runs outside of Python's lock."""

    def __init__(self, threads: int):
        super().__init__(threads)
        cv2.setNumThreads(1)  # OpenCV's own beside these would only spin
        self._ahead = threads + 1  # so that none waits while a result is taken

    def in_order(self, function: Callable, items: Iterable) -> Iterator:
        """function(item) for each item, in the items' order; only a few are begun and not yet taken.

        `map` would begin them all, and hold every result that is not taken yet. What a call raises is raised here, in
        its place, and nothing is begun after it.
        """
        waiting = deque()
        try:
            for item in items:
                waiting.append(self.submit(function, item))
                if len(waiting) >= self._ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
