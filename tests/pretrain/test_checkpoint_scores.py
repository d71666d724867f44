"""Phrase records, and the scores of checkpoints on them and on rendered images."""

import checkpoint_scores
import phrase_records
import pytest
import settings
from promptseg import models
from promptseg.data import records


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    """Folder of phrase records by split."""
    folder = tmp_path_factory.mktemp("phrases")
    config = settings.PhraseSplits(kind="general", train=12, val=2, test=6, support=4, negative_share=0.25)
    for name in ("train", "again", "test", "support"):
        phrase_records.write(config, 0, "train" if name == "again" else name, folder / name)
    return folder


def test_records_have_phrases_with_masks_and_support_images(splits):
    assert (splits / "train").read_bytes() == (splits / "again").read_bytes()
    train = list(records.open_split(splits / "train"))
    assert len(train) == 12 and len({record.id for record in train}) == 12
    assert 2 <= sum(not (records.mask(record) == 1).any() for record in train) <= 3
    for record in [*train, *records.open_split(splits / "support")]:
        image, mask = records.support(record)
        assert record.text and image.shape[:2] == mask.shape
        assert records.mask(record).shape == (record.height, record.width)
        assert mask.any() or not record.id.startswith("support")
        assert (records.mask(record) == 1).any() or not record.id.startswith("support")


def test_sam2_is_scored_like_sam_without_requirements():
    segmenters = {"sam2": models.load("sam2").create("tiny", 0)}
    config = settings.Evaluation(images=1, prompts=2)
    metrics = checkpoint_scores.score_checkpoints(segmenters, config, 0, None, None)
    assert {"sam2_box_iou", "sam2_point_iou"} < metrics.keys() and not metrics["requirements_met"]


def test_clipseg_is_scored_on_phrases_and_support_images(splits):
    segmenters = {"clipseg": models.load("clipseg").create("tiny", 0)}
    metrics = checkpoint_scores.score_checkpoints(segmenters, None, 0, splits / "test", splits / "support")
    names = {"clipseg_text_iou", "clipseg_negative_foreground", "clipseg_support_iou"}
    assert names == metrics.keys() - {"requirements_met"}
    assert all(0 <= metrics[name] <= 1 for name in names)


def test_requirements_are_lower_and_upper_bounds():
    assert checkpoint_scores.requirements_met({"sam_box_iou": 0.85, "clipseg_negative_foreground": 0.03}) == {
        "sam_box_iou": True, "clipseg_negative_foreground": False,
    }  # fmt: skip
