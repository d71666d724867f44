"""Stages that are ended at any moment: outputs are old, absent or complete, and the next run makes the same bytes."""

import random
import signal

import kills
import pytest
import small_study

KILLS = 24

pytestmark = pytest.mark.xdist_group("faults")


def test_a_killed_stage_leaves_nothing_half_and_the_next_run_makes_the_same_bytes(server, whole_study):
    stages, choose = small_study.stages(), random.Random(0)
    folder, reference = whole_study
    seconds = {name: duration for name, (_, duration) in reference.items()}
    early = 0
    for number in range(KILLS):
        stage = stages[number % len(stages)]
        # Files are renamed near the end; how long a stage takes depends on what else the machine does.
        moment = seconds[stage.name] * choose.choice([choose.random(), choose.uniform(0.7, 1.0)])
        which = signal.SIGTERM if number % 4 == 3 else signal.SIGKILL
        ended, seconds[stage.name] = kills.end_early(
            server, folder, stage, reference[stage.name][0], moment, old=number % 2 == 1, number=which
        )
        early += ended
    assert early >= KILLS / 4
