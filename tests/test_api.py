"""`promptseg.load(...).segment(...)`: the results of the stages, for files, arrays and Pillow's images alike."""

import subprocess
import sys

import numpy as np
import promptseg
import pytest
from PIL import Image
from promptseg import models
from promptseg.core import params
from promptseg.download import checkpoints
from promptseg.inference.class_maps import predict_classes
from promptseg.nn import finetuned_weights, weights
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.exemplars import Exemplars
from promptseg.prompts.points import Points
from promptseg.prompts.text import Text
from refusing import refused


@pytest.fixture(scope="module")
def sam():
    return promptseg.load("sam", source="tiny")


@pytest.fixture
def image():
    y, x = np.mgrid[:96, :128]
    disc = (x - 60) ** 2 + (y - 40) ** 2 < 400
    return np.where(disc[..., None], [200, 60, 40], [20, 90, 60]).astype(np.uint8)


def points(coordinates, labels):
    return Points(np.array(coordinates, float), np.array(labels))


BOX = Box(np.array([40.0, 20, 80, 60]))
CORNERS = [40, 20, 80, 60]


@pytest.mark.parametrize(
    "name, given, parts",
    [
        ("sam", {"points": [[60, 40]], "negative_points": [[5, 5]]}, [points([[60, 40], [5, 5]], [1, 0])]),
        *((name, {**given, "box": CORNERS}, [part, BOX]) for name in ("sam", "sam2") for given, part in (
            ({"points": [[60, 40]], "negative_points": [[5, 5]]}, points([[60, 40], [5, 5]], [1, 0])),
            ({"points": [[60, 40], [62, 30]]}, points([[60, 40], [62, 30]], [1, 1])),
            ({"negative_points": [[70, 55]]}, points([[70, 55]], [0])),
        )),
    ],
)  # fmt: skip
def test_points_and_a_box_are_one_prompt_and_give_mask_probability_and_score(name, given, parts, image):
    model = promptseg.load(name, source="tiny")
    result = model.segment(image, **given)
    features = model.segmenter.encode([image])
    expected = predict_classes(model.segmenter, features, [Prompt.of(*parts)], (1, 96, 128)).probability
    assert np.array_equal(result.probability, expected) and result.classes == ["object"]
    assert not np.array_equal(result.probability, model.segment(image, box=CORNERS).probability)
    assert result.mask.shape == (96, 128) and result.mask.dtype == np.uint8 and set(np.unique(result.mask)) <= {0, 1}
    assert np.array_equal(result.mask == 1, result.probability[0] >= 0.5)
    inside = result.probability[0][result.mask == 1]
    assert result.score == (pytest.approx(inside.mean()) if inside.size else 0.0)


