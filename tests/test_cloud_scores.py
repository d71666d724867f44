"""Part mIoU and top-1 accuracy against a case counted by hand, and against loops over points."""

import numpy as np
import pytest
from promptseg.evaluation import point_cloud_scores, scores

CLASSES = ["mug handle", "mug cup", "cap crown", "cap visor"]
CLASSES_BY_CATEGORY = {"mug": [1, 2], "cap": [3, 4]}


def answer(labels: np.ndarray, count: int) -> np.ndarray:
    """Maps (count, n, 2) uint8 that say these labels of points, from 1."""
    return np.repeat(np.where(labels == np.arange(1, count + 1)[:, None], 255, 0)[..., None], 2, axis=2).astype(
        np.uint8
    )


def scored(clouds: list[tuple[str, list[int], list[int]]], about: dict) -> tuple[dict, dict]:
    """clouds: text, true labels, labels of the answer. Gives per_cloud and summary."""
    found = scores.Scores(about["classes"])
    for number, (_, truth, guess) in enumerate(clouds):
        mask = np.repeat(np.array(truth, np.uint8)[:, None], 2, axis=1)
        found.add(f"c{number}", f"c{number}", mask, answer(np.array(guess), len(about["classes"])))
    texts = {f"c{number}": text for number, (text, *_) in enumerate(clouds)}
    each = point_cloud_scores.per_cloud(found.rows(), about, texts)
    return each, point_cloud_scores.summary(each, about, texts)


def test_a_case_counted_by_hand():
    about = {"classes": CLASSES, "among": CLASSES_BY_CATEGORY, "whole": False}
    clouds = [
        ("mug", [1, 1, 2, 2], [1, 2, 2, 2]),  # handle 1/2, cup 2/3
        ("mug", [2, 2, 2, 2], [2, 2, 2, 2]),  # handle in neither: 1, cup 1
        ("cap", [3, 3, 4, 4], [4, 4, 3, 3]),  # 0 and 0
    ]
    each, summary = scored(clouds, about)
    mug = (1 / 2 + 2 / 3) / 2
    assert each == {"c0": pytest.approx(mug), "c1": 1.0, "c2": 0.0}
    assert summary == {
        "part_miou": pytest.approx((mug + 1 + 0) / 3, abs=1e-6),
        "part_miou_category": pytest.approx(((mug + 1) / 2 + 0) / 2, abs=1e-6),
    }


@pytest.mark.parametrize("seed", range(5))
def test_part_miou_is_that_of_loops_over_points(seed):
    rng = np.random.default_rng(seed)
    sizes = {"a": 4, "b": 2, "c": 6}
    among, start = {}, 1
    for name, size in sizes.items():
        among[name], start = list(range(start, start + size)), start + size
    about = {"classes": [f"p{i}" for i in range(1, start)], "among": among, "whole": False}
    clouds = []
    for name in rng.choice(list(sizes), 12):
        some = rng.choice(among[name], max(1, len(among[name]) - 1), replace=False)  # a part is missing
        clouds.append((str(name), rng.choice(some, 30).tolist(), rng.choice(some, 30).tolist()))
    by_category = {}
    for name, truth, guess in clouds:
        ious = []
        for part in among[name]:
            union = sum(t == part or g == part for t, g in zip(truth, guess))
            both = sum(t == part and g == part for t, g in zip(truth, guess))
            ious.append(1.0 if union == 0 else both / union)
        by_category.setdefault(name, []).append(sum(ious) / len(ious))
    shapes = [iou for ious in by_category.values() for iou in ious]
    _, summary = scored(clouds, about)
    assert summary["part_miou"] == pytest.approx(np.mean(shapes), abs=1e-6)
    assert summary["part_miou_category"] == pytest.approx(
        np.mean([np.mean(ious) for ious in by_category.values()]), abs=1e-6
    )


def test_of_whole_clouds_the_share_of_right_answers_is_what_counts():
    about = {"classes": ["a", "b", "c"], "among": {}, "whole": True}
    clouds = [("", [1] * 9, [1] * 9), ("", [2] * 9, [3] * 9), ("", [3] * 9, [3] * 9), ("", [3] * 9, [1] * 9)]
    each, summary = scored(clouds, about)
    assert list(each.values()) == [1, 0, 1, 0] and summary == {"accuracy_top1": 0.5}
