"""The 95 % interval over groups: how often it holds the true value, its parts by hand, and when there is none."""

import numpy as np
import pytest
from promptseg.evaluation.interval import _degrees_of_freedom, interval
from scipy import special

EQUAL = {count: np.full(count, 6) for count in (5, 10, 30, 200)}
UNEQUAL = {  # the largest has 26, 9, 36 and 67 times as many images as the smallest
    5: np.array([1, 3, 6, 11, 26]),
    10: np.array([2, 3, 4, 4, 5, 6, 8, 10, 12, 18]),
    30: np.repeat([1, 3, 5, 8, 14, 36], 5),
    200: np.repeat([1, 3, 6, 11, 67], [50, 50, 50, 40, 10]),
}
SKEWED = {"high": (5, 0.8), "low": (0.5, 2), "middle": (4, 2)}  # Beta distributions of IoU


def draw(repeats: int, sizes: np.ndarray, beta: tuple[float, float], classes: int):
    """Sums and numbers (repeats, images, classes) of correlated images, the group of each image, and the true mean."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(len(sizes)), sizes)
    shared = rng.normal(size=(repeats, len(sizes), classes))[:, group]
    normal = np.sqrt(0.3) * shared + np.sqrt(0.7) * rng.normal(size=shared.shape)
    levels = special.betaincinv(*beta, special.ndtr(np.linspace(-5, 5, 1001)))
    iou = np.interp(normal, np.linspace(-5, 5, 1001), levels)
    if classes == 1:  # the mean over images
        return iou, np.ones_like(iou), group, beta[0] / sum(beta)
    union = np.exp(0.5 * rng.normal(size=iou.shape)) * (rng.random(iou.shape) < 0.6)  # many images lack a class
    return iou * union, union, group, beta[0] / sum(beta)


@pytest.mark.parametrize("sizes", [EQUAL, UNEQUAL], ids=["equal", "unequal"])
@pytest.mark.parametrize("count, repeats", [(5, 600), (10, 600), (30, 400), (200, 300)])
def test_the_interval_holds_the_true_value_in_93_to_97_of_100_cases(sizes, count, repeats):
    held = []
    for beta, classes in ((SKEWED["high"], 1), (SKEWED["low"], 1), (SKEWED["middle"], 3)):
        sums, numbers, group, truth = draw(repeats, sizes[count], beta, classes)
        ends = [interval(*case, group) for case in zip(sums, numbers)]
        held += [low <= truth <= high for low, high in filter(None, ends)]
    assert 0.93 <= np.mean(held) <= 0.97 and len(held) > 2.9 * repeats


def test_of_equal_groups_it_is_the_t_interval_of_their_means_on_the_scale_of_logits():
    values, group = np.array([0.2, 0.4, 0.5, 0.7, 0.6, 0.6, 0.9, 0.7, 0.3, 0.1])[:, None], np.repeat(np.arange(5), 2)
    means = values.reshape(5, 2).mean(axis=1)  # 0.3, 0.6, 0.6, 0.8, 0.2
    assert means.mean() == pytest.approx(0.5)
    deviation = means.std(ddof=1) / np.sqrt(5)
    half = 2.776445 * deviation / 0.25  # the t quantile for 4 degrees of freedom, from a table
    expected = 1 / (1 + np.exp([half, -half]))
    assert interval(values, np.ones((10, 1)), group) == pytest.approx(tuple(expected), abs=1e-6)


def test_degrees_of_freedom_are_those_of_the_matrix_written_out():
    rng = np.random.default_rng(1)
    share = rng.random((6, 3))
    share /= share.sum(axis=0)
    variance, weight = rng.random((6, 3)) * share**2, rng.random(6) + 1
    residual = [np.eye(6) - np.outer(share[:, k], np.ones(6)) for k in range(3)]
    covariance = sum(each @ np.diag(variance[:, k]) @ each.T for k, each in enumerate(residual)) / 3
    covariance *= np.sqrt(np.outer(weight, weight))
    expected = np.trace(covariance) ** 2 / np.trace(covariance @ covariance)
    assert _degrees_of_freedom(share, variance, weight) == pytest.approx(expected)
    equal = np.full((7, 1), 1 / 7)
    assert _degrees_of_freedom(equal, equal**2, np.ones(7)) == pytest.approx(6)


def test_there_is_none_with_few_groups_or_where_a_group_alone_has_a_class():
    rng, group = np.random.default_rng(0), np.arange(6)
    values, ones = rng.random((6, 1)), np.ones((6, 1))
    assert interval(values, ones, group) and interval(values, ones, group // 2) is None
    four = np.array([[1.0], [1], [0], [1], [0], [1]])
    assert interval(values * four, four, group) is None, "groups in which the class is absent are none"
    assert interval(values, np.array([[1.0], [1], [0], [1], [1], [1]]), group) is not None
    alone = np.diag([1.0] * 6)  # each group has a class of its own
    assert interval(alone * values, alone, group) is None


def test_it_stays_within_0_and_1_and_has_no_width_where_all_is_equal():
    ones, group = np.ones((8, 1)), np.arange(8)
    assert interval(ones, ones, group) == (1, 1) and interval(0 * ones, ones, group) == (0, 0)
    assert interval(0.25 * ones, ones, group) == pytest.approx((0.25, 0.25))
    low, high = interval(np.array([[0.0], [1], [1], [1], [1], [1], [1], [1]]), ones, group)
    assert 0 < low < 7 / 8 < high < 1
