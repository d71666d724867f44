"""What the rows of a curve say."""

import pytest
from promptseg.training import early_stopping


def rows(ious: list, marked: list | None = None, true: float = 0.2) -> list[dict]:
    marked = marked or [true] * len(ious)
    return [
        {"epoch": number, "val_iou": iou, "foreground": 0.5, "true_foreground": 0.5,
         "val_foreground": share, "val_true_foreground": true}
        for number, (iou, share) in enumerate(zip(ious, marked, strict=True), 1)
    ]  # fmt: skip


def test_the_best_is_the_first_of_the_highest_and_the_last_where_none_is_measured():
    assert early_stopping.best(rows([0.1, 0.5, 0.5, 0.2]))["epoch"] == 2
    assert early_stopping.best(rows([None, None, None]))["epoch"] == 3


@pytest.mark.parametrize(
    "ious, patience, stop",
    [([0.5, 0.4], 1, True), ([0.5, 0.4], 2, False), ([0.5, 0.4, 0.5], 2, True), ([0.4, 0.5], 1, False),
     ([0.5, 0.4, 0.3], None, False), ([], 1, False), ([None, None], 1, False)],
)  # fmt: skip
def test_it_is_stalled_when_the_best_lies_patience_epochs_back(ious, patience, stop):
    assert early_stopping.stalled(rows(ious), patience) is stop


@pytest.mark.parametrize(
    "marked, true, is_astray",
    [(0.2, 0.1, False), (0.31, 0.1, True), (0.04, 0.1, False), (0.03, 0.1, True), (1.0, 0.6, True), (0.8, 0.6, False),
     (0.0, 0.01, True), (0.0, 0.0, False)],
)  # fmt: skip
def test_masks_are_astray_beyond_a_factor_or_a_difference(marked, true, is_astray):
    assert early_stopping.foreground_collapse(rows([0.1], [marked], true)[0]) is is_astray


def test_there_is_a_warning_when_they_have_been_astray_twice_and_none_after():
    said = [early_stopping.warning(rows([0.1] * n, [0.2, 0.9, 0.2, 0.9, 0.9, 1.0, 0.2, 1.0, 1.0][:n])) for n in range(1, 10)]
    assert [n for n, line in enumerate(said, 1) if line] == [5, 9]
    assert said[4].startswith("warning: epoch 5: the masks mark 0.900 of the validation pictures where 0.200 is true")


def test_without_a_validation_split_the_training_pictures_say_it():
    ran = [row | {"val_foreground": None, "foreground": 0.9, "true_foreground": 0.1} for row in rows([None, None])]
    assert "0.900 of the train pictures" in early_stopping.warning(ran)
