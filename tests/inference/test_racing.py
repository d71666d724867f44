"""Rounds of a search: their price, and how good the winner is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from promptseg.evaluation.run_scores import RunScores
from promptseg.inference.racing import ALL_SCORED, FINALISTS, race, rounds


def passes(candidates: int, images: int) -> int:
    """How often a candidate is scored on an image, in all."""
    total, done = 0, 0
    for number, until in rounds(candidates, images):
        total += min(number, candidates) * (until - done)
        done = until
    return total


@given(st.integers(1, 500), st.integers(1, 500))
def test_a_search_costs_what_ten_candidates_cost_or_an_image_each_and_ends_on_all_images(candidates, images):
    assert rounds(candidates, images)[-1].images == images
    if candidates <= ALL_SCORED:
        assert passes(candidates, images) == candidates * images
    else:
        assert passes(candidates, images) <= max(ALL_SCORED * images, candidates + FINALISTS * 2 * images)


class Simulated:
    """Candidates whose IoU on an image is their quality, what the image makes of all of them, and noise."""

    def __init__(self, seed: int, candidates: int, images: int):
        rng = np.random.default_rng(seed)
        self.quality = rng.normal(0.5, 0.08, candidates)
        hardness, noise = rng.normal(0, 0.15, images), rng.normal(0, 0.1, (candidates, images))
        self.iou = np.clip(self.quality[:, None] + hardness + noise, 0.01, 0.99)
        self.scored = []

    def score(self, candidates, images):
        self.scored.append((len(candidates), len(images)))
        return [self._scores(candidate, images) for candidate in candidates]

    def _scores(self, candidate, images):
        scores = RunScores(["c"])
        for image in images:
            row = np.zeros((1, 200), np.uint8)
            row[:, : round(200 * self.iou[candidate, image])] = 255
            scores.add(str(image), str(image), np.ones((1, 200), np.uint8), row[None])
        return scores


def test_the_winner_of_the_rounds_is_nearly_as_good_as_that_of_all_candidates_on_all_images():
    lost = []
    for seed in range(12):
        simulated = Simulated(seed, 50, 40)
        standings = race(50, range(40), simulated.score)
        assert simulated.scored == [(50, 4), (8, 6), (3, 30)]
        best_of_all = simulated.iou.mean(axis=1).argmax()
        lost.append(simulated.quality[best_of_all] - simulated.quality[standings[0].candidate])
    spread = np.mean([np.ptp(Simulated(seed, 50, 40).quality) for seed in range(12)])
    assert np.mean(lost) < 0.05 * spread


def test_the_order_is_by_images_then_by_score_then_by_number():
    simulated = Simulated(0, 12, 20)
    simulated.iou[:] = 0.3
    simulated.iou[[4, 7]] = 0.6
    standings = race(12, range(20), simulated.score)
    assert [each.candidate for each in standings] == [4, 7, 0, 1, 2, 3, 5, 6, 8, 9, 10, 11]
    assert [each.images for each in standings] == [20] * 3 + [8] * 9
    assert standings[0].score == pytest.approx(0.6)
    alone = race(3, range(20), simulated.score)
    assert [each.candidate for each in alone] == [0, 1, 2] and {each.images for each in alone} == {20}
