"""Thread pool whose results come in order, with a bound on pending work."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import cv2


class ThreadPool(ThreadPoolExecutor):
    """Pool for image decoding and encoding, which release Python's lock.

    Args:
        threads: number of worker threads. OpenCV's own threads are switched off for the process.
    """

    def __init__(self, threads: int):
        super().__init__(threads)
        cv2.setNumThreads(1)  # OpenCV's threads beside these would only compete for the cores
        self._max_pending = threads + 1  # no worker is idle while a result is consumed

    def map_ordered(self, function: Callable, items: Iterable) -> Iterator:
        """Apply a function to each item, in order, with few results in memory.

        `ThreadPoolExecutor.map` would submit all items at once and hold every result that is not consumed yet.

        Args:
            function: called with one item, in a worker thread.
            items: consumed lazily, at most `threads` + 1 ahead of the results.

        Yields:
            function(item) for each item, in the order of the items.

        Raises:
            Exception: whatever a call raises, in its place; nothing is submitted after it.
        """
        pending: deque[Future] = deque()
        try:
            for item in items:
                pending.append(self.submit(function, item))
                if len(pending) >= self._max_pending:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
