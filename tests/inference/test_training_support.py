"""Support images that are taken from the training split."""

import json

import numpy as np
import pytest
from promptseg import models
from promptseg.core.runs import Run
from promptseg.data import image_io, records
from promptseg.inference import prediction, training_support
from promptseg.inference.class_maps import predict_classes
from promptseg.nn import weights
from promptseg.prompts import Prompt, PromptConfig
from promptseg.prompts.support import Support
from refusing import refused

SIDE = 40
RNG = np.random.default_rng(0)


def write(path, masks: dict[str, np.ndarray], classes=("a", "b"), seed: int = 0):
    """A split of random images with these masks, a group each."""
    with records.RecordWriter(path, records.Record, {"classes": list(classes), "seed": seed, "score": "image"}) as out:
        for id, mask in masks.items():
            image = np.random.default_rng(len(id) + ord(id[-1])).integers(0, 256, (*mask.shape, 3), np.uint8)
            files, size = (image_io.encode_png(image), image_io.encode_png(mask)), mask.shape
            foreground = int(np.count_nonzero((mask > 0) & (mask < 255)))
            out.add(records.Record(id, f"g{id}", *files, *size, id, 0, 0, *size, foreground=foreground))
    return path


def mask_of(area: float, target: int = 1) -> np.ndarray:
    """A mask whose first pixels, such a share of all, are of a class."""
    mask = np.zeros(SIDE * SIDE, np.uint8)
    mask[: round(area * mask.size)] = target
    return mask.reshape(SIDE, SIDE)


def prompt(shots: int = 1, **settings) -> PromptConfig:
    return PromptConfig.model_validate({"support": {"from": "train", "shots": shots}, **settings})


def ids(chosen, target: int) -> list[str]:
    return [id for id, _ in chosen.by_class[target]]


def test_records_that_show_the_class_in_a_suitable_size_come_first(tmp_path):
    areas = {"tiny": 0.001, "huge": 0.9, "none": 0.0, "small": 0.01, "half": 0.5}
    path = write(tmp_path / "train", {id: mask_of(area) for id, area in areas.items()})
    chosen = training_support.choose(prompt(3), path)
    assert set(ids(chosen, 1)[:2]) == {"small", "half"} and set(ids(chosen, 1)[2:]) == {"tiny", "huge"}
    assert chosen.by_class[2] == []
    support = chosen.for_record("test")
    assert len(support[1]) == 3 and support[2] == ()
    image = {id: image for id, image in chosen.by_class[1]}["half"]
    np.testing.assert_array_equal(image.mask, mask_of(0.5) == 1)


def test_they_are_the_same_for_all_images_but_a_training_image_is_not_shown_to_itself(tmp_path):
    path = write(tmp_path / "train", {f"r{number}": mask_of(0.2) for number in range(8)})
    chosen = training_support.choose(prompt(3), path)
    first, second, third, spare = (image for _, image in chosen.by_class[1])
    assert chosen.for_record("test/0")[1] == chosen.for_record("test/1")[1] == (first, second, third)
    assert chosen.for_record(ids(chosen, 1)[1])[1] == (first, third, spare)


def test_classes_and_seeds_have_others_and_more_shots_keep_the_fewer(tmp_path):
    both = np.maximum(mask_of(0.2), np.flipud(mask_of(0.2, 2)))
    masks = {f"r{number}": both for number in range(12)}
    chosen = training_support.choose(prompt(5), write(tmp_path / "zero", masks))
    assert ids(chosen, 1) != ids(chosen, 2)
    assert ids(training_support.choose(prompt(5), write(tmp_path / "one", masks, seed=1)), 1) != ids(chosen, 1)
    assert ids(training_support.choose(prompt(1), tmp_path / "zero"), 1) == ids(chosen, 1)[:2]


def test_of_a_run_that_was_trained_on_a_part_they_are_from_that_part(tmp_path):
    path = write(tmp_path / "train", {f"r{number}": mask_of(0.2) for number in range(12)})
    quarter, half, whole = (set(ids(training_support.choose(prompt(16), path, f), 1)) for f in (0.25, 0.5, 1.0))
    assert (len(quarter), len(half), len(whole)) == (3, 6, 12) and quarter < half < whole


@pytest.mark.parametrize("masks", [{}, {"r": mask_of(0.0)}], ids=["no images", "no mask"])
def test_a_training_split_that_shows_nothing_is_refused_in_one_line(tmp_path, masks):
    path = write(tmp_path / "train", masks)
    message = f"{path}: no image has a mask, as `support: {{from: train}}` needs; prompt by text"
    refused(lambda: training_support.choose(prompt(), path), message)


@pytest.mark.parametrize("settings", [{"support": True}, {"text": ["a", "b"]}])
def test_other_prompts_take_none_and_do_not_open_the_split(tmp_path, settings):
    assert training_support.choose(PromptConfig(**settings), tmp_path / "nothing") is None


def test_a_run_is_prompted_with_them(tmp_path):
    """And a class that no training image shows is not prompted for."""
    train = write(tmp_path / "train", {f"r{number}": mask_of(0.2) for number in range(4)})
    test = write(tmp_path / "test", {"x": mask_of(0.3), "y": mask_of(0.0)})
    model = models.load("clipseg").create("tiny", 0)
    weights.write(tmp_path / "w", model.configuration(), model.state_dict(), model.files())
    run = Run(dataset="em", model="clipseg", prompt=prompt(2))
    inputs = prediction.Inputs(test, tmp_path / "w", tmp_path / "e", train=train)
    prediction.predict(run, inputs, tmp_path / "out.parquet")
    rows = records.open_predictions(tmp_path / "out.parquet")
    assert rows.metadata["prompt"] == {"support": {"from": "train", "shots": 2}} and rows.metadata["oracle"] is False
    assert [json.loads(row.prompts) for row in rows] == [[{"target": 1, "support": 1.0, "shots": 2}]] * 2
    images = training_support.choose(run.prompt, train).for_record("x")[1]
    features = model.encode([records.image(records.open_split(test)[0])])
    features = {name: values.half().float() for name, values in features.items()}  # as cached
    expected = Prompt.of(Support(images, ("darken", "blur", "crop"), 1.0))
    assert rows[0].probability == predict_classes(model, features, [expected], (2, SIDE, SIDE)).packed()