def test_files_arrays_and_images_of_pillow_are_alike(sam, image, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(image).save(path)
    boxes = [CORNERS, [90, 60, 120, 90]]
    expected = sam.segment(image, box=boxes).probability
    for given in (path, str(path), Image.fromarray(image)):
        assert np.array_equal(sam.segment(given, box=boxes).probability, expected)
    single = [sam.segment(image, box=box).probability for box in boxes]
    np.testing.assert_allclose(expected, np.maximum(*single), atol=1e-5)
    refused(lambda: sam.segment(path, points=[[128, 5]]), f"{path}: the point 128,5 is outside")


def test_a_phrase_is_a_class(image):
    model = promptseg.load("clipseg", source="tiny")
    result = model.segment(image, text=["red circle", "green"], threshold=0.01)
    assert result.classes == ["red circle", "green"] and result.probability.shape == (2, 96, 128)
    one = model.segment(image, text="red circle")
    np.testing.assert_allclose(one.probability[0], result.probability[0], atol=1e-5)


@pytest.mark.parametrize("name", ["owlv2", "grounding_dino"])
def test_a_detector_returns_its_boxes_as_masks(name, image):
    model = promptseg.load(name, source="tiny")
    result = model.segment(image, text=["red circle", "green"], threshold=0.3)
    image_prompts = [Prompt.of(Text(phrase), target=n) for n, phrase in enumerate(result.classes, 1)]
    maps = predict_classes(model.segmenter, model.segmenter.encode([image]), image_prompts, (2, 96, 128))
    for detections, probability in zip(maps.detections, result.probability, strict=True):
        assert probability.max() == pytest.approx(detections.probability[0], abs=1e-5)
        apart = np.abs(np.unique(probability)[:, None] - np.append(detections.probability, 0.0)).min(axis=1)
        assert apart.max() < 1e-5, "each pixel has the value of a box, or none"
        x, y = detections.boxes[0].reshape(2, 2).mean(axis=0).astype(int)
        assert probability[y, x] == probability.max()
    assert result.mask.any()


def test_phrases_that_are_together_are_read_as_one_prompt(image):
    model = promptseg.load("grounding_dino", source="tiny")
    result = model.segment(image, text=["red circle", "green"], together=True)
    image_prompts = [Prompt.of(Text(phrase), target=n, together=True) for n, phrase in enumerate(result.classes, 1)]
    expected = predict_classes(model.segmenter, model.segmenter.encode([image]), image_prompts, (2, 96, 128))
    np.testing.assert_array_equal(result.probability, expected.probability)
    assert not np.allclose(result.probability, model.segment(image, text=["red circle", "green"]).probability)
    refused(lambda: promptseg.load("clipseg", source="tiny").segment(image, text="a", together=True), "by itself")


def test_exemplars_are_one_prompt_with_a_phrase_or_without(image):
    model = promptseg.load("sam3", source="tiny")
    shown = Exemplars.of([CORNERS], [[0, 0, 9, 9]])
    for parts, given in (([shown], {}), ([Text("a disc"), shown], {"text": "a disc"})):
        result = model.segment(image, exemplars=[CORNERS], negative_exemplars=[[0, 0, 9, 9]], **given)
        features = model.segmenter.encode([image])
        expected = predict_classes(model.segmenter, features, [Prompt.of(*parts)], (1, 96, 128)).probability
        assert np.array_equal(result.probability, expected) and result.classes == [given.get("text", "object")]
    refused(lambda: model.segment(image, exemplars=[CORNERS], text=["a", "b"]), "exemplars: with them give one text")
    refused(lambda: model.segment(image, exemplars=[CORNERS], box=CORNERS), "given: box and exemplars")
    refused(lambda: model.segment(image, negative_exemplars=[CORNERS]), "negative exemplars say what is not meant")
    refused(lambda: model.segment(image, exemplars=[[0, 0, 200, 9]]), "image: the box 0,0,200,9 exceeds the image")


def test_a_checkpoint_and_a_fine_tuned_run_are_loaded_from_their_folders(tmp_path, sam, image):
    folder = tmp_path / "sam"
    checkpoints.obtain("sam", params.Model(source="tiny"), params.Scale(), 0, folder)
    model = promptseg.load("sam", source=folder)
    expected = sam.segment(image, points=[[60, 40]]).probability
    assert np.array_equal(model.segment(image, points=[[60, 40]]).probability, expected)
    refused(lambda: promptseg.load("clipseg", source=folder), "a checkpoint of sam, not of clipseg")


@pytest.mark.parametrize(
    "prompt, message",
    [
        ({"text": "a cat"}, "sam takes automatic, box, box + points, clicks, mask, points; given: text"),
        ({}, "given: no prompt"),
        ({"points": [[1, 1]], "box": [0, 0, 5, 5], "text": "a cat"}, "given: box and points and text"),
        ({"points": [[1, 1]], "box": [[0, 0, 5, 5], [1, 1, 9, 9]]}, "with points give one"),
        ({"points": [[1, 1, 1]]}, "points: rows of 2 numbers are expected"),
        ({"box": "0,0,5,9"}, "box: rows of 4 numbers are expected"),
        ({"box": [0, 0, 5]}, "box: rows of 4 numbers are expected"),
        ({"box": [5, 0, 5, 9]}, "image: the box 5,0,5,9: empty"),
        ({"box": [0, 0, float("nan"), 9]}, "image: the box 0,0,nan,9: empty"),
        ({"box": [0, 0, 129, 9]}, "image: the box 0,0,129,9 exceeds the image, which is 128x96"),
        ({"negative_points": [[1, 1]]}, "give a point on it or a box"),
        ({"points": [[128, 5]]}, "outside the image"),
        ({"points": [[1, 1]], "threshold": 1.0}, "threshold 1: a number between"),
    ],
)
def test_wrong_prompts_are_one_line(sam, image, prompt, message):
    refused(lambda: sam.segment(image, **prompt), message)


def test_wrong_arrays_and_unknown_names_are_one_line(sam):
    for shape, kind in (((5, 5, 4), np.uint8), ((5, 5), np.float32), ((5,), np.uint8)):
        refused(lambda image=np.zeros(shape, kind): sam.segment(image, points=[[1, 1]]), "uint8 is expected")
    for arguments, message in (
        ({"name": "sum"}, "unknown model 'sum'; known: "), ({}, "which model"), ({"finetuned": "nowhere"}, "nowhere"),
        ({"name": "sam", "source": "nowhere"}, "sam: nothing at 'nowhere'"),
    ):  # fmt: skip
        refused(lambda arguments=arguments: promptseg.load(**arguments), message)
    with pytest.raises(AttributeError):
        promptseg.loads  # noqa: B018


@pytest.mark.parametrize("name", ["medsam", "pa_sam"])
def test_models_that_take_points_and_a_box_apart_refuse_them_together(name, image):
    model, given = promptseg.load(name, source="tiny"), {"points": [[60, 40]], "box": CORNERS}
    refused(lambda: model.segment(image, **given), f"{name} takes ", "; given: box and points")


def test_importing_the_package_does_not_import_torch(root):
    code = "import sys, promptseg; assert 'torch' not in sys.modules; assert callable(promptseg.load)"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(root / "stages")}, check=True, timeout=60)


def test_a_model_without_prompts_takes_the_names_of_its_classes(image):
    result = promptseg.load("unet", source="tiny", classes=["leaf", "spot"]).segment(image)
    assert result.classes == ["leaf", "spot"] and result.probability.shape == (2, 96, 128)
    message = "unet: which classes? give `classes`, or load a fine-tuned run"
    refused(lambda: promptseg.load("unet", source="tiny").segment(image), message)


def test_the_threshold_of_a_fine_tuned_run_is_used_unless_another_is_given(image, tmp_path):
    created = models.load("unet").create("tiny", 0)
    weights.write(tmp_path / "c", created.configuration(), created.state_dict(), created.files())
    tensors = dict(models.load("unet").load(tmp_path / "c", 1).named_parameters())
    for name, about in (("plain", {}), ("tuned", {"threshold": 0.05})):
        about = {"classes": ["leaf"], **about}
        finetuned_weights.write(tmp_path / name, tensors, "unet", weights.digest(tmp_path / "c"), about)
    plain, tuned = (promptseg.load(source=tmp_path / "c", finetuned=tmp_path / name) for name in ("plain", "tuned"))
    assert (plain.threshold, tuned.threshold) == (0.5, 0.05)
    for threshold in (0.05, 0.95):
        expected = plain.segment(image, threshold=threshold).mask
        np.testing.assert_array_equal(tuned.segment(image, threshold=threshold).mask, expected)
    np.testing.assert_array_equal(tuned.segment(image).mask, plain.segment(image, threshold=0.05).mask)
