"""Successive halving: many candidates are scored on a few images, and only the best of them on all.

After Jamieson and Talwalkar 2016, "Non-stochastic Best Arm Identification and Hyperparameter Optimization". All
candidates of a round are scored on the same images, so that it is their differences that count.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from promptseg.evaluation.run_scores import RunScores

ALL_SCORED = 10  # candidates up to which each is scored on all images; more of them cost no more than these
SEMIFINALISTS, FINALISTS = 8, 3


class Round(NamedTuple):
    """The best candidates so far, and the number of images on which they have been scored by the end of the round."""

    candidates: int
    images: int


class Standing(NamedTuple):
    """A candidate, its score, and the number of images that this is of."""

    candidate: int
    score: float
    images: int


def rounds(candidates: int, images: int) -> list[Round]:
    """Plan the rounds of a search.

    All candidates together are scored as often as half of ALL_SCORED would be on all images, the best ones on the rest,
    so that a search costs at most what ALL_SCORED candidates do. An image each is the least, whatever their number.

    Args:
        candidates: number of them.
        images: number of images, at least 1.
    """
    if candidates <= ALL_SCORED:
        return [Round(candidates, images)]
    first = max(1, ALL_SCORED // 2 * images // candidates)
    plan = [Round(candidates, first)]
    if first < images // 4:
        plan.append(Round(SEMIFINALISTS, images // 4))
    if first < images:
        plan.append(Round(FINALISTS, images))
    return plan


def race(
    candidates: int, images: Sequence[int], score: Callable[[list[int], Sequence[int]], list[RunScores]]
) -> list[Standing]:
    """Score candidates in rounds.

    Args:
        candidates: number of them.
        images: numbers of the images, at least one, in the order in which they are taken.
        score: scores these candidates on these images.

    Returns:
        All candidates, the best first, the first of equal ones: those that were scored on more images before others.
    """
    standings: dict[int, Standing] = {}
    totals: dict[int, RunScores] = {}
    remaining, done = list(range(candidates)), 0
    for number, until in rounds(candidates, len(images)):
        remaining = sorted(remaining[:number])
        for candidate, scores in zip(remaining, score(remaining, images[done:until]), strict=True):
            if candidate in totals:
                totals[candidate].include(scores)
            else:
                totals[candidate] = scores
            standings[candidate] = Standing(candidate, totals[candidate].headline(), until)
        remaining.sort(key=lambda candidate: -standings[candidate].score)
        done = until
    return sorted(standings.values(), key=lambda each: (-each.images, -each.score, each.candidate))
