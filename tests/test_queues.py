"""Results in order, with a bound on what is under way."""

import threading
import time

import pytest
from promptseg.core.thread_pool import Pool


def test_results_come_in_the_order_of_the_items():
    with Pool(4) as pool:
        assert list(pool.in_order(lambda n: (time.sleep(0.002 * (n % 3)), n)[1], range(30))) == list(range(30))


def test_only_a_few_are_begun_and_not_taken():
    begun, taken, most, lock = 0, 0, 0, threading.Lock()

    def work(_):
        nonlocal begun, most
        with lock:
            begun += 1
            most = max(most, begun - taken)

    with Pool(3) as pool:
        for _ in pool.in_order(work, range(50)):
            with lock:
                taken += 1
            time.sleep(0.001)
    assert begun == taken == 50 and most <= 4 + 1  # the one that is being taken


def test_what_a_call_raises_comes_in_its_place_and_ends_the_work():
    begun = []

    def work(n):
        begun.append(n)
        if n == 3:
            raise ValueError("three")
        return n

    with Pool(2) as pool:
        results = pool.in_order(work, range(1000))
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ValueError, match="three"):
            next(results)
    assert len(begun) < 10


def test_no_items_no_results():
    with Pool(2) as pool:
        assert list(pool.in_order(str, [])) == []
