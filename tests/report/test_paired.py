"""Comparison of two runs: scores, images better and worse, groups, classes."""

import numpy as np
import pytest
from promptseg.core.errors import UserError
from promptseg.evaluation import score_table
from promptseg.report.paired import compare


def write(path, ious, groups=None, classes=("a",), empty=0):
    """Write a table of images of 1000 pixels of each class whose IoUs are given, (images, K); NaN: without it."""
    ious = np.reshape(np.asarray(ious, float), (-1, len(classes)))
    rows = []
    for number, values in enumerate(ious):
        for name, iou in zip(classes, values, strict=True):
            tp = 0 if np.isnan(iou) else round(1000 * iou)
            counts = {"tp": tp, "fp": 0, "fn": 0 if np.isnan(iou) else 1000 - tp}
            rows.append(
                {"id": f"i{number}", "group": groups[number] if groups else f"g{number}", "class": name, **counts}
            )
    for number in range(empty):
        rows += [{"id": f"e{number}", "group": "e", "class": name, "tp": 0, "fp": 7, "fn": 0} for name in classes]
    score_table.write_table(path, rows, {})
    return path


def test_scores_gain_and_images_are_those_of_the_tables(tmp_path):
    before = write(tmp_path / "b", [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5], empty=2)
    after = write(tmp_path / "a", [0.6, 0.7, 0.8, 0.505, 0.4, 0.2, 0.495], empty=2)
    found = compare(before, after)
    overall = found.overall
    assert (overall.before, overall.after) == (0.5, pytest.approx(3.7 / 7)) and overall.gain == pytest.approx(0.2 / 7)
    assert (overall.better, overall.equal, overall.worse) == (3, 2, 2)
    assert overall.best == ("i2", "i1", "i0") and overall.worst == ("i5", "i4")
    low, high = overall.interval
    assert low < overall.gain < high and overall.p > 0.5 and not overall.is_shown
    assert found.groups == 7 and found.by_class == {}
    assert found.by_group == {
        f"g{i}": pytest.approx(x, abs=1e-9) for i, x in enumerate([0.1, 0.2, 0.3, 0.005, -0.1, -0.3, -0.005])
    }


def test_a_gain_in_every_group_is_shown_and_the_other_way_around_it_is_a_loss(tmp_path):
    before, after = write(tmp_path / "b", np.linspace(0.4, 0.6, 8)), write(tmp_path / "a", np.linspace(0.45, 0.7, 8))
    gain, loss = compare(before, after).overall, compare(after, before).overall
    assert gain.p == loss.p == 2 / 256 and gain.is_shown and loss.is_shown
    assert gain.interval == pytest.approx((-loss.interval[1], -loss.interval[0])) and gain.interval[0] > 0
    assert (gain.better, loss.worse) == (8, 8) and len(loss.worst) == 4


def test_with_few_groups_there_are_the_differences_of_each(tmp_path):
    groups = ["x", "x", "y", "y", "z"]
    before, after = write(tmp_path / "b", [0.2] * 5, groups), write(tmp_path / "a", [0.3, 0.5, 0.2, 0.2, 0.1], groups)
    found = compare(before, after)
    assert found.by_group == {"x": pytest.approx(0.2), "y": 0.0, "z": pytest.approx(-0.1)}
    assert found.overall.interval is None and found.overall.p is None and not found.overall.is_shown


def test_several_classes_are_pooled_each_and_averaged(tmp_path):
    nan, names = np.nan, ("cat", "dog", "absent")
    before = write(tmp_path / "b", [[0.2, 0.5, nan], [0.4, nan, nan], [nan, 0.5, nan]], classes=names)
    after = write(tmp_path / "a", [[0.4, 0.5, nan], [0.6, nan, nan], [nan, 0.1, nan]], classes=names)
    found = compare(before, after)
    assert list(found.by_class) == ["cat", "dog"]
    cat, dog = found.by_class["cat"], found.by_class["dog"]
    assert (cat.before, cat.after) == (pytest.approx(0.3), 0.5) and (dog.before, dog.after) == (0.5, pytest.approx(0.3))
    assert (cat.better, cat.equal, cat.worse) == (2, 0, 0) and (dog.better, dog.equal, dog.worse) == (0, 1, 1)
    assert found.overall.gain == pytest.approx(0.0) and found.overall.worst == ("i2",)
    assert found.overall.best == ("i1", "i0"), "the gain of an image is the mean over its classes: 0.2 and 0.1"


def test_runs_that_cannot_be_compared_are_named(tmp_path):
    one = write(tmp_path / "one", [0.5, 0.5])
    with pytest.raises(UserError, match="two: not of the same images as .*one; compare runs on one dataset"):
        compare(one, write(tmp_path / "two", [0.5]))
    with pytest.raises(UserError, match="other: not of the same images"):
        compare(one, write(tmp_path / "other", [0.5, 0.5], classes=("b",)))
    with pytest.raises(UserError, match="no image has ground truth"):
        compare(write(tmp_path / "no", [np.nan]), write(tmp_path / "none", [np.nan]))
