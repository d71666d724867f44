"""Floors: the very pixels of the box, all, none, or random ones; as a run, by the stages that all models go through."""

import numpy as np
import pytest
from promptseg import models
from promptseg.core.params import Model, Scale
from promptseg.core.runs import Run
from promptseg.data import masks, records
from promptseg.download import checkpoints
from promptseg.inference import prediction
from promptseg.models.random_mask import RandomMask
from promptseg.nn.trivial import TrivialSegmenter
from promptseg.prompts import Prompt, PromptConfig, PromptSource, build_prompts
from promptseg.prompts.box import Box
from refusing import refused

NAMES = [name for name in models.names() if issubclass(models.load(name), TrivialSegmenter)]
SHAPE = (7, 10)


def image(seed: int = 0, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def maps(
    model: TrivialSegmenter, prompts: list[Prompt], classes: int = 1, seed: int = 0, shape: tuple[int, int] = SHAPE
) -> np.ndarray:
    """Masks (classes, h, w) of an image, those of several prompts for a class united."""
    inputs = [prompt.to_model(model.transform, *shape) for prompt in prompts]
    logits = model.transform.to_image(model.decode(model.encode([image(seed, shape)]), [inputs])[0], *shape)
    out = np.zeros((classes, *shape), bool)
    for prompt, values in zip(prompts, logits.numpy(), strict=True):
        out[prompt.target - 1] |= values > 0
    return out


def test_there_are_four():
    assert NAMES == ["filled_box", "nothing", "random_mask", "whole_image"]


@pytest.mark.parametrize(
    "corners, columns, rows",
    [
        ([2, 1, 6, 4], range(2, 7), range(1, 5)),
        ([3, 5, 3, 5], [3], [5]),  # around a single pixel
        ([0, 0, 9, 6], range(10), range(7)),
        ([1.2, 0.5, 4.9, 3.0], range(2, 5), range(1, 4)),  # jittered: pixels that are inside as a whole
        ([0, 0, 10, 7], range(10), range(7)),
    ],
)
def test_a_filled_box_has_the_pixels_from_the_first_to_the_last_of_the_box(corners, columns, rows):
    expected = np.zeros(SHAPE, bool)
    expected[np.ix_(rows, columns)] = True
    found = maps(models.load("filled_box").create("tiny", 0), [Prompt.of(Box(np.array(corners, float)))])
    np.testing.assert_array_equal(found, expected[None])


def test_filled_boxes_of_instances_are_united_and_cover_their_objects():
    mask = np.zeros(SHAPE, np.uint8)
    mask[1, 1:3] = mask[2, 2] = mask[5, 6:9] = 1
    prompts, _ = build_prompts(PromptConfig(box=True, per="instance"), PromptSource("a", mask, ["cell"], 0))
    expected = np.zeros(SHAPE, bool)
    expected[1:3, 1:3] = expected[5, 6:9] = True
    found = maps(models.load("filled_box").create("tiny", 0), prompts)
    np.testing.assert_array_equal(found, expected[None])
    whole, _ = build_prompts(PromptConfig(box=True), PromptSource("a", mask, ["cell"], 0))
    found = maps(models.load("filled_box").create("tiny", 0), whole)[0]
    assert masks.bounding_box(found) == (1, 1, 9, 6) and found.sum() == 8 * 5


def test_the_whole_image_is_of_class_1_and_nothing_of_none():
    for classes in (1, 3):
        prompts = [Prompt(target) for target in range(1, classes + 1)]
        whole = maps(models.load("whole_image").create("tiny", 0), prompts, classes)
        assert whole[0].all() and not whole[1:].any()
        assert not maps(models.load("nothing").create("tiny", 0), prompts, classes).any()


def test_a_random_mask_has_one_label_a_pixel_each_as_often():
    labels = maps(RandomMask(0, classes=3), [Prompt(target) for target in (1, 2, 3)], 3, shape=(300, 400))
    assert labels.sum(axis=0).max() == 1
    shares = labels.mean(axis=(1, 2))
    assert np.abs(shares - 1 / 4).max() < 5 * np.sqrt(1 / 4 * 3 / 4 / 120_000)
    assert abs((labels[:, 1:] & labels[:, :-1]).mean() - 1 / 16) < 0.005  # neighbors are independent
    assert abs(maps(RandomMask(0), [Prompt()]).mean() - 1 / 2) < 5 / np.sqrt(4 * 70)


def test_a_random_mask_follows_from_seed_and_image_alone():
    mask, again = (maps(RandomMask(0), [Prompt()]) for _ in range(2))
    assert np.array_equal(mask, again)
    others = maps(RandomMask(1), [Prompt()]), maps(RandomMask(0), [Prompt()], seed=1)
    assert all(0.2 < (mask != other).mean() < 0.8 for other in others)


@pytest.mark.parametrize("name", NAMES)
def test_a_floor_is_a_run_like_any_other(name, blobs, tmp_path):
    """On images of another size than 256, from the checkpoint of either source to predictions of the right pixels."""
    split, found = blobs("test", 3, size=(48, 60)), {}
    for source in ("tiny", "official"):
        checkpoints.obtain(name, Model(), Scale(checkpoints=source), 4, tmp_path / source)
        config = PromptConfig(box=True) if name == "filled_box" else PromptConfig()
        inputs = prediction.Inputs(split, tmp_path / source, tmp_path / "embeddings")
        prediction.predict(Run(dataset="em", model=name, prompt=config), inputs, tmp_path / f"{source}.parquet")
        found[source] = (tmp_path / f"{source}.parquet").read_bytes()
    assert found["tiny"] == found["official"] and not (tmp_path / "embeddings").exists()
    predicted = records.open_predictions(tmp_path / "tiny.parquet")
    assert predicted.metadata["oracle"] is (name == "filled_box")
    for record, row in zip(records.open_split(split), predicted, strict=True):
        inside, truth = records.unpack(row, 1)[0] >= 128, records.mask(record) == 1
        if name == "filled_box":
            ys, xs = np.nonzero(truth)
            truth[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1] = True
            np.testing.assert_array_equal(inside, truth)
        else:
            shares = {"whole_image": 1.0, "nothing": 0.0}
            assert inside.mean() == shares.get(name, inside.mean()) and inside.shape == (48, 60)
    loaded = models.load(name).load(tmp_path / "tiny", 3)
    assert (loaded.classes, int(loaded.seed)) == (3, 4)
    refused(lambda: models.load(name).convert(tmp_path), f"{name} has no released weights")
