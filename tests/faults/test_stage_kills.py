"""Stages that are ended at any moment: outputs are old, absent or complete, and the next run makes the same bytes."""

import random
import signal

import kills
import pytest
import small_study

KILLS = 24

pytestmark = pytest.mark.xdist_group("faults")


def test_a_killed_stage_leaves_nothing_half_and_the_next_run_makes_the_same_bytes(server, tmp_path):
    stages, choose = small_study.stages(), random.Random(0)
    reference = kills.reference(server, tmp_path / "study", stages)
    early = 0
    for number in range(KILLS):
        stage = stages[number % len(stages)]
        whole, seconds = reference[stage.name]
        # The last tenth is where files are renamed; a machine that is busy meanwhile kills earlier.
        moment = seconds * choose.choice([choose.random(), choose.uniform(0.8, 1.05)])
        signals = [signal.SIGKILL] * 3 + [signal.SIGTERM]
        early += kills.end_early(
            server, tmp_path / "study", stage, whole, moment, old=number % 2 == 1, number=signals[number % 4]
        )
    assert early > KILLS / 2
