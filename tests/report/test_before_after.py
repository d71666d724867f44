"""The same images before and after fine-tuning: which are shown, and what of them."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from promptseg.core.errors import UserError
from promptseg.report import before_after, canvas
from promptseg.report.before_after import BEST, HURT, MEDIAN, WORST
from promptseg.report.verdict import Verdict
from report_project import Project

BEFORE = {"a": 0.5, "b": 0.2, "c": 0.9, "d": 0.4, "e": 0.6}
AFTER = {"a": 0.7, "b": 0.1, "c": 0.5, "d": 0.9, "e": 0.6}
GAIN = {"dataset": "em", "before": "em-sam", "after": ["em-sam-20", "em-sam-50"]}


@pytest.fixture
def project(tmp_path) -> Project:
    project = Project(tmp_path)
    found = {"zero_shot": "em-sam", "finetuned": "em-sam-20"}
    project.add_pair("em", {"a": 4, "b": 8, "c": 2, "d": 6}, {"a": 8, "b": 4, "c": 3, "d": 5}, **found)
    return project


def shown(pair) -> list[tuple]:
    return [(row.id, row.reasons, row.before, row.after) for row in pair.rows]


@pytest.mark.parametrize(("before", "named", "expected"), [
    (BEFORE, (), {"c": (HURT,), "b": (WORST,), "e": (MEDIAN,), "d": (BEST,)}),
    (BEFORE, ("b", "c"), {"b": (HURT, WORST), "c": (HURT,), "e": (MEDIAN,), "d": (BEST,)}),
    (BEFORE, ("d", "z"), {"c": (HURT,), "b": (WORST,), "e": (MEDIAN,), "d": (BEST,)}),  # named, but not worse
    (dict.fromkeys(AFTER, 0.0), (), {"b": (WORST,), "e": (MEDIAN,), "d": (BEST,)}),  # none lost
])  # fmt: skip
def test_the_image_that_lost_most_or_those_that_are_named_come_first(before, named, expected):
    assert list(before_after.choose(before, AFTER, named).items()) == list(expected.items())


@pytest.mark.parametrize(("scores", "expected"), [
    ({}, {}),
    ({"a": 0.5}, {"a": (MEDIAN,)}),
    ({"a": 0.5, "b": 0.1}, {"b": (WORST,), "a": (BEST,)}),
])  # fmt: skip
def test_few_images_are_each_shown_once(scores, expected):
    assert before_after.choose(scores, scores) == expected


def test_both_predictions_of_an_image_stand_beside_each_other(project):
    (pair,) = before_after.pairs([GAIN], [], project.folders)
    assert (pair.before, pair.after) == ("em-sam", ["em-sam-20", "em-sam-50"])
    assert shown(pair) == [
        ("b", (HURT,), 1.0, 0.5), ("c", (WORST,), 0.25, 0.375), ("d", (MEDIAN,), 0.75, 0.625), ("a", (BEST,), 0.5, 1.0),
    ]  # fmt: skip
    view = np.asarray(Image.open(io.BytesIO(base64.b64decode(pair.rows[-1].image.split(",")[1]))))
    side, gap = 128, 4
    zero_shot, finetuned = (view[:, (side + gap) * column :][:, :side].astype(int) for column in (2, 3))
    hit, miss = np.array(canvas.TRUE_POSITIVE), np.array(canvas.FALSE_NEGATIVE)
    where = {"found by both": (16, finetuned, hit), "missed": (48, zero_shot, miss), "now found": (48, finetuned, hit)}
    for words, (y, picture, color) in where.items():
        others = [np.array(other) for other in canvas.OUTCOMES if tuple(other) != tuple(color)]
        distance = np.abs(picture[y, 64] - color).sum()
        assert all(distance < np.abs(picture[y, 64] - other).sum() for other in others), words


def test_all_images_are_shown_that_the_verdict_on_both_runs_calls_worse(project):
    about = Verdict("em", (), {}, ("b", "d"), ("em-sam", "em-sam-20"))
    (pair,) = before_after.pairs([GAIN], [about], project.folders)
    assert shown(pair)[:2] == [("b", (HURT,), 1.0, 0.5), ("d", (HURT, MEDIAN), 0.75, 0.625)]
    twin = Verdict("em", (), {}, ("b", "d"), ("em-sam", "em-sam-50"))  # the same training as em-sam-20
    assert before_after.pairs([GAIN], [twin], project.folders) == [pair]
    other = Verdict("em", (), {}, ("b", "d"), ("em-sam-20",))
    assert shown(before_after.pairs([GAIN], [other], project.folders)[0])[1][0] == "c"


def test_runs_on_other_images_are_an_error(project):
    names = {"zero_shot": "covid-sam", "finetuned": "em-sam"}
    project.add_pair("covid", {"x": 1}, {"x": 2}, **names)
    table = project.scores / "em-sam-20.parquet"
    with pytest.raises(UserError, match=f"^{re.escape(str(table))}: not of the images of em-sam; delete both"):
        before_after.pairs([GAIN], [], project.folders)


def test_a_missing_split_is_named(project):
    path = project.folders.prepared / "fires" / "test.parquet"
    with pytest.raises(UserError, match=re.escape(str(path))):
        before_after.pairs([GAIN | {"dataset": "fires"}], [], project.folders)
