"""ThreadPool: results in order, with a bound on pending work."""

import threading
import time

import pytest
from promptseg.core.thread_pool import ThreadPool


def test_results_come_in_the_order_of_the_items():
    with ThreadPool(4) as pool:
        assert list(pool.map_ordered(lambda n: (time.sleep(0.002 * (n % 3)), n)[1], range(12))) == list(range(12))
        assert list(pool.map_ordered(str, [])) == []


def test_only_a_few_calls_are_ahead_of_the_results():
    started, consumed, most, lock = 0, 0, 0, threading.Lock()

    def work(_):
        nonlocal started, most
        with lock:
            started += 1
            most = max(most, started - consumed)

    with ThreadPool(3) as pool:
        for _ in pool.map_ordered(work, range(30)):
            with lock:
                consumed += 1
            time.sleep(0.001)
    assert started == consumed == 30 and most <= 4 + 1  # and the result that is being consumed


def test_an_exception_is_raised_in_its_place_and_ends_the_work():
    started = []

    def work(n):
        started.append(n)
        return 1 // (3 - n)

    with ThreadPool(2) as pool:
        results = pool.map_ordered(work, range(1000))
        assert [next(results) for _ in range(3)] == [0, 0, 1]
        with pytest.raises(ZeroDivisionError):
            next(results)
    assert len(started) < 10
