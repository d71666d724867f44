"""`promptseg repro`: which stages share a process, and which come first."""

import pytest
from promptseg.cli import repro

READY = [f"evaluate@{i}" for i in range(40)]


@pytest.mark.parametrize(
    "ready, seconds, count",
    [
        (READY, [], 1),  # until one has ended, nobody knows how long they take
        (READY, [5.0, 7.0], 5), (READY, [0.0], 8), (READY, [31.0], 1),  # up to 8 stages and 30 seconds together
        (READY[:12], [1.0], 3), (READY[:3], [1.0], 1),  # smaller at the end
        (["finetune@a", *READY], [1.0], 1), (["evaluate@a", "report", *READY[:11]], [1.0], 3),
    ],
)  # fmt: skip
def test_the_size_of_a_batch_follows_from_what_its_verb_took_and_from_what_is_left(ready, seconds, count):
    batch = repro.next_batch(ready, 2, {"evaluate": seconds})
    assert len(batch) == count and batch[0] == ready[0]
    assert {name.partition("@")[0] for name in batch} == {ready[0].partition("@")[0]}
    assert len(repro.next_batch(ready, 20, {"evaluate": seconds})) == 1


def test_a_stage_of_another_verb_than_those_that_run_comes_first():
    ready = ["zero_shot@a", "zero_shot@b", "evaluate@c", "evaluate@d"]
    assert repro.spread(ready, set()) == repro.spread(ready, {"predict@e", "zero_shot@f", "evaluate@g"}) == ready
    assert repro.spread(ready, {"zero_shot@f"}) == [*ready[2:], *ready[:2]]
