"""Scores against torchmetrics, against rules written out by hand, and at the edges: nothing, everything, ignored."""

import math

import numpy as np
import pandas
import pyarrow.parquet
import pytest
import torch
import torchmetrics.classification as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from promptseg.core.errors import UserError
from promptseg.evaluation import scores
from promptseg.evaluation.scores import COUNTS, IGNORED, Scores


def binary(truth, value) -> tuple[np.ndarray, np.ndarray]:
    """Truth and probability map from rows of 0, 1, 255 and of values in [0, 255]."""
    return np.array(truth, np.uint8), np.array([value], np.uint8)


def one_row(iou_parts: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A picture of one row with so many true positives, false positives and misses."""
    tp, fp, fn = iou_parts
    return binary([[1] * tp + [0] * fp + [1] * fn], [[255] * (tp + fp) + [0] * fn])


@st.composite
def pictures(draw, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Truth with ignored pixels, probabilities that are not independent of it, and which pixels count."""
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    known = draw(st.sets(st.integers(0, classes), min_size=1))
    truth = generator.choice(sorted(known), (height, width)).astype(np.uint8)
    probability = generator.integers(0, 256, (classes, height, width), dtype=np.uint8)
    for label in range(1, classes + 1):
        sure = (truth == label) & (generator.random((height, width)) < 0.6)
        probability[label - 1][sure] = generator.integers(120, 256, sure.sum())
    truth[generator.random((height, width)) < draw(st.sampled_from([0, 0.2]))] = IGNORED
    valid = draw(st.sampled_from([None, generator.random((height, width)) < 0.8]))
    return truth, probability, valid


def kept(truth, probability, valid) -> tuple[torch.Tensor, torch.Tensor]:
    """The counted pixels: labels (n,) and probabilities (K, n), as torchmetrics takes them."""
    counted = truth != IGNORED if valid is None else (truth != IGNORED) & valid
    return torch.from_numpy(truth[counted].astype(np.int64)), torch.from_numpy(probability[:, counted])


def band_by_hand(mask: np.ndarray) -> set[tuple[int, int]]:
    """mask_to_boundary of Cheng et al. 2021, pixel by pixel."""
    distance = max(1, int(round(0.02 * np.sqrt(mask.shape[0] ** 2 + mask.shape[1] ** 2))))
    inside = {tuple(place) for place in np.argwhere(mask).tolist()}
    steps = range(-distance, distance + 1)
    return {(y, x) for y, x in inside if any((y + i, x + j) not in inside for i in steps for j in steps)}


@settings(deadline=None)
@given(pictures(1), st.sampled_from([0.05, 0.3, 0.5, 0.501, 0.75]))
def test_binary_scores_are_those_of_torchmetrics(picture, threshold):
    labels, values = kept(*picture)
    ours = scores.compute_metrics(scores.count(*picture[:2], 1, picture[2], threshold)[0])
    if not (labels.any() or (values >= 256 * threshold).any()):
        assert set(map(float, ours.values())) == {1.0}  # torchmetrics calls agreement on nothing 0
        return
    guess = (values[0] >= 256 * threshold).long()
    for key, metric in {
        "iou": oracle.BinaryJaccardIndex(),
        "dice": oracle.BinaryF1Score(),
        "accuracy": oracle.BinaryAccuracy(),
        "precision": oracle.BinaryPrecision(),
        "recall": oracle.BinaryRecall(),
    }.items():
        assert ours[key] == pytest.approx(metric(guess, labels).item(), abs=1e-6), key


@settings(deadline=None, max_examples=50)
@given(st.lists(pictures(3), min_size=1, max_size=3))
def test_pooled_scores_of_several_classes_are_those_of_torchmetrics(several):
    ours, labels, guesses = Scores(["a", "b", "c"]), [], []
    for number, picture in enumerate(several):
        ours.add(str(number), "g", *picture)
        label, values = kept(*picture)
        labels.append(label)
        best, where = values.long().max(dim=0)
        guesses.append(torch.where(best >= 128, where + 1, 0))
    labels, guesses = torch.cat(labels), torch.cat(guesses)
    if len(labels) == 0:
        return
    pooled = ours.summary(0)
    seen = [label for label in (1, 2, 3) if ((labels == label) | (guesses == label)).any()]
    for key, kind in {
        "iou_pooled": oracle.MulticlassJaccardIndex,
        "dice_pooled": oracle.MulticlassF1Score,
        "precision": oracle.MulticlassPrecision,
        "recall": oracle.MulticlassRecall,
    }.items():
        values = kind(num_classes=4, average="none")(guesses, labels)
        expected = values[seen].mean().item() if seen else 1.0
        assert pooled[key] == pytest.approx(expected, abs=2e-6), key


@settings(deadline=None)
@given(st.lists(pictures(1), min_size=1, max_size=3))
def test_average_precision_and_curve_are_those_of_torchmetrics(several):
    ours = Scores(["a"])
    for number, picture in enumerate(several):
        ours.add(str(number), "g", *picture)
    parts = [kept(*picture) for picture in several]
    labels = torch.cat([label for label, _ in parts])
    values = torch.cat([value[0] for _, value in parts])
    if len(labels) == 0:
        with pytest.raises(UserError, match="nothing to score"):
            ours.curve()
        return
    summary, curve = ours.summary(0), ours.curve()
    assert [row["threshold"] for row in curve] == pytest.approx(np.arange(1, 20) * 0.05)
    assert curve[9]["threshold"] == 0.5 and curve[9]["iou"] == summary["iou_pooled"]
    if not labels.any():
        assert "average_precision" not in summary
        return
    expected = oracle.BinaryAveragePrecision()(values.double() / 255, labels).item()
    assert summary["average_precision"] == pytest.approx(expected, abs=2e-6)
    for row in curve:
        guess = (values >= 256 * row["threshold"]).long()
        assert row["iou"] == pytest.approx(oracle.BinaryJaccardIndex()(guess, labels).item(), abs=2e-6)
        assert row["precision"] == pytest.approx(oracle.BinaryPrecision()(guess, labels).item(), abs=2e-6)
        assert row["recall"] == pytest.approx(oracle.BinaryRecall()(guess, labels).item(), abs=2e-6)


@settings(deadline=None, max_examples=50)
@given(pictures(3))
def test_curve_and_average_precision_of_several_classes_are_the_mean_of_one_against_the_rest(picture):
    labels, values = kept(*picture)
    if len(labels) == 0:
        return
    ours = Scores(["a", "b", "c"])
    ours.add("x", "g", *picture)
    present = [i for i in range(3) if (labels == i + 1).any()]
    average = [oracle.BinaryAveragePrecision()(values[i].double() / 255, (labels == i + 1).long()) for i in present]
    if average:
        assert ours.summary(0)["average_precision"] == pytest.approx(np.mean(average), abs=2e-6)
    for row in ours.curve():
        pairs = [(values[i] >= 256 * row["threshold"], labels == i + 1) for i in range(3)]
        overlaps = [((a & b).sum() / (a | b).sum()).item() for a, b in pairs if (a | b).any()]
        assert row["iou"] == pytest.approx(np.mean(overlaps) if overlaps else 1.0, abs=2e-6)


@settings(deadline=None)
@given(st.integers(1, 3).flatmap(pictures))
def test_boundary_counts_are_those_of_the_paper(picture):
    truth, probability, valid = picture
    counts = scores.count(truth, probability, len(probability), valid)
    guess = scores.predicted(probability)
    counted = truth != IGNORED if valid is None else (truth != IGNORED) & valid
    for label, row in enumerate(counts, start=1):
        bands = [band_by_hand(counted & (labels == label)) for labels in (truth, guess)]
        assert row[4:].tolist() == [len(bands[0] & bands[1]), len(bands[0] | bands[1])]


@settings(deadline=None)
@given(st.integers(1, 3).flatmap(pictures))
def test_a_perfect_prediction_scores_one_whatever_is_ignored(picture):
    truth, probability, valid = picture
    perfect = np.stack([np.where(truth == label, 255, 0) for label in range(1, len(probability) + 1)]).astype(np.uint8)
    perfect[:, truth == IGNORED] = probability[:, truth == IGNORED]  # what stands there must not matter
    for values in scores.compute_metrics(scores.count(truth, perfect, len(perfect), valid)).values():
        assert (values == 1.0).all()


def test_predicted_takes_the_lower_class_of_equals_and_background_below_the_threshold():
    probability = np.array([[[200, 100, 127, 128]], [[200, 130, 90, 128]], [[10, 131, 0, 128]]], np.uint8)
    assert scores.predicted(probability).tolist() == [[1, 3, 0, 1]]
    assert scores.predicted(probability, 0.78).tolist() == [[1, 0, 0, 0]]  # 0.78 * 256 = 199.7
    assert scores.predicted(probability, 0.79).tolist() == [[0, 0, 0, 0]]  # 0.79 * 256 = 202.2
    assert scores.predicted(np.array([[[127, 128, 129]]], np.uint8)).tolist() == [[0, 1, 1]]


@pytest.mark.parametrize(
    ("truth", "value", "expected"),
    [
        ([[0, 0], [0, 0]], [[0, 0], [0, 0]], {"iou": 1, "dice": 1, "precision": 1, "recall": 1, "boundary_iou": 1}),
        ([[1, 1], [1, 1]], [[255, 255], [255, 255]], {"iou": 1, "tp": 4, "tn": 0, "boundary_iou": 1}),
        ([[1, 1], [1, 1]], [[0, 0], [0, 0]], {"iou": 0, "precision": 0, "recall": 0, "fn": 4, "boundary_iou": 0}),
        ([[0, 0], [0, 0]], [[255, 0], [0, 0]], {"iou": 0, "precision": 0, "recall": 0, "fp": 1, "accuracy": 0.75}),
        ([[1]], [[128]], {"iou": 1, "tp": 1, "boundary_intersection": 1, "boundary_union": 1}),
        ([[1, 255, 0]], [[255, 255, 0]], {"tp": 1, "fp": 0, "fn": 0, "tn": 1, "boundary_union": 1}),
        ([[255, 255]], [[255, 0]], {"tp": 0, "fp": 0, "fn": 0, "tn": 0, "iou": 1, "boundary_union": 0}),
        ([[1, 1, 0]], [[255, 0, 255]], {"tp": 1, "fp": 1, "fn": 1, "tn": 0, "iou": 0.333333, "dice": 0.5}),
    ],
    ids=["empty", "full", "missed", "false-alarm", "one-pixel", "ignored", "all-ignored", "mixed"],
)
def test_edges(truth, value, expected):
    ours = Scores(["a"])
    ours.add("x", "g", *binary(truth, value))
    (row,) = ours.rows()
    assert {key: row[key] for key in expected} == pytest.approx(expected, abs=1e-6)
    assert all(math.isfinite(row[key]) for key in row if key not in ("id", "group", "class"))


def test_summary_keeps_pooled_and_mean_of_pictures_apart():
    ours = Scores(["a"])
    ours.add("x", "g1", *one_row((8, 1, 1)))
    ours.add("y", "g2", *one_row((0, 0, 2)))
    ours.add("z", "g2", *binary([[0, 0]], [[0, 0]]))
    summary = ours.summary(0)
    assert summary["iou_mean"] == round((0.8 + 0.0 + 1.0) / 3, 6)
    assert summary["iou_pooled"] == round(8 / 12, 6)
    assert summary["dice_mean"] == round((16 / 18 + 0.0 + 1.0) / 3, 6)
    assert summary["dice_pooled"] == 0.8
    assert (summary["precision"], summary["recall"]) == (round(8 / 9, 6), round(8 / 11, 6))
    assert (summary["pictures"], summary["groups"]) == (3, 2)
    assert all(type(value) in (float, int) for value in summary.values())


def test_a_class_that_is_not_there_does_not_flatter_the_mean():
    ours = Scores(["a", "b", "never"])
    ours.add("x", "g", np.array([[1, 1, 0]], np.uint8), np.array([[[255, 0, 0]], [[0] * 3], [[0] * 3]], np.uint8))
    ours.add("y", "g", np.array([[2, 2, 2]], np.uint8), np.array([[[0] * 3], [[255] * 3], [[0] * 3]], np.uint8))
    assert ours.summary(0)["iou_mean"] == 0.75  # a: 0.5 in x alone; b: 1.0 in y alone
    assert ours.summary(0)["iou_pooled"] == 0.75
    assert [row["iou"] for row in ours.rows() if row["class"] == "never"] == [1.0, 1.0]


def test_pictures_of_background_alone_agree():
    ours = Scores(["a", "b"])
    for name in "xy":
        ours.add(name, name, np.zeros((2, 2), np.uint8), np.zeros((2, 2, 2), np.uint8))
    summary = ours.summary(0)
    assert summary["iou_mean"] == summary["iou_pooled"] == summary["boundary_iou"] == 1.0
    assert "iou_low" not in summary and "average_precision" not in summary


def test_a_picture_without_a_counted_pixel_is_left_out():
    ours = Scores(["a"])
    ours.add("x", "g1", *one_row((1, 0, 1)))
    ours.add("y", "g2", *binary([[255]], [[255]]))
    assert ours.summary(0)["iou_mean"] == 0.5
    assert (ours.summary(0)["pictures"], ours.summary(0)["groups"]) == (1, 1)
    assert len(ours.rows()) == 2


def test_the_interval_is_that_of_groups_not_of_pictures():
    ours = Scores(["a"])
    for number in range(30):
        ours.add(f"good {number}", "g1", *one_row((1, 0, 0)))
    ours.add("bad", "g2", *one_row((0, 0, 1)))
    summary = ours.summary(0)
    # A quarter of all draws takes g2 twice, another g1 twice. Drawn by pictures, the mean would stay above 0.8.
    assert (summary["iou_low"], summary["iou_high"]) == (0.0, 1.0)
    assert summary["iou_mean"] == round(30 / 31, 6)


def test_the_interval_of_many_groups_is_that_of_the_normal_law():
    ours = Scores(["a"])
    for number in range(400):
        ours.add(str(number), str(number), *one_row((1, 0, 0) if number % 2 else (0, 0, 1)))
    summary = ours.summary(3)
    spread = 1.96 * 0.5 / math.sqrt(400)
    assert summary["iou_low"] == pytest.approx(0.5 - spread, abs=0.006)
    assert summary["iou_high"] == pytest.approx(0.5 + spread, abs=0.006)


def test_the_interval_depends_on_the_seed_alone():
    generator = np.random.default_rng(1)
    units = [(str(number), str(number % 7), *one_row(tuple(generator.integers(1, 9, 3)))) for number in range(40)]
    forward, backward = Scores(["a"]), Scores(["a"])
    for unit in units:
        forward.add(*unit)
    for unit in reversed(units):
        backward.add(*unit)
    assert forward.summary(5) == forward.summary(5) == backward.summary(5)
    assert forward.summary(5)["iou_low"] != forward.summary(6)["iou_low"]
    assert forward.summary(5)["iou_low"] <= forward.summary(5)["iou_mean"] <= forward.summary(5)["iou_high"]


def test_the_interval_leaves_out_classes_that_a_draw_lacks():
    ours = Scores(["a", "b"])
    blank = np.zeros((2, 1, 1), np.uint8)
    for name, label in (("x", 1), ("y", 2)):
        found = blank.copy()
        found[label - 1] = 255
        ours.add(name, name, np.full((1, 1), label, np.uint8), found)
    ours.add("z", "z", np.zeros((1, 1), np.uint8), blank)
    assert (ours.summary(0)["iou_low"], ours.summary(0)["iou_high"]) == (1.0, 1.0)


def test_one_group_has_no_interval():
    ours = Scores(["a"])
    ours.add("x", "g", *one_row((1, 1, 0)))
    ours.add("y", "g", *one_row((1, 0, 0)))
    assert not {"iou_low", "iou_high"} & set(ours.summary(0))


def test_nothing_to_score_is_a_problem(tmp_path):
    with pytest.raises(UserError, match="nothing to score"):
        Scores(["a"]).summary(0)
    with pytest.raises(UserError, match="nothing to score"):
        Scores(["a"]).curve()
    with pytest.raises(UserError, match="no scores to write"):
        scores.write_table([], tmp_path / "scores.parquet")


@pytest.mark.parametrize(
    ("truth", "probability", "valid", "words"),
    [
        (np.zeros((2, 3)), np.zeros((1, 2, 2)), None, r"\(1, 2, 3\) by classes and mask, got \(1, 2, 2\)"),
        (np.zeros((2, 3)), np.zeros((2, 2, 3)), None, r"\(1, 2, 3\) by classes and mask, got \(2, 2, 3\)"),
        (np.zeros((2, 3)), np.zeros((2, 3)), None, r"got \(2, 3\)"),
        (np.zeros((1, 2, 3)), np.zeros((1, 2, 3)), None, r"mask should be \(h, w\)"),
        (np.zeros((2, 3)), np.zeros((1, 2, 3)), np.ones((3, 2), bool), "valid pixels should be"),
        (np.full((2, 3), 2), np.zeros((1, 2, 3)), None, "label 2 in the mask"),
    ],
    ids=["size", "classes", "flat", "deep", "valid", "label"],
)
def test_what_does_not_fit_is_a_problem_that_names_the_picture(truth, probability, valid, words):
    ours = Scores(["a"])
    with pytest.raises(UserError, match="^some/picture: .*" + words):
        ours.add("some/picture", "g", truth.astype(np.uint8), probability.astype(np.uint8), valid)
    assert ours.rows() == []


def test_wrong_dtypes_ids_and_thresholds_are_refused():
    truth, probability = binary([[1]], [[255]])
    ours = Scores(["a"])
    for wrong in (
        (truth.astype(bool), probability),
        (truth, probability / 255),
        (truth, probability, np.ones((1, 1), np.uint8)),
    ):
        with pytest.raises(TypeError):
            ours.add("x", "g", *wrong)
    ours.add("x", "g", truth, probability)
    with pytest.raises(UserError, match="x: scored twice"):
        ours.add("x", "g", truth, probability)
    with pytest.raises(UserError, match="threshold"):
        Scores(["a"], threshold=1.0)


def filled() -> list[dict]:
    ours = Scores(["a", "b"])
    generator = np.random.default_rng(0)
    for name in ("b/2", "a/10", "a/9"):
        truth = generator.integers(0, 3, (8, 9), dtype=np.uint8)
        ours.add(name, name[0], truth, generator.integers(0, 256, (2, 8, 9), dtype=np.uint8))
    return ours.rows()


def test_the_table_has_one_row_a_picture_and_class_in_the_order_of_the_pictures(tmp_path):
    scores.write_table(filled(), tmp_path / "scores.parquet")
    table = pandas.read_parquet(tmp_path / "scores.parquet")
    assert list(table.columns[:9]) == ["id", "group", "class", *COUNTS]
    assert list(table.columns[9:]) == ["iou", "dice", "accuracy", "precision", "recall", "boundary_iou"]
    assert list(zip(table["id"], table["class"], strict=True)) == [
        (name, label) for name in ("b/2", "a/10", "a/9") for label in "ab"
    ]
    assert (table[["tp", "fp", "fn", "tn"]].sum(axis=1) == 72).all()
    assert table.to_dict("records") == filled()
    assert table["tp"].dtype == np.int64 and table["iou"].dtype == np.float64


def test_the_same_rows_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        scores.write_table(filled(), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_flipped_byte_in_the_table_is_noticed(tmp_path):
    path = tmp_path / "scores.parquet"
    scores.write_table(filled(), path)
    column = pyarrow.parquet.ParquetFile(path).metadata.row_group(0).column(COUNTS.index("tp") + 3)
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(OSError, match="CRC"):
        pandas.read_parquet(path, page_checksum_verification=True)
